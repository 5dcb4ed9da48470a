import { compareText } from '../base/compare.ts';
import type { FleetError } from '../base/errors.ts';
import type { Failure } from '../cluster/failure.ts';
import type { Reason, Rejection } from '../cluster/reason.ts';
import type { TargetState } from '../cluster/target-state.ts';
import type { MachinePlan } from '../plan/step.ts';
import type { ReconcileReport } from '../reconcile/reconcile.ts';
import { machinesOf } from '../schedule/decision.ts';
import { type MachineRef, machineRef } from './machine-ref.ts';
import type { StartedAlone } from './started-alone.ts';
import { type UnreachableMachine, unreachableMachines } from './unreachable.ts';

/** What became of one unit of a request. */
export type UnitResult = {
  readonly unit: string;
  readonly target: TargetState;
  readonly global: boolean;
  /** Where its target state holds now. */
  readonly machines: readonly MachineRef[];
  /** For a global unit: how many machines it fits, those that are silent among them. */
  readonly eligible: number;
  /** Where systemd was given the job, and nobody waited for it. */
  readonly triggered: readonly MachineRef[];
  /** Where it does not hold, and why. */
  readonly failures: readonly { readonly machine: MachineRef; readonly failure: Failure }[];
  /** It stays where it is although this rule speaks against its machine. */
  readonly despite: Reason | undefined;
  /** It is wanted and no machine fits. */
  readonly nowhere: boolean;
  /** The machines it does not fit, each with the first rule that excluded it. */
  readonly rejected: readonly Rejection[];
};

/** Whether a unit that is wanted somewhere has no machine to go to. */
export function fitsNowhere({ nowhere, global, target, eligible }: UnitResult): boolean {
  return nowhere || (global && target !== 'inactive' && eligible === 0);
}

/** An argument that could not be acted on; the others were. */
export type UnitProblem = { readonly unit: string; readonly error: FleetError };

/** What became of a request over several units: every one of them is in exactly one of the two lists. */
export type RequestResult = {
  readonly results: readonly UnitResult[];
  readonly problems: readonly UnitProblem[];
  /** Local files whose text differs from the registry's: the registry's was used. */
  readonly differing: readonly DifferingFile[];
  /** Units that the registry did not have before, where that is all that was asked for. */
  readonly created?: ReadonlySet<string>;
  /** Units that were started without what their `Also=` names. */
  readonly alone?: readonly StartedAlone[];
  /** What was done on which machine; what failed is left out. */
  readonly plans: readonly MachinePlan[];
  /** Every machine that did not answer, needed or not. */
  readonly unreachable: readonly UnreachableMachine[];
};

export type DifferingFile = {
  readonly unit: string;
  readonly path: string;
  /** The text of the registry, and that of the file. */
  readonly registryText: string;
  readonly fileText: string;
};

/** A request whose pass is over, or that came to no pass. */
export function requestResult(
  report: ReconcileReport | undefined,
  problems: readonly UnitProblem[],
  differing: readonly DifferingFile[] = [],
): RequestResult {
  if (report === undefined) return { results: [], problems, differing, plans: [], unreachable: [] };
  return {
    results: unitResults(report),
    problems,
    differing,
    plans: carriedOut(report),
    unreachable: unreachableMachines(report.snapshot),
  };
}

function carriedOut({ plans, outcomes }: ReconcileReport): readonly MachinePlan[] {
  const done = new Set(
    outcomes.flatMap(({ unit, machine, failure }) => (failure === undefined ? `${machine} ${unit}` : [])),
  );
  return plans
    .map(({ machine, changes }) => ({
      machine,
      changes: changes.filter(({ unit }) => done.has(`${machine} ${unit}`)),
    }))
    .filter(({ changes }) => changes.length > 0);
}

/**
 * What a pass did for each of its units, in the order of names; then what it did about copies of units that the
 * registry does not have.
 */
function unitResults(report: ReconcileReport): readonly UnitResult[] {
  return [...decidedResults(report), ...strayResults(report)];
}

function decidedResults(report: ReconcileReport): readonly UnitResult[] {
  const units = new Map(report.snapshot.units.map((unit) => [unit.name, unit]));
  return report.decisions.map((decision): UnitResult => {
    const failures = failuresOf(decision.unit, report);
    const failed = new Set(failures.map(({ machine }) => machine.name));
    const queued = new Set(
      report.outcomes.flatMap(({ unit, machine, triggered }) =>
        unit === decision.unit && triggered !== undefined ? [machine] : [],
      ),
    );
    const placed = machinesOf(decision).flatMap(
      (id) => report.snapshot.machines.find((view) => view.id === id) ?? [],
    );
    const unit = units.get(decision.unit);
    const rejected = 'rejected' in decision ? decision.rejected : [];
    const refs = placed.map(machineRef).filter(({ name }) => !failed.has(name));
    return {
      unit: decision.unit,
      target: unit?.target ?? 'inactive',
      global: unit?.placement.global ?? false,
      machines: refs.filter(({ name }) => !queued.has(name)),
      triggered: refs.filter(({ name }) => queued.has(name)),
      eligible: placed.length + rejected.filter(({ reason }) => reason.code === 'machine-silent').length,
      failures,
      despite: decision.kind === 'keep' ? decision.despite : undefined,
      nowhere: decision.kind === 'nowhere',
      rejected,
    };
  });
}

function strayResults(report: ReconcileReport): readonly UnitResult[] {
  const decided = new Set(report.decisions.map(({ unit }) => unit));
  const strays = new Set(report.outcomes.map(({ unit }) => unit).filter((unit) => !decided.has(unit)));
  return [...strays].toSorted(compareText).map((unit) => ({
    unit,
    target: 'inactive',
    global: false,
    machines: [],
    triggered: [],
    eligible: 0,
    failures: failuresOf(unit, report),
    despite: undefined,
    nowhere: false,
    rejected: [],
  }));
}

function failuresOf(name: string, { outcomes, snapshot }: ReconcileReport): UnitResult['failures'] {
  return outcomes.flatMap(({ unit, machine, failure }) => {
    if (unit !== name || failure === undefined) return [];
    const view = snapshot.machines.find((candidate) => candidate.machine.name === machine);
    return view === undefined ? [] : [{ machine: machineRef(view), failure }];
  });
}
