import { type Edges, reconcile } from '../reconcile/reconcile.ts';
import { unitNameOf } from './local-file.ts';
import { missing } from './set-target-state.ts';
import { type RequestResult, type UnitProblem, unitResults } from './unit-result.ts';

/**
 * Stops units, waits for that, takes them from their machines and then from the registry. A unit that could
 * not be taken from a machine stays in the registry, inactive, so that it is not forgotten where it still is.
 */
export async function destroy(edges: Edges, arguments_: readonly string[]): Promise<RequestResult> {
  const names = [...new Set(arguments_.map((argument) => unitNameOf(argument).text))];
  let problems: UnitProblem[] = [];
  const view = await edges.registry.update((current) => {
    problems = [];
    return names.flatMap((name) => {
      const unit = current.units.get(name);
      if (unit === undefined) return missing(problems, name);
      return unit.target === 'inactive'
        ? []
        : [{ kind: 'put-unit', unit: { ...unit, target: 'inactive' } } as const];
    });
  });
  const scope = new Set(names.filter((name) => view.units.has(name)));
  if (scope.size === 0) return { results: [], problems, differing: [] };
  const results = unitResults(await reconcile(edges, scope));
  const gone = results.filter(({ failures }) => failures.length === 0);
  await edges.registry.update((current) =>
    // Somebody may have started it again meanwhile: then it is theirs.
    gone
      .filter(({ unit }) => current.units.get(unit)?.target === 'inactive')
      .map(({ unit }) => ({ kind: 'delete-unit', name: unit }) as const),
  );
  return { results, problems, differing: [] };
}
