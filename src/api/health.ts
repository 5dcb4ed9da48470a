import { isFleetError } from '../base/errors.ts';
import { type Answer, json } from './answer.ts';
import type { Cluster } from './cluster.ts';

/**
 * 200 while the controller can do its work, as leader or as one that stands by; else 503. What is wrong is in the body,
 * in one line each.
 */
export async function health(cluster: Cluster): Promise<Answer> {
  const reasons = (await troubles(cluster)).map((reason) => reason.replaceAll('\n', ' '));
  return json(
    { healthy: reasons.length === 0, reasons, leads: cluster.leads },
    reasons.length === 0 ? 200 : 503,
  );
}

async function troubles({ registry, watcher, electionError }: Cluster): Promise<readonly string[]> {
  const reasons = watcher.troubles.map(({ message }) => message);
  if (!watcher.isAwake) reasons.push('the loop does not turn');
  if (electionError !== undefined) reasons.push(`cannot stand for election: ${electionError.message}`);
  try {
    await registry.load();
    if (watcher.snapshot === undefined) reasons.push('not every machine was asked yet');
  } catch (error) {
    if (!isFleetError(error)) throw error;
    if (!reasons.some((reason) => reason.includes(error.message))) reasons.push(error.message);
  }
  return reasons;
}
