import type { Ports } from '../reconcile/ports.ts';
import { expandGlobs } from './expand-globs.ts';
import { idleTriggers } from './idle-triggers.ts';
import { unitNameOf } from './local-file.ts';
import type { SubmitRequest } from './submit.ts';
import type { UnitProblem } from './unit-result.ts';

/**
 * What of a request can be acted on: globs expanded, and without timers, sockets, paths and automounts that have
 * nothing to start. The rest are problems, found before anything is written.
 */
export async function actionable(
  ports: Ports,
  request: SubmitRequest,
  verb: 'start' | 'load' | 'submit',
): Promise<{ readonly request: SubmitRequest; readonly problems: readonly UnitProblem[] }> {
  const templates = verb === 'submit' ? 'with templates' : 'without templates';
  const expanded = await expandGlobs(ports.registry, request, templates);
  const idle = await idleTriggers(ports, expanded.request, verb);
  const left = new Set(idle.map(({ unit }) => unit));
  const units = expanded.request.units.filter((argument) => !left.has(unitNameOf(argument).text));
  return { request: { ...request, units }, problems: [...expanded.unmatched, ...idle] };
}
