import { FleetError } from '../../base/errors.ts';
import { formatAddress, parseAddress } from '../../config/address.ts';
import type { Config } from '../../config/config.ts';
import type { MachineEdit } from '../../config/edit.ts';
import { type PreparedEdit, prepareEdit } from '../../config/edit-file.ts';
import { type Machine, type Metadata, parseMetadata } from '../../machine/machine.ts';
import { doctor, isHealthy } from '../../operations/doctor.ts';
import {
  addMachine,
  changedPlace,
  changeMachine,
  clusterMachine,
  type MetadataChange,
  type PlaceChange,
  renameMachine,
} from '../../operations/machine-changes.ts';
import { doctorLines, doctorTitles } from '../../output/doctor.ts';
import type { Ports } from '../../reconcile/ports.ts';
import { type Call, printInfo } from '../command.ts';
import { examinerOf } from '../commands/doctor.ts';
import { type SshAccess, withConfig } from '../context.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { ownConfig, refuseController } from '../own-config.ts';
import { sshTargets } from '../ssh-targets.ts';
import { writeLines } from '../streams.ts';

/** Adds a machine to the registry and to fleet.conf; `given` are keys of its section. */
export async function add(
  call: Call,
  [name, address]: readonly [string, string],
  given: readonly (readonly [string, string])[],
): Promise<ExitStatus> {
  const { flags, streams } = call;
  refuseController(flags, streams);
  const settings = new Map([
    ['address', address] as const,
    ...given.map(([key, value]) => [key, absolutePath(key, value, streams.cwd)] as const),
  ]);
  const prepared = await prepareFor(call, { kind: 'add', name, settings });
  const machine = proposedIn(prepared.config, name);
  const store = (ports: Ports): Promise<void> => addMachine(ports, machine);
  if (!(await isUsable(call, name, { prepared, store, done: 'added to' }))) return EXIT.failed;
  const config = prepared.isNew ? prepared.config : await ownConfig(flags, streams);
  await withConfig(config, streams, store, { changes: true });
  await prepared.write();
  if (prepared.isNew) streams.err(`There was no fleet.conf: created ${prepared.path}\n`);
  printInfo(streams, [`Machine ${name} added to ${prepared.path}`]);
  return EXIT.done;
}

/** Changes a machine: its address and metadata in the registry and in fleet.conf, all other settings in fleet.conf. */
export async function set(call: Call, name: string, words: readonly string[]): Promise<ExitStatus> {
  const { flags, streams } = call;
  const { settings, metadata } = readWords(words, streams.cwd);
  const config = await ownConfig(flags, streams);
  return withConfig(
    config,
    streams,
    async (ports) => {
      const before = clusterMachine(ports, await ports.registry.load(), name);
      const after = changedPlace(before, { metadata });
      const written = new Map(settings);
      if (metadata.length > 0) written.set('metadata', metadataText(after.metadata) || undefined);
      const edit = editOf(config, before, written);
      const prepared = edit && (await prepareFor(call, edit));
      const isMoved = settings.has('address') || settings.has('port');
      const change: PlaceChange = {
        metadata,
        ...(isMoved && {
          address: prepared ? proposedIn(prepared.config, name).address : addressIn(settings),
        }),
      };
      const store = (changed: Ports): Promise<void> => changeMachine(changed, name, change);
      const checked = { prepared, store, done: 'changed in' };
      if (settings.size > 0 && !(await isUsable(call, name, checked))) return EXIT.failed;
      await store(ports);
      await prepared?.write();
      printInfo(streams, [`Machine ${name} changed in ${prepared?.path ?? 'the registry'}`]);
      return EXIT.done;
    },
    { changes: true },
  );
}

/** Gives a machine another name, in the registry and in fleet.conf. */
export async function rename(call: Call, name: string, to: string): Promise<ExitStatus> {
  const { flags, streams } = call;
  const config = await ownConfig(flags, streams);
  const isListed = (each: string): boolean => config.machines.some(({ machine }) => machine.name === each);
  const prepared =
    isListed(name) && !isListed(to) ? await prepareFor(call, { kind: 'rename', name, to }) : undefined;
  await withConfig(config, streams, (ports) => renameMachine(ports, name, to), { changes: true });
  await prepared?.write();
  const where = prepared === undefined ? 'the registry' : prepared.path;
  printInfo(streams, [`Machine ${name} renamed to ${to} in ${where}`]);
  return EXIT.done;
}

/** The edit of fleet.conf; undefined if it has no section for the machine and needs none. */
function editOf(
  config: Config,
  { name, address, metadata }: Machine,
  settings: ReadonlyMap<string, string | undefined>,
): (MachineEdit & { readonly kind: 'add' | 'set' }) | undefined {
  if (config.machines.some(({ machine }) => machine.name === name)) return { kind: 'set', name, settings };
  const isShared = [...settings.keys()].every((key) => key === 'metadata' || key === 'address');
  if (isShared) return undefined;
  const text = metadataText(metadata);
  const all = [
    ['address', address] as const,
    ...(text === '' ? [] : [['metadata', text] as const]),
    ...[...settings].flatMap(([key, value]) => (value === undefined ? [] : [[key, value] as const])),
  ];
  return { kind: 'add', name, settings: new Map(all) };
}

async function prepareFor({ flags, streams }: Call, edit: MachineEdit): Promise<PreparedEdit> {
  const prepared = await prepareEdit({ flags, ...streams }, edit);
  // Two machines with one end point are refused before the file is written.
  sshTargets(prepared.config, streams);
  return prepared;
}

type Checked = {
  readonly prepared: PreparedEdit | undefined;
  readonly store: (ports: Ports) => Promise<void>;
  readonly done: string;
};

/**
 * Checks the machine as it is after `store`, a change of the registry that is not stored, unless the user has disabled that.
 * Reports its problems, and returns true if there are none.
 */
async function isUsable(
  { options, flags, streams }: Call,
  name: string,
  { prepared, store, done }: Checked,
): Promise<boolean> {
  if (options.check === false) return true;
  const config = prepared?.config ?? (await ownConfig(flags, streams));
  const check = async (ports: Ports, access: SshAccess): Promise<boolean> => {
    await store(ports);
    const [health] = await doctor(examinerOf(ports, access), [name], async () => undefined);
    if (health === undefined || isHealthy(health)) return true;
    const view = { all: false, names: [name] };
    streams.err(`${await doctorTitles(view)}${await doctorLines(health, view)}`);
    writeLines(streams.err, [
      `Error: Machine "${name}" was not ${done} ${prepared?.path ?? 'the registry'}, because a check failed`,
      'hint: Repair it, or add --no-check',
    ]);
    return false;
  };
  return withConfig(config, streams, check, { dryRun: true, guard: false, onDifference: () => undefined });
}

function proposedIn(config: Config, name: string): Machine {
  const machine = config.machines.find((each) => each.machine.name === name)?.machine;
  if (machine === undefined) throw new TypeError(`no section ${name}`);
  return { ...machine, metadata: machine.metadata ?? {} };
}

/** Throws FleetError `usage` if the address is invalid. */
function addressIn(settings: ReadonlyMap<string, string | undefined>): string {
  const text = settings.get('address') ?? '';
  const address = parseAddress(text);
  if (address !== undefined) return formatAddress(address);
  throw new FleetError('usage', `Cannot use the address "${text}"`, {
    hint: 'Write address=HOST, address=HOST:PORT or address=[IPv6]:PORT',
  });
}

function metadataText(metadata: Metadata): string {
  return Object.entries(metadata)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}

/** The words of `machines set`: settings of the section (undefined removes one), and changes of the metadata. */
type SetWords = {
  readonly settings: ReadonlyMap<string, string | undefined>;
  readonly metadata: readonly MetadataChange[];
};

/**
 * Reads `key=value`, `key=`, `metadata+=key=value,…` and `metadata-=key,…`. Paths are relative to `cwd`. Throws FleetError
 * `usage`.
 */
export function readWords(words: readonly string[], cwd: string): SetWords {
  const settings = new Map<string, string | undefined>();
  const metadata: MetadataChange[] = [];
  for (const word of words) {
    const [, key = '', sign = '', text = ''] = /^\s*([^=+-]+?)\s*([+-]?)=(.*)$/s.exec(word) ?? [];
    const value = text.trim();
    if (key === '' || (sign !== '' && key !== 'metadata')) throw unreadable(word);
    if (key === 'metadata') metadata.push(metadataChange(sign, value, word));
    else settings.set(key, value === '' ? undefined : absolutePath(key, value, cwd));
  }
  return { settings, metadata };
}

function metadataChange(sign: string, value: string, word: string): MetadataChange {
  if (sign === '-') {
    const keys = value.split(',').map((key) => key.trim());
    if (keys.every((key) => /^[^=\s]+$/.test(key))) return { kind: 'remove', keys };
    throw unreadable(word);
  }
  const read = parseMetadata(value);
  if (read.kind === 'metadata') return { kind: sign === '+' ? 'add' : 'replace', metadata: read.metadata };
  throw new FleetError('usage', `Cannot read "${word}": "${read.pair}" must be ${read.expected}`, {
    hint: 'Write metadata=region=eu,disk=ssd',
  });
}

function unreadable(word: string): FleetError {
  return new FleetError('usage', `Cannot read "${word}"`, {
    hint: 'Write key=value, or key= to remove a key; metadata+=key=value adds to the metadata, metadata-=key removes from it',
  });
}

/** Paths of a command line are relative to the working folder, those of the file to its folder. */
function absolutePath(key: string, value: string, cwd: string): string {
  return key === 'identity_file' && !/^[/~]/.test(value) ? `${cwd}/${value}` : value;
}
