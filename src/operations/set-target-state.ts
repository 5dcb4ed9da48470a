import { basename } from 'node:path';
import { FleetError } from '../base/errors.ts';
import { isGlob } from '../base/glob.ts';
import type { DesiredUnit } from '../cluster/snapshot.ts';
import type { TargetState } from '../cluster/target-state.ts';
import { type Edges, type ReconcileReport, reconcile } from '../reconcile/reconcile.ts';
import type { Edit } from '../registry/edit.ts';
import { isTemplate } from '../unit/unit-name.ts';
import { actionable } from './actionable.ts';
import { awaitLease } from './await-lease.ts';
import { unitNameOf } from './local-file.ts';
import { selectUnits } from './select-units.ts';
import { startedAlone } from './started-alone.ts';
import { type Submission, type SubmitRequest, submit } from './submit.ts';
import { type RequestResult, requestResult, type UnitProblem } from './unit-result.ts';

/** `submit`: puts unit files into the registry. Where a text was replaced, machines get the new one. */
export async function submitUnits(
  edges: Edges,
  request: SubmitRequest,
): Promise<RequestResult & Pick<Submission, 'created'>> {
  const asked = await actionable(edges, request, 'submit');
  const { created, replaced, outgoing, problems, differing } = await submit(edges.registry, asked.request);
  const names = new Set([...replaced, ...outgoing]);
  const report = await pass(edges, names);
  return { ...requestResult(report, [...asked.problems, ...problems], differing), created };
}

/** `start`: submits what is new, then brings every unit to `launched`. */
export function start(edges: Edges, request: SubmitRequest): Promise<RequestResult> {
  return raise(edges, request, 'start', () => 'launched');
}

/** `load`: submits what is new, then brings every unit to `loaded`. One that is launched stays launched. */
export function load(edges: Edges, request: SubmitRequest): Promise<RequestResult> {
  return raise(edges, request, 'load', (unit) => (unit.target === 'launched' ? 'launched' : 'loaded'));
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
  request: SubmitRequest,
  verb: 'start' | 'load',
  aim: (unit: DesiredUnit) => TargetState,
): Promise<RequestResult> {
  for (const unit of request.units.filter((each) => !isGlob(basename(each)))) refuseTemplate(unit, verb);
  const asked = await actionable(edges, request, verb);
  const submission = await submit(edges.registry, asked.request, aim);
  const { units, replaced, outgoing, differing } = submission;
  const problems = [...submission.problems, ...asked.problems];
  const names = new Set([...units.map(({ name }) => name), ...replaced, ...outgoing]);
  await awaitLease(edges, units, request.leaseWaitMs ?? 0);
  const report = await pass(edges, names);
  return {
    ...requestResult(report, problems, differing),
    alone: startedAlone(names, report?.snapshot.units ?? []),
  };
}

async function lower(
  edges: Edges,
  arguments_: readonly string[],
  aim: (unit: DesiredUnit) => TargetState | FleetError,
): Promise<RequestResult> {
  let problems: UnitProblem[] = [];
  let names = new Set<string>();
  await edges.registry.update((view) => {
    const selected = selectUnits(arguments_, view);
    problems = [...selected.problems];
    names = new Set();
    return selected.units.flatMap((unit): readonly Edit[] => {
      const target = aim(unit);
      if (typeof target !== 'string') {
        problems.push({ unit: unit.name, error: target });
        return [];
      }
      names.add(unit.name);
      return target === unit.target ? [] : [{ kind: 'put-unit', unit: { ...unit, target } }];
    });
  });
  return requestResult(await pass(edges, names), problems);
}

async function pass(edges: Edges, names: ReadonlySet<string>): Promise<ReconcileReport | undefined> {
  return names.size === 0 ? undefined : reconcile(edges, names);
}

/** Throws FleetError `usage` for a template: only its instances run. */
export function refuseTemplate(argument: string, verb: string): void {
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
