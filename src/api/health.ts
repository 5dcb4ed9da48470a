import { type Answer, json } from './answer.ts';
import type { Cluster } from './cluster.ts';

/**
 * 200 while the controller can do its work, as leader or as one that stands by; else 503. What is wrong is in the body,
 * in one line each.
 */
export async function health(cluster: Cluster): Promise<Answer> {
  const reasons = (await cluster.reasons()).map((reason) => reason.replaceAll('\n', ' '));
  return json(
    { healthy: reasons.length === 0, reasons, leads: cluster.leads },
    reasons.length === 0 ? 200 : 503,
  );
}
