import { splitWords } from './fleet-section.ts';
import { escapeName, expandSpecifiers } from './specifiers.ts';
import { isTrue, joinedValue, type UnitOption } from './unit-file.ts';
import type { UnitName } from './unit-name.ts';

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
const OPTIONS: Readonly<Record<string, Paths>> = {
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
const FOLDERS: Readonly<Record<string, string>> = {
  '%t': '/run',
  '%S': '/var/lib',
  '%C': '/var/cache',
  '%L': '/var/log',
  '%E': '/etc',
  '%T': '/tmp',
  '%V': '/var/tmp',
};

/** Whether an option can need mounts. */
export function needsMounts(option: UnitOption): boolean {
  return pathsOf(option) !== undefined;
}

function pathsOf({ name, section }: UnitOption): Paths | undefined {
  const paths = Object.hasOwn(OPTIONS, name) ? OPTIONS[name] : undefined;
  return paths?.in.includes(section) === true ? paths : undefined;
}

/** The mount units of every path that an option needs, and of the folders above, each with its word of the option. */
export function mountsBelow(
  option: UnitOption,
  name: UnitName,
): readonly { readonly unit: string; readonly word: string }[] {
  const paths = pathsOf(option);
  if (paths === undefined) return [];
  return (splitWords(joinedValue(option)) ?? []).flatMap((written) => {
    const word = expandSpecifiers(written, name).replace(/%[tSCLETV]/g, (each) => FOLDERS[each] ?? each);
    return (paths.of?.(word) ?? [word]).flatMap(mountsOf).map((unit) => ({ unit, word }));
  });
}

/** `run-mnt.mount` and `run.mount` for `/run/mnt`; none for a text that is not an absolute path. */
function mountsOf(path: string): readonly string[] {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (!path.startsWith('/') || parts.includes('..')) return [];
  return parts.map((_, index) => `${escapeName(parts.slice(0, parts.length - index).join('/'))}.mount`);
}
