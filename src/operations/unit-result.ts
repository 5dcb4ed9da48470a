import type { FleetError } from '../base/errors.ts';
import { compareText } from '../base/text.ts';
import type { Failure, UnitOutcome } from '../cluster/failure.ts';
import type { Reason, Rejection } from '../cluster/reason.ts';
import { type DesiredUnit, observedOn } from '../cluster/snapshot.ts';
import { isFinished, isRunning, type TargetState } from '../cluster/unit-state.ts';
import type { MachinePlan, Step } from '../plan/step.ts';
import type { ReconcileReport } from '../reconcile/pass.ts';
import { isStuck, machinesOf, type Stay } from '../schedule/decision.ts';
import { type MachineRef, machineRef, type UnreachableMachine, unreachableMachines } from './listing.ts';
import type { Apart, StartedAlone, TemplateResult } from './related-units.ts';

/** A failure on one machine, and whether the text is held because of it. */
export type UnitFailure = Pick<UnitOutcome, 'newHold'> & {
  readonly machine: MachineRef;
  readonly failure: Failure;
};

/** The result of a request for one unit. */
export type UnitResult = {
  readonly unit: string;
  readonly target: TargetState;
  readonly global: boolean;
  /** The machines on which its target state holds. */
  readonly machines: readonly MachineRef[];
  /** For a global unit: the number of feasible machines, including unreachable ones. */
  readonly eligible: number;
  /** The machines on which its job was queued without waiting for it. */
  readonly triggered: readonly MachineRef[];
  /** The launched timers, sockets, paths and automounts that start it, for one that is not launched itself. */
  readonly triggers: readonly string[];
  /** The machines on which a command has run it once; `isOver` if that run has succeeded. */
  readonly ran: readonly { readonly machine: MachineRef; readonly isOver: boolean }[];
  /** The machines on which it still runs with its previous text. */
  readonly outdated: readonly MachineRef[];
  /** The machines on which its target state does not hold, and the failures. */
  readonly failures: readonly UnitFailure[];
  /** The machines on which processes of it still run after its stop, and their number. */
  readonly left?: readonly { readonly machine: MachineRef; readonly processes: number }[];
  /** The violation in spite of which it stays on its machine, and why it does. */
  readonly violation: Reason | undefined;
  readonly stays?: Stay;
  /** It is loaded or launched, and no machine is feasible. */
  readonly unschedulable: boolean;
  /** It is on no machine, as it may be after a `stop`. */
  readonly idle?: true;
  /** The machines that are not feasible, each with the first violation. */
  readonly rejected: readonly Rejection[];
};

/** Whether a loaded or launched unit has no feasible machine. */
export function isUnschedulable({ idle, unschedulable, global, target, eligible }: UnitResult): boolean {
  if (idle) return false;
  return unschedulable || (global && target !== 'inactive' && eligible === 0);
}

/** The error of one argument; it does not affect the others. */
export type UnitProblem = { readonly unit: string; readonly error: FleetError };

/** The result of a request for several units: each of them is either in `results` or in `problems`. */
export type RequestResult = {
  readonly results: readonly UnitResult[];
  readonly problems: readonly UnitProblem[];
  /** Local files whose text differs from the registry's: the registry's was used. */
  readonly differing: readonly DifferingFile[];
  /** Units that are new in the registry, for a request that only submits. */
  readonly created?: ReadonlySet<string>;
  /** Units that were started without the units in their `Also=`. */
  readonly alone?: readonly StartedAlone[];
  /** Units that depend on a unit on another machine. */
  readonly apart?: readonly Apart[];
  /** The templates whose files were stored, with their instances. */
  readonly templates?: readonly TemplateResult[];
  /** Templates that a glob matched, and that were not destroyed. */
  readonly kept?: readonly string[];
  /** The units whose new text failed, and that have their old one again. */
  readonly restored?: ReconcileReport['restored'];
  /** The arguments that name the folder of an `apply`, for hints. */
  readonly folder?: string;
  /** The changes on each machine, without failed ones. */
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

/** The result of a request after its pass, or without a pass. */
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
    ...(report.restored && { restored: report.restored }),
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
 * The results for the units of a pass, by name, and then for units without a decision.
 */
function unitResults(report: ReconcileReport): readonly UnitResult[] {
  return [...decidedResults(report), ...strayResults(report)];
}

function decidedResults(whole: ReconcileReport): readonly UnitResult[] {
  const units = new Map(whole.snapshot.units.map((unit) => [unit.name, unit]));
  const untried = untriedChanges(whole);
  const outcomesOf = outcomesByUnit(whole);
  return whole.decisions.map((decision): UnitResult => {
    const report = { ...whole, outcomes: outcomesOf.get(decision.unit) ?? [] };
    const failures = failuresOf(report);
    const failed = new Set(failures.map(({ machine }) => machine.name));
    const queued = new Set(
      report.outcomes.flatMap(({ machine, triggered }) => (triggered === undefined ? [] : [machine])),
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
      ...leftOf(report),
      ...(isStuck(decision) && { stays: decision.stays }),
      violation: isStuck(decision) ? decision.violation : undefined,
      unschedulable: decision.kind === 'unschedulable',
      rejected,
    };
  });
}

function outcomesByUnit({ outcomes }: ReconcileReport): ReadonlyMap<string, readonly UnitOutcome[]> {
  const found = new Map<string, UnitOutcome[]>();
  for (const outcome of outcomes) {
    const known = found.get(outcome.unit);
    if (known === undefined) found.set(outcome.unit, [outcome]);
    else known.push(outcome);
  }
  return found;
}

function triggersOf({ name, target }: DesiredUnit, { snapshot }: ReconcileReport): readonly string[] {
  if (target !== 'loaded') return [];
  const triggers = snapshot.units.filter((unit) => unit.triggers === name && unit.target === 'launched');
  return triggers.map((unit) => unit.name);
}

/** `report` has only the outcomes of the unit, as for the functions below. */
function runsOf(name: string, refs: readonly MachineRef[], report: ReconcileReport): UnitResult['ran'] {
  return refs.flatMap((machine) => {
    const steps = stepsFor(name, machine, report);
    const outcome = report.outcomes.find((entry) => entry.machine === machine.name);
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
    const outcome = report.outcomes.find((entry) => entry.machine === machine.name);
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

/** The planned changes that were not begun because of an earlier failure, as `machine unit`. */
function untriedChanges({ plans, outcomes }: ReconcileReport): ReadonlySet<string> {
  const done = new Set(outcomes.map(({ machine, unit }) => `${machine} ${unit}`));
  const planned = plans.flatMap(({ machine, changes }) => changes.map(({ unit }) => `${machine} ${unit}`));
  return new Set(planned.filter((entry) => !done.has(entry)));
}

/** The results for units without a decision: copies that the registry does not have, and units that were started again after they stopped with another one. */
function strayResults(whole: ReconcileReport): readonly UnitResult[] {
  const decided = new Set(whole.decisions.map(({ unit }) => unit));
  const strays = [...outcomesByUnit(whole)].filter(([unit]) => !decided.has(unit));
  const units = new Map(whole.snapshot.units.map((unit) => [unit.name, unit]));
  return strays
    .toSorted(([a], [b]) => compareText(a, b))
    .map(([unit, outcomes]) => {
      const report = { ...whole, outcomes };
      const target = units.get(unit)?.target ?? 'inactive';
      const done = outcomes.filter(({ failure }) => failure === undefined);
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
        failures: failuresOf(report),
        ...leftOf(report),
        violation: undefined,
        unschedulable: false,
        rejected: [],
      };
    });
}

function failuresOf({ outcomes, snapshot }: ReconcileReport): UnitResult['failures'] {
  return outcomes.flatMap(({ machine, failure, newHold }) => {
    if (failure === undefined) return [];
    const view = snapshot.machines.find((candidate) => candidate.machine.name === machine);
    return view === undefined ? [] : [{ machine: machineRef(view), failure, ...(newHold && { newHold }) }];
  });
}

function leftOf({ outcomes, snapshot }: ReconcileReport): Pick<UnitResult, 'left'> {
  const left = outcomes.flatMap(({ machine, left }) => {
    if (left === undefined) return [];
    const view = snapshot.machines.find((candidate) => candidate.machine.name === machine);
    return view === undefined ? [] : [{ machine: machineRef(view), processes: left }];
  });
  return left.length === 0 ? {} : { left };
}
