import { FleetError } from '../base/errors.ts';
import type { DesiredUnit } from '../cluster/snapshot.ts';
import type { MachinePlan } from '../plan/step.ts';
import type { ReconcileReport } from '../reconcile/pass.ts';
import type { Ports } from '../reconcile/ports.ts';
import { reconcile } from '../reconcile/reconcile.ts';
import { type HeldUnit, heldUnits, type MachineRef, machineRef } from './listing.ts';
import { overrule, requestedTarget } from './overruled.ts';
import { selectUnits } from './select-units.ts';
import { refuseTemplate } from './set-target-state.ts';
import { type RequestResult, requestResult, type UnitProblem } from './unit-result.ts';

/** A unit on one machine. */
export type UnitOnMachine = { readonly unit: string; readonly machine: MachineRef };

export type RestartResult = RequestResult & {
  /** The planned waves; after the first one with a failure, none was executed. */
  readonly waves: readonly (readonly MachinePlan[])[];
  /** The copies that are up again. */
  readonly restarted: readonly UnitOnMachine[];
  /** The copies that were not restarted, because of an earlier failure. */
  readonly left: readonly UnitOnMachine[];
  /** The held units among them: their copies were restarted with the texts that they have. */
  readonly held: readonly HeldUnit[];
};

/**
 * Restarts launched units, `maxParallel` copies at a time: the next ones follow when these are up, and none after a failure.
 * A unit that differs from its target state is repaired by the restart. The registry stores only the event.
 */
export async function restart(
  ports: Ports,
  arguments_: readonly string[],
  maxParallel: number,
): Promise<RestartResult> {
  for (const argument of arguments_) refuseTemplate(argument, 'restart');
  const known = await ports.registry.load();
  const selected = selectUnits(arguments_, known);
  const problems = [...selected.problems, ...selected.units.flatMap(notLaunched)];
  const names = selected.units.filter(({ target }) => target === 'launched').map(({ name }) => name);
  if (names.length === 0)
    return { ...requestResult(undefined, problems), waves: [], restarted: [], left: [], held: [] };
  const actions = new Map(names.map((name) => [name, 'restart'] as const));
  const report = await reconcile(ports, new Set(names), { actions, maxParallel, known });
  const requested = requestedTarget(names, 'launched');
  const result = await overrule(ports, requested, requestResult(report, problems), report.settled);
  const overruled = new Set(result.problems.map(({ unit }) => unit));
  const { restarted, left } = progressOf(report);
  const holds = ({ unit }: UnitOnMachine): boolean => !overruled.has(unit);
  return {
    ...result,
    waves: report.waves,
    restarted: restarted.filter(holds),
    left: left.filter(holds),
    held: heldUnits(report.snapshot).filter(({ unit }) => names.includes(unit) && !isReported(unit, result)),
  };
}

function isReported(name: string, { results }: RequestResult): boolean {
  return results.some(
    ({ unit, failures }) => unit === name && failures.some(({ failure }) => failure.code === 'held'),
  );
}

function notLaunched({ name, target }: DesiredUnit): readonly UnitProblem[] {
  if (target === 'launched') return [];
  const error = new FleetError('not-loaded', `Cannot restart unit "${name}": it is ${target}, not launched`, {
    hint: `Start it: fleetctl start ${name}`,
  });
  return [{ unit: name, error }];
}

function progressOf(report: ReconcileReport): Pick<RestartResult, 'restarted' | 'left'> {
  const refs = new Map(report.snapshot.machines.map((view) => [view.machine.name, machineRef(view)]));
  const restarted: UnitOnMachine[] = [];
  const left: UnitOnMachine[] = [];
  for (const { machine: name, changes } of report.waves.flat()) {
    const machine = refs.get(name);
    if (machine === undefined) continue;
    for (const { unit } of changes.filter(isStart)) {
      const outcome = report.outcomes.find((entry) => entry.unit === unit && entry.machine === name);
      if (outcome === undefined) left.push({ unit, machine });
      else if (outcome.failure === undefined) restarted.push({ unit, machine });
    }
  }
  return { restarted, left };
}

/** Whether the change starts the unit, or would without its obstacle. */
function isStart({ steps, obstacle }: MachinePlan['changes'][number]): boolean {
  return obstacle !== undefined || steps.some(({ kind }) => kind === 'start' || kind === 'restart');
}
