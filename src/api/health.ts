import { isFleetError } from '../base/errors.ts';
import { type Answer, json } from './answer.ts';
import type { Cluster } from './cluster.ts';

/** 200 while the loop turns and the registry can be read, else 503; the reasons are in the body. */
export async function health(cluster: Cluster): Promise<Answer> {
  const reasons = await troubles(cluster);
  return json(
    { healthy: reasons.length === 0, reasons, leads: cluster.leads },
    reasons.length === 0 ? 200 : 503,
  );
}

async function troubles({ registry, watcher }: Cluster): Promise<readonly string[]> {
  const reasons: string[] = [];
  if (!watcher.isAwake) reasons.push('the loop does not turn');
  try {
    await registry.load();
    if (watcher.registryError !== undefined) reasons.push(watcher.registryError.message);
    if (watcher.snapshot === undefined) reasons.push('not every machine was asked yet');
  } catch (error) {
    if (!isFleetError(error)) throw error;
    reasons.push(error.message);
  }
  return reasons;
}
