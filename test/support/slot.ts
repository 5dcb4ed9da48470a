import { execFile } from 'node:child_process';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const SCRIPT = new URL('../../examples/cluster/cluster', import.meta.url).pathname;

/** How many files of tests on real machines run at once, each with a cluster of its own. They mostly wait. */
export const SLOTS = 4;

/**
 * The first slot that no process on this box has. An abstract socket holds it, which the kernel lets go with the process
 * (unix(7)); numbers of workers do not do, because vitest gives the same one to workers of two projects.
 */
export async function claimSlot(): Promise<number> {
  for (let slot = 0; slot < SLOTS; slot++) if (await isOurs(slot)) return slot;
  throw new Error(`all ${SLOTS} clusters for tests are in use`);
}

function isOurs(slot: number): Promise<boolean> {
  return new Promise((resolve) => {
    const holder = createServer()
      .once('error', () => resolve(false))
      .listen(`\0fleet-e2e-${slot}`, () => resolve(true));
    holder.unref();
  });
}

/** One folder for every run, so that a run takes down what one that was killed has left. */
export function folderOf(slot: number): string {
  return join(tmpdir(), `fleet-e2e-${slot}`);
}

/** One verb of the cluster script for the cluster of that slot. Rejects with what it printed. */
export async function clusterIn(slot: number, ...words: readonly string[]): Promise<string> {
  const env = {
    ...process.env,
    FLEET_CLUSTER_DIR: folderOf(slot),
    FLEET_CLUSTER_SUBNET: `127.76.${slot}`,
    // The ids of k1, k2, k3 and k4, made from these names, sort like the names; so do the rows of tables.
    FLEET_CLUSTER_PREFIX: 'k',
  };
  const { stdout } = await run(SCRIPT, words, { env });
  return stdout;
}
