import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, inject } from 'vitest';
import { claimSlot, clusterIn, folderOf } from './slot.ts';

/** This test file has its own cluster. */
const SLOT = await claimSlot();
export const CLUSTER_FOLDER = folderOf(SLOT);

/** The first three octets of the addresses of the machines. */
export const SUBNET = `127.76.${SLOT}`;

/** The key that is authorized for every user of every machine, and the host keys of the machines. */
export const IDENTITY_FILE = join(CLUSTER_FOLDER, 'id_ed25519');
export const KNOWN_HOSTS_FILE = join(CLUSTER_FOLDER, 'known_hosts');

declare module 'vitest' {
  interface ProvidedContext {
    /** Folder of the program that was built for this run; empty if machines cannot run here. */
    program: string;
  }
}

/**
 * Tests on the machines k1, k2 and k3. Before the first test, all of them are running and have no files of fleet.
 * The tests are skipped on a box that cannot run machines.
 */
export function onMachines(title: string, body: () => void): void {
  describe.skipIf(inject('program') === '')(title, () => {
    beforeAll(restoreMachines);
    body();
  });
}

export function addressOf(machine: string): string {
  return `${SUBNET}.${machine.slice(1)}`;
}

/** The public host key of a machine in the format of known_hosts: type, space, base64. */
export function hostKeyOf(machine: string): string {
  const start = `${addressOf(machine)} `;
  const line = readFileSync(KNOWN_HOSTS_FILE, 'utf8')
    .split('\n')
    .find((each) => each.startsWith(start));
  return line?.slice(start.length) ?? '';
}

export const MACHINES: readonly string[] = ['k1', 'k2', 'k3'];

/** The verbs that disturb a machine until another verb repairs it. */
const REPAIRS: Readonly<Record<string, string>> = { hang: 'resume', cut: 'heal', fill: 'unfill' };
/** The machines that each repair is missing on. Those of an earlier process may miss all. */
const missing: ReadonlyMap<string, Set<string>> = new Map(
  Object.values(REPAIRS).map((verb) => [verb, new Set(existsSync(CLUSTER_FOLDER) ? MACHINES : [])]),
);

/** Runs a verb of the cluster script, for example `cluster('kill', 'k2')`. Rejects with its output. */
export async function cluster(verb: string, ...words: readonly string[]): Promise<string> {
  for (const word of words) missing.get(REPAIRS[verb] ?? '')?.add(word);
  const said = await clusterIn(SLOT, verb, ...words);
  for (const word of words) missing.get(verb)?.delete(word);
  return said;
}

const run = promisify(execFile);
/** Like `cluster exec`, which takes ten times as long. */
const ENTER = `read -r leader <"$1/payload/init.scope/cgroup.procs"
  echo $$ >"$1/payload/exec/cgroup.procs"
  exec nsenter --target "$leader" --mount --uts --ipc --pid --cgroup --root --wd -- /bin/sh -euc "$2"`;
const ENVIRONMENT = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin',
  HOME: '/root',
  LANG: 'C.UTF-8',
  TERM: 'dumb',
};

/** Runs a shell script inside a machine, not over the network, and returns its output. */
export async function inside(machine: string, script: string): Promise<string> {
  const folder = cgroupOf(machine);
  if (hasEvent(folder, 'frozen 1')) throw new Error(`${machine} hangs`);
  mkdirSync(join(folder, 'payload/exec'), { recursive: true });
  const words = ['-euc', ENTER, 'sh', folder, script];
  return (await run('/bin/sh', words, { env: ENVIRONMENT })).stdout;
}

export function insideAll(machines: readonly string[], script: string): Promise<readonly string[]> {
  return Promise.all(machines.map((machine) => inside(machine, script)));
}

/** Waits until a shell command succeeds inside a machine; rejects after thirty seconds. */
export async function until(machine: string, command: string): Promise<void> {
  await inside(machine, `for try in $(seq 150); do if ${command}; then exit 0; fi; sleep 0.2; done; exit 1`);
}

async function restoreMachines(): Promise<void> {
  for (const [verb, machines] of missing) if (machines.size > 0) await cluster(verb, ...machines);
  if (!(await Promise.all(MACHINES.map(answers))).every(Boolean)) await cluster('up', `${MACHINES.length}`);
  await wipe(...MACHINES);
}

/** Whether the SSH server of a machine answers within a second. */
function answers(machine: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: addressOf(machine), port: 22, timeout: 1000 });
    const end = (isUp: boolean) => (): void => {
      socket.destroy();
      resolve(isUp);
    };
    socket.on('data', end(true)).on('error', end(false)).on('close', end(false)).on('timeout', end(false));
  });
}

/** Starts machines after the third, and removes the files of earlier tests. */
export async function add(...machines: readonly string[]): Promise<void> {
  await cluster('up', `${MACHINES.length + machines.length}`);
  await wipe(...machines);
}

/**
 * Removes all units and files of fleet from machines. Kills what earlier tests left: machines complete scripts that they have received,
 * even if fleetctl was killed.
 */
export async function wipe(...machines: readonly string[]): Promise<void> {
  await insideAll(
    machines,
    `read -r main </run/sshd.pid || main=
    for pid in $(cat /sys/fs/cgroup/system.slice/sshd.service/cgroup.procs); do
      [ "$pid" = "$main" ] || kill -KILL "$pid" 2>/dev/null || true
    done
    cd /etc/systemd/system
    units=$(ls /var/lib/fleet/units 2>/dev/null || true)
    set --
    for unit in $units; do case "$unit" in *@.*) ;; *) set -- "$@" "$unit" ;; esac; done
    [ $# -eq 0 ] || systemctl stop -- "$@" || [ $? -eq 5 ] # 5: not loaded
    [ -z "$units" ] || rm -f -- $units
    [ ! -d /run/fleet ] || systemctl stop fleet-lease.service 2>/dev/null || true
    rm -rf .fleet-* fleet.target* multi-user.target.wants/fleet.target /var/lib/fleet /run/fleet /run/systemd/system/fleet-lease.service
    systemctl daemon-reload
    systemctl reset-failed`,
  );
}

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
  return new Set(services.filter(({ folder }) => hasEvent(folder, 'populated 1')).map(({ name }) => name));
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

function hasEvent(folder: string, event: string): boolean {
  try {
    return readFileSync(join(folder, 'cgroup.events'), 'utf8').includes(event);
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
