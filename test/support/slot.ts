import { execFile } from 'node:child_process';
import { createServer } from 'node:net';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const SCRIPT = new URL('../../examples/cluster/cluster', import.meta.url).pathname;

/** The number of test files that run in parallel. Those on real machines have a cluster each, and mostly wait. */
export const SLOTS = availableParallelism() + 6;

/**
 * Claims the first free slot of this box with an abstract socket, which the kernel closes with the process (unix(7)).
 * Worker numbers cannot be used, because vitest gives the same number to workers of two projects.
 */
export async function claimSlot(): Promise<number> {
  for (let slot = 0; slot < SLOTS; slot++) if (await tryClaim(slot)) return slot;
  throw new Error(`all ${SLOTS} clusters for tests are in use`);
}

function tryClaim(slot: number): Promise<boolean> {
  return new Promise((resolve) => {
    const holder = createServer()
      .once('error', () => resolve(false))
      .listen(`\0fleet-e2e-${slot}`, () => resolve(true));
    holder.unref();
  });
}

/** Every run uses the same folder, so that a run also removes what a killed run left. */
export function folderOf(slot: number): string {
  return join(tmpdir(), `fleet-e2e-${slot}`);
}

/** Runs a verb of the cluster script for the cluster of that slot. Rejects with its output. */
export async function clusterIn(slot: number, ...words: readonly string[]): Promise<string> {
  const env = {
    ...process.env,
    FLEET_CLUSTER_DIR: folderOf(slot),
    FLEET_CLUSTER_SUBNET: `127.76.${slot}`,
    // The ids of k1, k2, k3 and k4 are derived from the names and sort like them, and so do the rows of tables.
    FLEET_CLUSTER_PREFIX: 'k',
    // A login takes 40 % less CPU time if the server does not execute itself again (-r), and OpenSSL does the key exchange.
    FLEET_CLUSTER_SSHD: '-r -o KexAlgorithms=ecdh-sha2-nistp256',
    // systemd-nspawn compiles no filter of system calls, which takes most of its CPU time.
    SYSTEMD_SECCOMP: '0',
  };
  const { stdout } = await run(SCRIPT, words, { env });
  return stdout;
}
