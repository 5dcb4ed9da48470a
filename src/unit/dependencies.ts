import { splitWords } from './fleet-section.ts';
import { escapeName, expandSpecifiers } from './specifiers.ts';
import { isTrue, joinedValue, optionValues, type UnitFile, type UnitOption } from './unit-file.ts';
import { storedNameProblem, type UnitName } from './unit-name.ts';

/** One of two units: the one whose text has the option, or the one that the option names; false for neither. */
type End = 'declarer' | 'named' | 'both' | false;

/** The effects of an option on two units. */
type Effects = {
  /** The sections in which the option names units; empty for an option with paths ({@link MOUNT_OPTIONS}). */
  readonly in: readonly string[];
  /** Stops when the other one stops. */
  readonly follower: End;
  /** While it is up, it starts the other one whenever that one is down. */
  readonly upholder: End;
  /** Never runs beside the other one. */
  readonly excluded: End;
  /** Is started with the other one, or must be active already. */
  readonly needed: End;
};

const UNIT = ['Unit'];
const INSTALL = ['Install'];
/** The sections with options of systemd.resource-control(5), of the unit types that can set `Slice=`. */
const RESOURCES = ['Service', 'Socket', 'Mount', 'Swap'];

/**
 * The options with such effects (systemd.unit(5), systemd.service(5)). `Slice=` and `RequiresMountsFor=` imply
 * `Requires=` (systemd.resource-control(5)), and other options imply these two.
 */
// biome-ignore format: a table
const OPTIONS = {
  Requires:           { in: UNIT, follower: 'declarer', upholder: false, excluded: false, needed: 'named' },
  Requisite:          { in: UNIT, follower: 'declarer', upholder: false, excluded: false, needed: 'named' },
  BindsTo:            { in: UNIT, follower: 'declarer', upholder: false, excluded: false, needed: 'named' },
  PartOf:             { in: UNIT, follower: 'declarer', upholder: false, excluded: false, needed: false },
  Upholds:            { in: UNIT, follower: false, upholder: 'declarer', excluded: false, needed: 'named' },
  Wants:              { in: UNIT, follower: false, upholder: false, excluded: false, needed: 'named' },
  Conflicts:          { in: UNIT, follower: false, upholder: false, excluded: 'both', needed: false },
  PropagatesStopTo:   { in: UNIT, follower: 'named', upholder: false, excluded: false, needed: false },
  StopPropagatedFrom: { in: UNIT, follower: 'declarer', upholder: false, excluded: false, needed: false },
  RequiredBy:         { in: INSTALL, follower: 'named', upholder: false, excluded: false, needed: 'declarer' },
  UpheldBy:           { in: INSTALL, follower: false, upholder: 'named', excluded: false, needed: 'declarer' },
  Slice:              { in: RESOURCES, follower: 'declarer', upholder: false, excluded: false, needed: 'named' },
  RequiresMountsFor:  { in: [],   follower: 'declarer', upholder: false, excluded: false, needed: 'named' },
  Sockets:            { in: ['Service'], follower: false, upholder: false, excluded: false, needed: 'named' },
} satisfies Readonly<Record<string, Effects>>;

/** An option of a unit file that makes systemd stop, start or exclude one unit because of another one. */
export type DependencyKind = keyof typeof OPTIONS;

/** The effects of each option. */
export const EFFECTS: Readonly<Record<DependencyKind, Effects>> = OPTIONS;

/**
 * A unit that another unit depends on, by one option. `source` is the origin: `Requires=db.service in line 3`, counted
 * from 1, or `the name` for a dependency that follows from the unit's name.
 */
export type Dependency = { readonly kind: DependencyKind; readonly unit: string; readonly source: string };

/**
 * The dependencies of a unit file, in the order of the file. An empty assignment to a dependency option has no effect
 * (systemd.unit(5)). Words that are not full unit names are left out, because systemd ignores them.
 */
export function readDependencies(file: UnitFile, name: UnitName): readonly Dependency[] {
  const declared: Dependency[] = [];
  for (const option of file.options) {
    if (isNamingOption(option)) declared.push(...unitsIn(option, name));
    else declared.push(...mountsIn(option, name));
  }
  const slices = declared.some(({ kind }) => kind === 'Slice') ? [] : slicesByName(name);
  if (slices.length === 0) return declared;
  return [...slices.map((unit) => ({ kind: 'Slice', unit, source: 'the name' }) as const), ...declared];
}

type NamingOption = UnitOption & { readonly name: DependencyKind };

function isNamingOption(option: UnitOption): option is NamingOption {
  return (
    Object.hasOwn(EFFECTS, option.name) && EFFECTS[option.name as DependencyKind].in.includes(option.section)
  );
}

function unitsIn(option: NamingOption, name: UnitName): readonly Dependency[] {
  const kind = option.name;
  return joinedValue(option)
    .split(/\s+/)
    .map((word) => expandSpecifiers(word, name))
    .filter((word) => storedNameProblem(word) === undefined)
    .flatMap((unit) => {
      // A slice stops with the slices above it, whether it has a file or not.
      const slices = EFFECTS[kind].follower === 'declarer' ? slicesAbove(unit) : [];
      const source = `${kind}=${unit} in line ${option.line}`;
      return [unit, ...slices].map((each) => ({ kind, unit: each, source }));
    });
}

/** The slices of a unit that follow from its name: `a.slice` for `a-b.slice`, `system-web.slice` for `web@1.service`. */
function slicesByName({ text, type, prefix, instance }: UnitName): readonly string[] {
  if (type === 'slice') return slicesAbove(text);
  const isGrouped = ['service', 'socket'].includes(type) && instance !== undefined && instance !== '';
  if (!isGrouped) return [];
  const slice = `system-${escapeName(prefix)}.slice`;
  return [slice, ...slicesAbove(slice)];
}

/** `a-b.slice` and `a.slice` for `a-b-c.slice` (systemd.slice(5)). */
function slicesAbove(name: string): readonly string[] {
  if (!name.endsWith('.slice')) return [];
  const parts = name.slice(0, -'.slice'.length).split('-');
  return parts.slice(1).map((_, index) => `${parts.slice(0, -1 - index).join('-')}.slice`);
}

/** The section of each unit type that starts another unit, and the option that names it. */
const TRIGGERS = { timer: ['Timer', 'Unit'], socket: ['Socket', 'Service'], path: ['Path', 'Unit'] } as const;

/** Whether a unit of that name can start another one. */
export function mayTrigger(name: string): boolean {
  return /\.(timer|socket|path|automount)$/.test(name);
}

/**
 * The unit that a timer, socket, path or automount starts, whose file must be on the same machine: the one it names,
 * else the service (or mount) of the same name (systemd.timer(5), .socket(5), .path(5), .automount(5)). For a socket
 * with Accept=yes it is the template of its services, `echo@.service`. Undefined for other units.
 */
export function triggeredUnit(file: UnitFile, name: UnitName): string | undefined {
  if (name.type === 'automount') return name.text.replace(/automount$/, 'mount');
  if (name.type !== 'timer' && name.type !== 'socket' && name.type !== 'path') return undefined;
  if (isTrue(optionValues(file, 'Socket', 'Accept').at(-1) ?? 'no')) return `${name.prefix}@.service`;
  const [section, option] = TRIGGERS[name.type];
  const named = optionValues(file, section, option).at(-1);
  if (named !== undefined) return expandSpecifiers(named, name);
  return name.text.replace(/\.[a-z]+$/, '.service');
}

/** The sections of an option, and the paths that a word of its value means; by default the word itself. */
type Paths = { readonly in: readonly string[]; readonly of?: (word: string) => readonly string[] };

const EXEC = ['Service', 'Socket', 'Mount', 'Swap'];
const SOCKET = { in: ['Socket'] };
const PATH = { in: ['Path'] };

/** A folder below a folder of the system; the name of a symbolic link may follow after a colon. */
function below(folder: string): Paths {
  return { in: EXEC, of: (word) => [`${folder}/${word.replace(/:.*/, '')}`] };
}

/**
 * The options that need the mounts of a path: `RequiresMountsFor=` (systemd.unit(5)), and those that imply it by
 * systemd.exec(5), systemd.mount(5), systemd.automount(5), systemd.swap(5), systemd.socket(5) and systemd.path(5).
 */
const MOUNT_OPTIONS: Readonly<Record<string, Paths>> = {
  RequiresMountsFor: { in: ['Unit'] },
  WorkingDirectory: { in: EXEC },
  RootDirectory: { in: EXEC },
  RootImage: { in: EXEC },
  RuntimeDirectory: below('/run'),
  StateDirectory: below('/var/lib'),
  CacheDirectory: below('/var/cache'),
  LogsDirectory: below('/var/log'),
  ConfigurationDirectory: below('/etc'),
  // For the mount of /tmp it adds only Wants=.
  PrivateTmp: { in: EXEC, of: (word) => (isTrue(word) ? ['/var/tmp'] : []) },
  Where: { in: ['Mount', 'Automount'], of: (word) => [word.replace(/\/+[^/]*\/*$/, '')] },
  What: { in: ['Mount', 'Swap'] },
  ListenStream: SOCKET,
  ListenDatagram: SOCKET,
  ListenSequentialPacket: SOCKET,
  ListenFIFO: SOCKET,
  ListenSpecial: SOCKET,
  ListenUSBFunction: SOCKET,
  PathExists: PATH,
  PathExistsGlob: PATH,
  PathChanged: PATH,
  PathModified: PATH,
  DirectoryNotEmpty: PATH,
};

/** The specifiers of systemd.unit(5) that are the same folder on every machine. */
const MOUNT_FOLDERS: Readonly<Record<string, string>> = {
  '%t': '/run',
  '%S': '/var/lib',
  '%C': '/var/cache',
  '%L': '/var/log',
  '%E': '/etc',
  '%T': '/tmp',
  '%V': '/var/tmp',
};

function pathsOf({ name, section }: UnitOption): Paths | undefined {
  const paths = Object.hasOwn(MOUNT_OPTIONS, name) ? MOUNT_OPTIONS[name] : undefined;
  return paths?.in.includes(section) === true ? paths : undefined;
}

/** The mount units of every path that an option needs, and of the folders above. */
function mountsIn(option: UnitOption, name: UnitName): readonly Dependency[] {
  const paths = pathsOf(option);
  if (paths === undefined) return [];
  return (splitWords(joinedValue(option)) ?? []).flatMap((written) => {
    const word = expandSpecifiers(written, name).replace(
      /%[tSCLETV]/g,
      (each) => MOUNT_FOLDERS[each] ?? each,
    );
    const source = `${option.name}=${word} in line ${option.line}`;
    const units = (paths.of?.(word) ?? [word]).flatMap(mountsOf);
    return units.map((unit) => ({ kind: 'RequiresMountsFor', unit, source }));
  });
}

/** `run-mnt.mount` and `run.mount` for `/run/mnt`; none for a text that is not an absolute path. */
function mountsOf(path: string): readonly string[] {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (!path.startsWith('/') || parts.includes('..')) return [];
  return parts.map((_, index) => `${escapeName(parts.slice(0, parts.length - index).join('/'))}.mount`);
}
