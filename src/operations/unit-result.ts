import type { FleetError } from '../base/errors.ts';
import { compareText } from '../base/text.ts';
import type { Failure } from '../cluster/failure.ts';
import type { Reason, Rejection } from '../cluster/reason.ts';
import { type DesiredUnit, observedOn } from '../cluster/snapshot.ts';
import { isFinished, isRunning, type TargetState } from '../cluster/unit-state.ts';
import type { MachinePlan, Step } from '../plan/step.ts';
import type { ReconcileReport } from '../reconcile/pass.ts';
import { machinesOf } from '../schedule/decision.ts';
import { type MachineRef, machineRef, type UnreachableMachine, unreachableMachines } from './listing.ts';
import type { Apart, StartedAlone, TemplateResult } from './related-units.ts';

/** What became of one unit of a request. */
export type UnitResult = {
  readonly unit: string;
  readonly target: TargetState;
  readonly global: boolean;
  /** Where its target state holds now. */
  readonly machines: readonly MachineRef[];
  /** For a global unit: how many machines it fits, those that are unreachable among them. */
  readonly eligible: number;
  /** systemd has the job, and its end was not waited for. */
  readonly triggered: readonly MachineRef[];
  /** The launched timers, sockets, paths and automounts that start it, for one that is not launched itself. */
  readonly triggers: readonly string[];
  /** Where it was run because a person asked for it, its target state aside; `isOver` when it has run to success. */
  readonly ran: readonly { readonly machine: MachineRef; readonly isOver: boolean }[];
  /** The machine on which a run keeps the previous text. */
  readonly outdated: readonly MachineRef[];
  /** Where it does not hold, and why. */
  readonly failures: readonly { readonly machine: MachineRef; readonly failure: Failure }[];
  /** The machine on which processes of it still run after its stop, and how many. */
  readonly left?: readonly { readonly machine: MachineRef; readonly processes: number }[];
  /** It stays where it is although this rule speaks against its machine. */
  readonly violation: Reason | undefined;
  /** It is wanted and no machine fits. */
  readonly unschedulable: boolean;
  /** It is on no machine, as it may be after a `stop`. */
  readonly idle?: true;
  /** The machines it does not fit, each with the first rule that excluded it. */
  readonly rejected: readonly Rejection[];
};

/** Whether a unit that is wanted somewhere has no machine to go to. */
export function isUnschedulable({ idle, unschedulable, global, target, eligible }: UnitResult): boolean {
  if (idle) return false;
  return unschedulable || (global && target !== 'inactive' && eligible === 0);
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
  /** Units that need one on another machine. */
  readonly apart?: readonly Apart[];
  /** How instances stand to the templates whose files were taken. */
  readonly templates?: readonly TemplateResult[];
  /** Templates that a glob matched, and that were not destroyed with the units. */
  readonly kept?: readonly string[];
  /** What was done on which machine; what failed is left out. */
  readonly plans: readonly MachinePlan[];
  /** Every machine that did not answer, needed or not. */
  readonly unreachable: readonly UnreachableMachine[];
};

export type DifferingFile = {
  readonly unit: string;
  readonly path: string;
  /** For an instance: whether the file is that of its template. */
  readonly fromTemplate?: boolean | undefined;
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
  const untried = untriedChanges(report);
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
    const refs = placed
      .map(machineRef)
      .filter(({ name }) => !failed.has(name) && !untried.has(`${name} ${decision.unit}`));
    return {
      unit: decision.unit,
      target: unit?.target ?? 'inactive',
      global: unit?.placement.global ?? false,
      machines: refs.filter(({ name }) => !queued.has(name)),
      triggered: refs.filter(({ name }) => queued.has(name)),
      triggers: unit === undefined ? [] : triggersOf(unit, report),
      ran: unit?.target === 'loaded' ? runsOf(unit.name, refs, report) : [],
      outdated: unit?.target === 'loaded' ? outdatedRuns(unit.name, refs, report) : [],
      eligible: placed.length + rejected.filter(({ reason }) => reason.code === 'machine-silent').length,
      failures,
      ...leftOf(decision.unit, report),
      violation: decision.kind === 'keep' ? decision.violation : undefined,
      unschedulable: decision.kind === 'unschedulable',
      rejected,
    };
  });
}

function triggersOf({ name, target }: DesiredUnit, { snapshot }: ReconcileReport): readonly string[] {
  if (target !== 'loaded') return [];
  const triggers = snapshot.units.filter((unit) => unit.triggers === name && unit.target === 'launched');
  return triggers.map((unit) => unit.name);
}

function runsOf(name: string, refs: readonly MachineRef[], report: ReconcileReport): UnitResult['ran'] {
  return refs.flatMap((machine) => {
    const steps = stepsFor(name, machine, report);
    const outcome = report.outcomes.find((entry) => entry.unit === name && entry.machine === machine.name);
    if (!steps.includes('start') || steps.includes('stop') || outcome === undefined) return [];
    return [{ machine, isOver: outcome.state !== undefined && isFinished(outcome.state) }];
  });
}

function outdatedRuns(
  name: string,
  refs: readonly MachineRef[],
  report: ReconcileReport,
): readonly MachineRef[] {
  return refs.filter((machine) => {
    const steps = stepsFor(name, machine, report);
    const outcome = report.outcomes.find((entry) => entry.unit === name && entry.machine === machine.name);
    const isKept = steps.includes('write') && !steps.includes('stop') && !steps.includes('start');
    const view = report.snapshot.machines.find((candidate) => candidate.machine.name === machine.name);
    const before = view === undefined ? undefined : observedOn(view, name);
    const ranBefore = before?.record !== undefined && isRunning(before.state);
    return isKept && ranBefore && before.state.invocation === outcome?.state?.invocation;
  });
}

function stepsFor(unit: string, { name }: MachineRef, { plans }: ReconcileReport): readonly Step['kind'][] {
  return plans
    .filter(({ machine }) => machine === name)
    .flatMap(({ changes }) => changes.filter((change) => change.unit === unit))
    .flatMap(({ steps }) => steps.map(({ kind }) => kind));
}

/** What was planned and never begun, because something before it failed: `machine unit`. */
function untriedChanges({ plans, outcomes }: ReconcileReport): ReadonlySet<string> {
  const done = new Set(outcomes.map(({ machine, unit }) => `${machine} ${unit}`));
  const planned = plans.flatMap(({ machine, changes }) => changes.map(({ unit }) => `${machine} ${unit}`));
  return new Set(planned.filter((entry) => !done.has(entry)));
}

/** Units that nothing was decided about: copies that the registry does not have, and what a stop took down, started again. */
function strayResults(report: ReconcileReport): readonly UnitResult[] {
  const decided = new Set(report.decisions.map(({ unit }) => unit));
  const strays = new Set(report.outcomes.map(({ unit }) => unit).filter((unit) => !decided.has(unit)));
  const units = new Map(report.snapshot.units.map((unit) => [unit.name, unit]));
  return [...strays].toSorted(compareText).map((unit) => {
    const target = units.get(unit)?.target ?? 'inactive';
    const done = report.outcomes.filter((each) => each.unit === unit && each.failure === undefined);
    const views = done.flatMap(
      ({ machine }) => report.snapshot.machines.find((view) => view.machine.name === machine) ?? [],
    );
    return {
      unit,
      target,
      global: units.get(unit)?.placement.global ?? false,
      machines: target === 'inactive' ? [] : views.map(machineRef),
      triggered: [],
      triggers: [],
      ran: [],
      outdated: [],
      eligible: views.length,
      failures: failuresOf(unit, report),
      ...leftOf(unit, report),
      violation: undefined,
      unschedulable: false,
      rejected: [],
    };
  });
}

function failuresOf(name: string, { outcomes, snapshot }: ReconcileReport): UnitResult['failures'] {
  return outcomes.flatMap(({ unit, machine, failure }) => {
    if (unit !== name || failure === undefined) return [];
    const view = snapshot.machines.find((candidate) => candidate.machine.name === machine);
    return view === undefined ? [] : [{ machine: machineRef(view), failure }];
  });
}

function leftOf(name: string, { outcomes, snapshot }: ReconcileReport): Pick<UnitResult, 'left'> {
  const left = outcomes.flatMap(({ unit, machine, left }) => {
    if (unit !== name || left === undefined) return [];
    const view = snapshot.machines.find((candidate) => candidate.machine.name === machine);
    return view === undefined ? [] : [{ machine: machineRef(view), processes: left }];
  });
  return left.length === 0 ? {} : { left };
}
