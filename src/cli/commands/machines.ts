import { FleetError, isFleetError } from '../../base/errors.ts';
import type { MachineEdit } from '../../config/edit.ts';
import { type Call, type Command, printInfo } from '../command.ts';
import { drainStatus, EXIT, type ExitStatus } from '../exit-status.ts';
import { refuseController } from '../own-config.ts';
import { writeLines } from '../streams.ts';

const NO_CHECK = { flags: '--no-check', description: 'do not check the machine first' };

/** The options of `add` with their keys of fleet.conf, in the order in which they are written. */
const SETTINGS = [
  ['metadata', '--metadata <pairs>', 'metadata for the placement of units: region=eu,disk=ssd'],
  ['user', '--user <user>', 'user to log in as'],
  ['port', '--port <port>', 'port of its SSH server'],
  ['identity_file', '--identity-file <file>', 'private key'],
  ['become', '--become <how>', 'method to get root rights: sudo, doas or none'],
] as const;

const addCommand: Command = {
  name: 'add',
  arguments: '<name> <address>',
  summary: 'Add a machine to fleet.conf',
  description:
    'Checks the machine like doctor, and appends it to fleet.conf if all checks succeed. If there is no fleet.conf, it is created.',
  options: [...SETTINGS.map(([, flags, description]) => ({ flags, description })), NO_CHECK],
  examples: [
    ['fleetctl machines add web-3 10.10.1.3', 'with settings from [ssh]'],
    ['fleetctl machines add db-1 db.example:2222 --user core --metadata disk=ssd', 'with its own settings'],
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
    'Keys are those of a [machine.NAME] section; "key=" removes one. The machine is checked first, like doctor does, unless only its metadata changes.',
  options: [NO_CHECK],
  examples: [
    ['fleetctl machines set web-3 metadata=region=eu,disk=ssd', 'change its metadata'],
    ['fleetctl machines set web-3 address=10.10.1.9 user=', 'new address, user from [ssh]'],
  ],
  run(call) {
    const [name = '', ...words] = call.arguments;
    const pairs = words.map((word): readonly [string, string] => {
      const equals = word.indexOf('=');
      if (equals > 0) return [word.slice(0, equals).trim(), word.slice(equals + 1).trim()];
      throw new FleetError('usage', `Cannot read "${word}"`, {
        hint: 'Write key=value, or key= to remove a key',
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
  summary: 'Remove a machine from fleet.conf',
  description:
    'Refused while units are assigned to the machine, unless it is drained first. Other files of fleet stay on the machine, and the command lists them. Units that are assigned to a machine that was removed from fleet.conf by hand do not move; after this command they do.',
  options: [
    {
      flags: '--drain',
      description: 'move its units to other machines first, and remove global units',
    },
  ],
  examples: [
    ['fleetctl machines remove web-3', 'a machine without units'],
    ['fleetctl machines remove web-3 --drain', 'move its units first'],
  ],
  async run(call) {
    const {
      arguments: [name = ''],
      flags,
      streams,
    } = call;
    const [{ prepareEdit }, { withPorts }, { forgetMachine, leaveMachine }, output] = await Promise.all([
      import('../../config/edit-file.ts'),
      import('../context.ts'),
      import('../../operations/machine-membership.ts'),
      import('../../output/machines.ts'),
    ]);
    refuseController(flags, streams);
    const edit = await prepareEdit({ flags, ...streams }, { kind: 'remove', name }).catch((error) => {
      if (!isFleetError(error, 'machine-not-found') || call.options.drain === true) throw error;
      return error;
    });
    if (isFleetError(edit)) return removeUnlisted(call, name, edit);
    if (call.options.drain === true) {
      const status = await drainFirst(call, name);
      if (status !== EXIT.done) return status;
    }
    const left = await withPorts({ flags, streams }, async ({ registry }) => {
      const stays = leaveMachine(await registry.load(), name);
      await forgetMachine(registry, name);
      await edit.write();
      return call.options.drain === true ? [] : stays;
    });
    printInfo(streams, [`Machine ${name} removed from ${edit.path}`]);
    writeLines(streams.err, output.leftBehindLines(name, left));
    return EXIT.done;
  },
};

const acceptCommand: Command = {
  name: 'accept',
  arguments: '<machine>',
  summary: 'Accept a machine with its current id',
  description:
    'The registry keeps the machine id of every name. A machine whose id changes, or that has the id of another machine, is not used until it is accepted. The next pass moves units that are assigned to an id that no machine has any more.',
  options: [],
  examples: [['fleetctl machines accept web-3', 'after a reinstallation, a rename or a repair']],
  async run({ arguments: [name = ''], flags, streams }) {
    const [{ withPorts }, { acceptMachine }, { acceptedLine }] = await Promise.all([
      import('../context.ts'),
      import('../../operations/machine-membership.ts'),
      import('../../output/machines.ts'),
    ]);
    const accepted = await withPorts({ flags, streams }, (ports) => acceptMachine(ports, name), {
      guard: false,
    });
    printInfo(streams, [acceptedLine(name, accepted)]);
    return EXIT.done;
  },
};

const distrustCommand: Command = {
  name: 'distrust',
  arguments: '<machine>',
  summary: 'Exclude a machine that reports wrong state',
  description:
    'fleetctl and fleetd do not use the machine until it is accepted again. Its units keep running and stay assigned to it.',
  options: [],
  examples: [['fleetctl machines distrust web-3', 'if it contradicts the registry']],
  async run({ arguments: [name = ''], flags, streams }) {
    const [{ withPorts }, { distrustMachine }, { distrustedLines }] = await Promise.all([
      import('../context.ts'),
      import('../../operations/machine-membership.ts'),
      import('../../output/machines.ts'),
    ]);
    const units = await withPorts({ flags, streams }, (ports) => distrustMachine(ports, name), {
      guard: false,
    });
    const { out, err } = distrustedLines(name, units);
    printInfo(streams, out);
    writeLines(streams.err, err);
    return EXIT.done;
  },
};

export const machinesCommand: Command = {
  name: 'machines',
  arguments: '',
  summary: 'Add, change, remove, accept or exclude machines',
  description:
    'fleet.conf is edited in place: comments, order and line ends are kept. It is written only if it then has exactly the intended settings. To list machines, use list-machines.',
  options: [],
  examples: [
    ...addCommand.examples,
    ...setCommand.examples,
    ...removeCommand.examples,
    ...acceptCommand.examples,
    ...distrustCommand.examples,
  ],
  subcommands: [addCommand, setCommand, removeCommand, acceptCommand, distrustCommand],
};

/** Removes a machine that only the registry has; throws `unknown` if it does not have it. */
async function removeUnlisted(
  { flags, streams }: Call,
  name: string,
  unknown: FleetError,
): Promise<ExitStatus> {
  const [{ withPorts }, { forgetMachine }, { movingLines }] = await Promise.all([
    import('../context.ts'),
    import('../../operations/machine-membership.ts'),
    import('../../output/machines.ts'),
  ]);
  const units = await withPorts({ flags, streams }, async ({ registry }) => {
    if (!(await registry.load()).machines.has(name)) throw unknown;
    return forgetMachine(registry, name);
  });
  printInfo(streams, [`Machine ${name} removed from the registry`]);
  writeLines(streams.err, movingLines(units));
  return EXIT.done;
}

/** Moves all units away, as `fleetctl drain --globals` does. fleet.conf is edited only after a success. */
async function drainFirst({ flags, streams }: Call, machine: string): Promise<ExitStatus> {
  const [{ withPorts }, { drain }, { drainReport }] = await Promise.all([
    import('../context.ts'),
    import('../../operations/drain.ts'),
    import('../../output/machines.ts'),
  ]);
  const request = { machine, maxParallel: 1, globals: true };
  const result = await withPorts({ flags, streams }, (ports) => drain(ports, request));
  const { out, err } = drainReport(result);
  printInfo(streams, out);
  writeLines(streams.err, err);
  return drainStatus(result);
}

/** Prepares the edit, checks the machine with the new settings, and writes. */
async function change(
  { options, flags, streams }: Call,
  edit: MachineEdit & { kind: 'add' | 'set' },
  done: string,
): Promise<number> {
  refuseController(flags, streams);
  const [{ prepareEdit }, { sshTargets }] = await Promise.all([
    import('../../config/edit-file.ts'),
    import('../ssh-targets.ts'),
  ]);
  const prepared = await prepareEdit({ flags, ...streams }, edit);
  // Two machines with one end point are refused before the file is written.
  sshTargets(prepared.config, streams);
  const changesAccess = [...edit.settings.keys()].some((key) => key !== 'metadata');
  if (options.check !== false && changesAccess) {
    const { checkMachine } = await import('../check-machine.ts');
    if (!(await checkMachine(prepared.config, edit.name, streams))) {
      writeLines(streams.err, [
        `Error: Machine "${edit.name}" was not ${done} ${prepared.path}, because a check failed`,
        'hint: Repair it, or add --no-check',
      ]);
      return EXIT.failed;
    }
  }
  await prepared.write();
  if (prepared.isNew) streams.err(`There was no fleet.conf: created ${prepared.path}\n`);
  printInfo(streams, [`Machine ${edit.name} ${done} ${prepared.path}`]);
  return EXIT.done;
}

/** Paths of a command line are relative to the working folder, those of the file to its folder. */
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
