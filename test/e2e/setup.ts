import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { buildProgram } from '../support/bundle.ts';
import { clusterIn, folderOf, SLOTS } from '../support/slot.ts';

const ROOT = new URL('../..', import.meta.url).pathname;

/** Builds the program from the source before the first test file, and removes machines that an earlier run left. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const obstacle = whyNot();
  if (obstacle !== undefined) {
    process.stderr.write(`The tests on real machines are skipped: ${obstacle}\n`);
    project.provide('program', '');
    return async () => undefined;
  }
  const release = await takeTurn();
  const program = mkdtempSync(join(tmpdir(), 'fleet-program-'));
  // Other users of the box run it, too.
  chmodSync(program, 0o755);
  const takeDown = async (): Promise<void> => {
    await takeDownClusters();
    rmSync(program, { recursive: true });
    release();
  };
  try {
    buildProgram(program);
    await takeDownClusters();
  } catch (error) {
    await takeDown();
    throw error;
  }
  project.provide('program', program);
  return takeDown;
}

async function takeDownClusters(): Promise<void> {
  await Promise.all(Array.from({ length: SLOTS }, (_, slot) => clusterIn(slot, 'down')));
}

/** Waits until no other run of these tests uses the clusters of this box. Returns the function that releases them. */
async function takeTurn(): Promise<() => void> {
  // The lock on a folder needs no clean-up: when this process ends, its end of the pipe closes, and cat ends with it.
  const holder = spawn('flock', [dirname(folderOf(0)), 'sh', '-c', 'echo mine; exec cat >/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const waiting = setTimeout(
    () => process.stderr.write('Waiting for another run of these tests to end\n'),
    2000,
  );
  await once(holder.stdout, 'data');
  clearTimeout(waiting);
  return () => holder.stdin.end();
}

function whyNot(): string | undefined {
  const { status, stderr } = spawnSync(join(ROOT, 'examples/cluster/cluster'), ['check'], {
    encoding: 'utf8',
  });
  return status === 0 ? undefined : stderr.trim();
}
