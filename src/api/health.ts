import { type Answer, json } from './answer.ts';
import type { Cluster } from './cluster.ts';

/**
 * 200 while the controller can do its work, as leader or as one that stands by; else 503. What is wrong is in the body,
 * in one line each; `warnings` are about single machines, which must not have a controller restarted.
 */
export async function health(cluster: Cluster): Promise<Answer> {
  const { reasons, warnings } = await cluster.health();
  const line = (text: string): string => text.replaceAll('\n', ' ');
  const healthy = reasons.length === 0;
  return json(
    { healthy, reasons: reasons.map(line), warnings: warnings.map(line), leads: cluster.leads },
    healthy ? 200 : 503,
  );
}
