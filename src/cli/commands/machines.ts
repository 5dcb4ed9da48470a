import { FleetError, isFleetError } from '../../base/errors.ts';
import type { MachineEdit } from '../../config/edit.ts';
import { type Call, type Command, talk } from '../command.ts';
import { drainStatus, EXIT, type ExitStatus } from '../exit-status.ts';
import { refuseController } from '../own-config.ts';
import { writeLines } from '../streams.ts';

const NO_CHECK = { flags: '--no-check', description: 'do not look at the machine first' };

/** Options of `add`, with the keys of fleet.conf that they stand for, in the order in which they are written. */
const SETTINGS = [
  ['metadata', '--metadata <pairs>', 'what units can ask for: region=eu,disk=ssd'],
  ['user', '--user <user>', 'who logs in'],
  ['port', '--port <port>', 'where its SSH server listens'],
  ['identity_file', '--identity-file <file>', 'private key'],
  ['become', '--become <how>', 'how the user gets root rights: sudo, doas or none'],
] as const;

const addCommand: Command = {
  name: 'add',
  arguments: '<name> <address>',
  summary: 'Add a machine to fleet.conf',
  description:
    'Looks at the machine as doctor does, and writes it at the end of fleet.conf when all is well. Without a fleet.conf one is begun.',
  options: [...SETTINGS.map(([, flags, description]) => ({ flags, description })), NO_CHECK],
  examples: [
    ['fleetctl machines add web-3 10.10.1.3', 'with the settings of [ssh]'],
    ['fleetctl machines add db-1 db.example:2222 --user core --metadata disk=ssd', 'with its own'],
  ],
  run(call) {
    const [name = '', address = ''] = call.arguments;
    const given = SETTINGS.flatMap(([key, flags]): readonly (readonly [string, string])[] => {
      const value = call.options[optionName(flags)];
      return typeof value === 'string' ? [[key, value]] : [];
    });
    const settings = new Map([['address', address], ...absolute(given, call)] as [string, string][]);
    return change(call, { kind: 'add', name, settings }, 'added to');
  },
};

const setCommand: Command = {
  name: 'set',
  arguments: '<machine> <key=value...>',
  summary: 'Change settings of a machine',
  description:
    'Keys are those of a [machine.NAME] section; "key=" takes one away. The machine is looked at first, as doctor does, unless only its metadata changes.',
  options: [NO_CHECK],
  examples: [
    ['fleetctl machines set web-3 metadata=region=eu,disk=ssd', 'what units can ask for'],
    ['fleetctl machines set web-3 address=10.10.1.9 user=', 'a new address, and the user of [ssh] again'],
  ],
  run(call) {
    const [name = '', ...words] = call.arguments;
    const pairs = words.map((word): readonly [string, string] => {
      const equals = word.indexOf('=');
      if (equals > 0) return [word.slice(0, equals).trim(), word.slice(equals + 1).trim()];
      throw new FleetError('usage', `Cannot read "${word}"`, {
        hint: 'Write key=value, or key= to take a key away',
      });
    });
    const settings = new Map(
      absolute(pairs, call).map(([key, value]) => [key, value === '' ? undefined : value]),
    );
    return change(call, { kind: 'set', name, settings }, 'changed in');
  },
};

const removeCommand: Command = {
  name: 'remove',
  arguments: '<machine>',
  summary: 'Take a machine out of fleet.conf',
  description:
    'Refused while units are assigned to it, unless it is drained first. What else fleet put on the machine stays there: the command says what. Units stay on a machine that was taken out of fleet.conf by hand; this command lets them move.',
  options: [
    {
      flags: '--drain',
      description: 'move its units to other machines first, and take global ones from it',
    },
  ],
  examples: [
    ['fleetctl machines remove web-3', 'when no unit is assigned to it'],
    ['fleetctl machines remove web-3 --drain', 'its units go to other machines first'],
  ],
  async run(call) {
    const {
      arguments: [name = ''],
      flags,
      streams,
    } = call;
    const [{ prepareEdit }, { withEdges }, { forgetMachine, leaveMachine }, output] = await Promise.all([
      import('../../config/edit-file.ts'),
      import('../context.ts'),
      import('../../operations/leave-machine.ts'),
      import('../../output/machines.ts'),
    ]);
    refuseController(flags, streams);
    const { env, cwd, home } = streams;
    const edit = await prepareEdit({ flags, env, cwd, home }, { kind: 'remove', name }).catch((error) => {
      if (!isFleetError(error, 'machine-not-found') || call.options.drain === true) throw error;
      return error;
    });
    if (isFleetError(edit)) return removeUnlisted(call, name, edit);
    if (call.options.drain === true) {
      const status = await drainFirst(call, name);
      if (status !== EXIT.done) return status;
    }
    const left = await withEdges(flags, streams, async ({ registry }) => {
      const stays = leaveMachine(await registry.load(), name);
      await forgetMachine(registry, name);
      await edit.write();
      return call.options.drain === true ? [] : stays;
    });
    talk(streams, [`Machine ${name} removed from ${edit.path}`]);
    writeLines(streams.err, output.leftBehindLines(name, left));
    return EXIT.done;
  },
};

const acceptCommand: Command = {
  name: 'accept',
  arguments: '<machine>',
  summary: 'Accept a machine as it is now',
  description:
    'The registry remembers the machine id of every name. A machine whose id changes, or has the id of another one, is not used until it is accepted. Units that are assigned to an id that is gone move with the next pass.',
  options: [],
  examples: [['fleetctl machines accept web-3', 'after it was reinstalled, renamed, or repaired']],
  async run({ arguments: [name = ''], flags, streams }) {
    const [{ withEdges }, { acceptMachine }, { acceptedLine }] = await Promise.all([
      import('../context.ts'),
      import('../../operations/trust-machine.ts'),
      import('../../output/machines.ts'),
    ]);
    const accepted = await withEdges(flags, streams, (edges) => acceptMachine(edges, name), { guard: false });
    talk(streams, [acceptedLine(name, accepted)]);
    return EXIT.done;
  },
};

const distrustCommand: Command = {
  name: 'distrust',
  arguments: '<machine>',
  summary: 'Exclude a machine that is wrong',
  description:
    'No command and no fleetd uses the machine until it is accepted again. What runs there runs on, and units that are assigned to it stay assigned.',
  options: [],
  examples: [['fleetctl machines distrust web-3', 'when it contradicts the registry and is wrong']],
  async run({ arguments: [name = ''], flags, streams }) {
    const [{ withEdges }, { distrustMachine }, { distrustedLines }] = await Promise.all([
      import('../context.ts'),
      import('../../operations/trust-machine.ts'),
      import('../../output/machines.ts'),
    ]);
    const units = await withEdges(flags, streams, (edges) => distrustMachine(edges, name), { guard: false });
    const { out, err } = distrustedLines(name, units);
    talk(streams, out);
    writeLines(streams.err, err);
    return EXIT.done;
  },
};

export const machinesCommand: Command = {
  name: 'machines',
  arguments: '',
  summary: 'Add machines to fleet.conf, change them, take them out, accept or exclude them',
  description:
    'fleet.conf is edited in place: comments, order and line ends stay, and a file that would not say exactly what is meant is not written. Machines are listed by list-machines.',
  options: [],
  examples: [
    ...addCommand.examples,
    ...setCommand.examples,
    ...removeCommand.examples,
    ...acceptCommand.examples,
    ...distrustCommand.examples,
  ],
  subcommands: [addCommand, setCommand, removeCommand, acceptCommand, distrustCommand],
  async run() {
    throw new FleetError(
      'usage',
      'Cannot tell what to do with machines: add, set, remove, accept or distrust is missing',
      {
        hint: 'To list them: fleetctl list-machines',
      },
    );
  },
};

/** A machine that was taken out of fleet.conf by hand, and that the registry still knows; `unknown` for one that it does not. */
async function removeUnlisted(
  { flags, streams }: Call,
  name: string,
  unknown: FleetError,
): Promise<ExitStatus> {
  const [{ withEdges }, { forgetMachine }, { movingLines }] = await Promise.all([
    import('../context.ts'),
    import('../../operations/leave-machine.ts'),
    import('../../output/machines.ts'),
  ]);
  const units = await withEdges(flags, streams, async ({ registry }) => {
    if (!(await registry.load()).machines.has(name)) throw unknown;
    return forgetMachine(registry, name);
  });
  talk(streams, [`Machine ${name} removed from the registry`]);
  writeLines(streams.err, movingLines(units));
  return EXIT.done;
}

/** Moves everything away, as `fleetctl drain --globals` does; nothing is edited unless that went well. */
async function drainFirst({ flags, streams }: Call, machine: string): Promise<ExitStatus> {
  const [{ withEdges }, { drain }, { drainReport }] = await Promise.all([
    import('../context.ts'),
    import('../../operations/drain.ts'),
    import('../../output/drain.ts'),
  ]);
  const request = { machine, maxParallel: 1, globals: true };
  const result = await withEdges(flags, streams, (edges) => drain(edges, request));
  const { out, err } = drainReport(result);
  talk(streams, out);
  writeLines(streams.err, err);
  return drainStatus(result);
}

/** Makes the edit on paper, looks at the machine as it would be, and writes. */
async function change(
  { options, flags, streams }: Call,
  edit: MachineEdit & { kind: 'add' | 'set' },
  done: string,
): Promise<number> {
  refuseController(flags, streams);
  const { env, cwd, home } = streams;
  const { prepareEdit } = await import('../../config/edit-file.ts');
  const prepared = await prepareEdit({ flags, env, cwd, home }, edit);
  const isFar = [...edit.settings.keys()].some((key) => key !== 'metadata');
  if (options.check !== false && isFar) {
    const { checkMachine } = await import('../check-machine.ts');
    if (!(await checkMachine(prepared.config, edit.name, streams))) {
      writeLines(streams.err, [
        `Error: Machine "${edit.name}" was not ${done} ${prepared.path}, for not all is well with it`,
        'hint: Mend it, or add --no-check',
      ]);
      return EXIT.failed;
    }
  }
  await prepared.write();
  if (prepared.isNew) streams.err(`There was no fleet.conf: began ${prepared.path}\n`);
  talk(streams, [`Machine ${edit.name} ${done} ${prepared.path}`]);
  return EXIT.done;
}

/** Paths of a command line start where the person is, those of the file where the file is. */
function absolute(
  pairs: readonly (readonly [string, string])[],
  { streams: { cwd } }: Call,
): readonly (readonly [string, string])[] {
  return pairs.map(([key, value]) => {
    const isRelative = key === 'identity_file' && value !== '' && !/^[/~]/.test(value);
    return [key, isRelative ? `${cwd}/${value}` : value];
  });
}

/** `--identity-file <file>` → identityFile, as commander calls it. */
function optionName(flags: string): string {
  const [name = ''] = flags.slice(2).split(' ', 1);
  return name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
