import { type ClusterSnapshot, observedOn } from '../cluster/snapshot.ts';
import { isForeign, originOf } from '../cluster/unit-state.ts';
import type { Ports } from '../reconcile/ports.ts';
import { reconcile } from '../reconcile/reconcile.ts';
import { selectToLower } from './contradictions.ts';
import { machineRef } from './listing.ts';
import { overruleAndDelete, requestedTarget } from './overruled.ts';
import { type ForeignUnit, type RequestResult, requestResult, type UnitProblem } from './unit-result.ts';

/**
 * Stops units, waits, and removes them from their machines and then from the registry. A unit that could not be removed
 * from a machine stays in the registry as inactive, so that a later pass removes it.
 */
export async function destroy(ports: Ports, arguments_: readonly string[]): Promise<RequestResult> {
  let problems: readonly UnitProblem[] = [];
  let kept: readonly string[] = [];
  let scope: ReadonlySet<string> = new Set();
  const known = await ports.registry.update((view) => {
    const selected = selectToLower(arguments_, 'destroy', view);
    ({ problems, templates: kept } = selected);
    scope = new Set(selected.units.map(({ name }) => name));
    return selected.units
      .filter(({ target }) => target !== 'inactive')
      .map((unit) => ({ kind: 'put-unit', unit: { ...unit, target: 'inactive' } }) as const);
  });
  if (scope.size === 0) return requestResult(undefined, problems);
  const report = await reconcile(ports, scope, { known });
  const foreign = [...scope].flatMap((unit) => foreignCopies(unit, report.snapshot));
  const result = { ...requestResult(report, problems), kept, foreign };
  return overruleAndDelete(ports, requestedTarget(scope, 'inactive'), result, scope);
}

function foreignCopies(unit: string, { machines }: ClusterSnapshot): readonly ForeignUnit[] {
  return machines.flatMap((view) => {
    const observed = observedOn(view, unit);
    if (observed === undefined || !isForeign(observed)) return [];
    return [{ unit, machine: machineRef(view), path: originOf(observed) }];
  });
}
