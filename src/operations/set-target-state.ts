import { FleetError } from '../base/errors.ts';
import type { DesiredUnit } from '../cluster/snapshot.ts';
import type { TargetState } from '../cluster/target-state.ts';
import { type Edges, reconcile } from '../reconcile/reconcile.ts';
import type { Edit } from '../registry/registry.ts';
import { isTemplate } from '../unit/unit-name.ts';
import { unitNameOf } from './local-file.ts';
import { submit } from './submit.ts';
import { type RequestResult, type UnitProblem, unitResults } from './unit-result.ts';

/** `start`: submits what is new, then brings every unit to `launched`. */
export function start(edges: Edges, arguments_: readonly string[], cwd: string): Promise<RequestResult> {
  return raise(edges, arguments_, cwd, 'start', () => 'launched');
}

/** `load`: submits what is new, then brings every unit to `loaded`. One that is launched stays launched. */
export function load(edges: Edges, arguments_: readonly string[], cwd: string): Promise<RequestResult> {
  return raise(edges, arguments_, cwd, 'load', (unit) =>
    unit.target === 'launched' ? 'launched' : 'loaded',
  );
}

/** `stop`: from `launched` to `loaded`; the unit stays on its machine. */
export function stop(edges: Edges, arguments_: readonly string[]): Promise<RequestResult> {
  return lower(edges, arguments_, (unit) =>
    unit.target === 'inactive'
      ? new FleetError('not-loaded', `Cannot stop unit "${unit.name}": it is not loaded`, {
          hint: `Where it stands: fleetctl list-unit-files`,
        })
      : 'loaded',
  );
}

/** `unload`: stops the unit and takes it from its machine; the registry keeps it. */
export function unload(edges: Edges, arguments_: readonly string[]): Promise<RequestResult> {
  return lower(edges, arguments_, () => 'inactive');
}

async function raise(
  edges: Edges,
  arguments_: readonly string[],
  cwd: string,
  verb: string,
  aim: (unit: DesiredUnit) => TargetState,
): Promise<RequestResult> {
  for (const argument of arguments_) refuseTemplate(argument, verb);
  const { units, problems, differing } = await submit(edges.registry, arguments_, cwd, aim);
  return { results: await pass(edges, units), problems, differing };
}

async function lower(
  edges: Edges,
  arguments_: readonly string[],
  aim: (unit: DesiredUnit) => TargetState | FleetError,
): Promise<RequestResult> {
  const names = [...new Set(arguments_.map((argument) => unitNameOf(argument).text))];
  let problems: UnitProblem[] = [];
  let units: readonly DesiredUnit[] = [];
  await edges.registry.update((view) => {
    problems = [];
    units = names.flatMap((name) => view.units.get(name) ?? missing(problems, name));
    return units.flatMap((unit): readonly Edit[] => {
      const target = aim(unit);
      if (typeof target !== 'string') problems.push({ unit: unit.name, error: target });
      if (typeof target !== 'string' || target === unit.target) return [];
      return [{ kind: 'put-unit', unit: { ...unit, target } }];
    });
  });
  const refused = new Set(problems.map(({ unit }) => unit));
  const results = await pass(
    edges,
    units.filter(({ name }) => !refused.has(name)),
  );
  return { results, problems, differing: [] };
}

async function pass(edges: Edges, units: readonly DesiredUnit[]): Promise<RequestResult['results']> {
  if (units.length === 0) return [];
  return unitResults(await reconcile(edges, new Set(units.map(({ name }) => name))));
}

function refuseTemplate(argument: string, verb: string): void {
  const name = unitNameOf(argument);
  if (!isTemplate(name)) return;
  throw new FleetError(
    'usage',
    `Cannot ${verb} template "${name.text}": it is a pattern for units, not a unit`,
    {
      hint: `Name an instance of it: fleetctl ${verb} ${name.prefix}@1.${name.type}`,
    },
  );
}

/** Notes that the registry has no such unit. */
export function missing(problems: UnitProblem[], name: string): readonly [] {
  const error = new FleetError('unit-not-found', `No such unit: "${name}"`, {
    hint: 'Units in the registry: fleetctl list-unit-files',
  });
  problems.push({ unit: name, error });
  return [];
}
