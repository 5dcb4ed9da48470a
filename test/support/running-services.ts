import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CLUSTER_FOLDER } from './cluster.ts';

/**
 * The services with processes on each machine whose names match. They are read from the cgroups of this box, so that it
 * works for machines that hang or are cut off.
 */
export function runningServices(
  machines: readonly string[],
  pattern: RegExp,
): ReadonlyMap<string, ReadonlySet<string>> {
  return new Map(machines.map((machine) => [machine, servicesOf(machine, pattern)]));
}

/** The machines on which a unit has processes, in the order of `machines`. */
export function machinesRunning(unit: string, machines: readonly string[]): readonly string[] {
  const running = runningServices(machines, /./);
  return machines.filter((machine) => running.get(machine)?.has(unit));
}

function servicesOf(machine: string, pattern: RegExp): ReadonlySet<string> {
  const top = join(cgroupOf(machine), 'payload/system.slice');
  const slices = ['.', ...foldersOf(top).filter((name) => name.endsWith('.slice'))];
  const services = slices.flatMap((slice) =>
    foldersOf(join(top, slice))
      .filter((name) => name.endsWith('.service') && pattern.test(name))
      .map((name) => ({ name: unescaped(name), folder: join(top, slice, name) })),
  );
  return new Set(services.filter(({ folder }) => isPopulated(folder)).map(({ name }) => name));
}

function foldersOf(path: string): readonly string[] {
  try {
    return readdirSync(path, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? entry.name : [],
    );
  } catch {
    return []; // The machine does not run.
  }
}

function isPopulated(folder: string): boolean {
  try {
    return readFileSync(join(folder, 'cgroup.events'), 'utf8').includes('populated 1');
  } catch {
    return false; // It has ended.
  }
}

/** systemd prefixes names that are reserved in cgroups with `_`. */
function unescaped(name: string): string {
  return name.replace(/^_/, '');
}

/** The cluster script uses the same names. */
function cgroupOf(machine: string): string {
  const id = createHash('md5').update(CLUSTER_FOLDER).digest('hex').slice(0, 8);
  return join(cgroups(), `fleet-cluster-${id}`, machine);
}

let mounted: string | undefined;

function cgroups(): string {
  mounted ??= readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .find(([, path = '', type]) => type === 'cgroup2' && existsSync(path))?.[1];
  return mounted ?? '/sys/fs/cgroup';
}
