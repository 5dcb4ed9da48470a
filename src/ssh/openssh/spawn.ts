import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { causeText, FleetError, remedyOf } from '../../base/errors.ts';

/**
 * Starts a program of this computer; its streams are there when this resolves. Rejects with FleetError `local` when it
 * cannot be started, for want of descriptors, processes or the program.
 */
export async function spawnHere(
  program: string,
  words: readonly string[],
  options: SpawnOptions,
): Promise<ChildProcess> {
  const child = spawn(program, words, options);
  if (child.pid !== undefined) return child;
  const [cause] = (await once(child, 'error')) as [Error];
  const hint = remedyOf(cause);
  throw new FleetError('local', `Cannot start ${program} on this computer: ${causeText(cause)}`, {
    ...(hint !== undefined && { hint }),
    cause,
  });
}
