import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, inject } from 'vitest';
import { claimSlot, clusterIn, folderOf } from './slot.ts';

/** The cluster of this file of tests. */
const SLOT = await claimSlot();
export const CLUSTER_FOLDER = folderOf(SLOT);

/** First three parts of the addresses of the machines. */
export const SUBNET = `127.76.${SLOT}`;

/** The key that every user of every machine lets in, and the host keys of the machines. */
export const IDENTITY_FILE = join(CLUSTER_FOLDER, 'id_ed25519');
export const KNOWN_HOSTS_FILE = join(CLUSTER_FOLDER, 'known_hosts');

declare module 'vitest' {
  interface ProvidedContext {
    /** Folder of the program as built for this run; empty where the machines cannot be started. */
    program: string;
  }
}

/**
 * Tests on machines k1, k2 and k3: all of them are well, and have nothing of fleet, when the first one starts.
 * Skipped on a box that cannot run them.
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

/** The public host key of a machine as in a line of known_hosts: type, space, base64. */
export function hostKeyOf(machine: string): string {
  const start = `${addressOf(machine)} `;
  const line = readFileSync(KNOWN_HOSTS_FILE, 'utf8')
    .split('\n')
    .find((each) => each.startsWith(start));
  return line?.slice(start.length) ?? '';
}

/** One verb of the cluster script, see its help: `cluster('kill', 'k2')`. Rejects with what it printed. */
export async function cluster(...words: readonly string[]): Promise<string> {
  return clusterIn(SLOT, ...words);
}

/** Runs a shell script inside a machine, not over the network, and returns what it printed. */
export function inside(machine: string, script: string): Promise<string> {
  return cluster('exec', machine, '/bin/sh', '-euc', script);
}

/** The same in several machines at once. */
export function insideAll(machines: readonly string[], script: string): Promise<readonly string[]> {
  return Promise.all(machines.map((machine) => inside(machine, script)));
}

/** Waits until a shell command succeeds inside a machine; rejects when it has not within ten seconds. */
export async function until(machine: string, command: string): Promise<void> {
  await inside(machine, `for try in $(seq 200); do if ${command}; then exit 0; fi; sleep 0.05; done; exit 1`);
}

const MACHINES = ['k1', 'k2', 'k3'];

async function restoreMachines(): Promise<void> {
  if (!existsSync(CLUSTER_FOLDER)) await cluster('up', `${MACHINES.length}`);
  for (const verb of ['resume', 'heal', 'unfill']) await cluster(verb, ...MACHINES);
  await cluster('up', `${MACHINES.length}`);
  await wipe(...MACHINES);
}

/** Starts machines beyond the third, with nothing of those who had them before. */
export async function add(...machines: readonly string[]): Promise<void> {
  await cluster('up', `${MACHINES.length + machines.length}`);
  await wipe(...machines);
}

/** Takes everything of fleet from machines, as if no cluster had ever owned them. */
export async function wipe(...machines: readonly string[]): Promise<void> {
  await insideAll(
    machines,
    `cd /etc/systemd/system
    units=$(ls /var/lib/fleet/units 2>/dev/null || true)
    for unit in $units; do case "$unit" in *@.*) ;; *) systemctl stop -- "$unit" ;; esac; done
    [ -z "$units" ] || rm -f -- $units
    rm -rf .fleet-* fleet.target* multi-user.target.wants/fleet.target /var/lib/fleet
    systemctl daemon-reload
    systemctl reset-failed`,
  );
}
