import type { Ports } from '../reconcile/ports.ts';
import { reconcile } from '../reconcile/reconcile.ts';
import { contradictionsOf } from './contradictions.ts';
import { type Requested, withOverruled } from './overruled.ts';
import { selectUnits } from './select-units.ts';
import { type RequestResult, requestResult, type UnitProblem } from './unit-result.ts';

/**
 * Stops units, waits, and removes them from their machines and then from the registry. A unit that could not be removed
 * from a machine stays in the registry as inactive, so that a later pass removes it.
 */
export async function destroy(ports: Ports, arguments_: readonly string[]): Promise<RequestResult> {
  let problems: readonly UnitProblem[] = [];
  let kept: readonly string[] = [];
  let scope: ReadonlySet<string> = new Set();
  const known = await ports.registry.update((view) => {
    const selected = selectUnits(arguments_, view);
    const contradictions = contradictionsOf(selected.units, 'destroy', view);
    const refused = new Set(contradictions.map(({ unit }) => unit));
    const units = selected.units.filter(({ name }) => !refused.has(name));
    problems = [...selected.problems, ...contradictions];
    kept = selected.units.length === 0 ? [] : selected.templates;
    scope = new Set(units.map(({ name }) => name));
    return units
      .filter(({ target }) => target !== 'inactive')
      .map((unit) => ({ kind: 'put-unit', unit: { ...unit, target: 'inactive' } }) as const);
  });
  if (scope.size === 0) return requestResult(undefined, problems);
  const taken = requestResult(await reconcile(ports, scope, { known }), problems);
  const requested = [...scope].map((unit): Requested => ({ unit, targets: ['inactive'], text: undefined }));
  let request = taken;
  await ports.registry.update((current) => {
    // Another command may have started it again: then it is not deleted.
    request = withOverruled(requested, taken, current, ports.clock.now());
    return request.results
      .filter(({ unit, failures }) => scope.has(unit) && failures.length === 0 && current.units.has(unit))
      .map(({ unit }) => ({ kind: 'delete-unit', name: unit }) as const);
  });
  return { ...request, kept };
}
