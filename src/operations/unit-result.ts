import type { FleetError } from '../base/errors.ts';
import { groupBy } from '../base/group-by.ts';
import { compareText } from '../base/text.ts';
import type { Failure, UnitOutcome } from '../cluster/failure.ts';
import type { Reason, Rejection } from '../cluster/reason.ts';
import { type DesiredUnit, type MachineView, observedOn } from '../cluster/snapshot.ts';
import { isFinished, isRunning, type TargetState } from '../cluster/unit-state.ts';
import type { MachinePlan, Step } from '../plan/step.ts';
import type { ReconcileReport } from '../reconcile/pass.ts';
import { type Decision, isStuck, machinesOf, type Stay } from '../schedule/decision.ts';
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

/** The error of one argument; it does not affect the others. */
export type UnitProblem = { readonly unit: string; readonly error: FleetError };

/** The result of a request for several units: each of them is either in `results` or in `problems`. */
export type RequestResult = {
  readonly results: readonly UnitResult[];
  readonly problems: readonly UnitProblem[];
  /** Local files whose text differs from the registry's: the registry's was used. */
  readonly differing: readonly DifferingFile[];
  /** Those whose text was stored in place of the registry's. */
  readonly replacing?: readonly DifferingFile[];
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
  /** The units of machines that fleet did not install, with the names of destroyed units. */
  readonly foreign?: readonly ForeignUnit[];
  /** The units whose new text failed, and that have their old one again. */
  readonly restored?: ReconcileReport['restored'];
  /** The arguments that name the folder of an `apply`, for hints. */
  readonly folder?: string;
  /** The changes on each machine, without failed ones. */
  readonly plans: readonly MachinePlan[];
  /** Every machine that did not answer, needed or not. */
  readonly unreachable: readonly UnreachableMachine[];
};

/** `path` is empty for a unit without a file. */
export type ForeignUnit = {
  readonly unit: string;
  readonly machine: MachineRef;
  readonly path: string;
  readonly masked: boolean;
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

/** A pass, with indexes for the results of its units. */
type IndexedPass = {
  readonly report: ReconcileReport;
  readonly units: ReadonlyMap<string, DesiredUnit>;
  readonly views: ReadonlyMap<string, MachineView>;
  /** The planned changes that were not begun because of an earlier failure, as `machine unit`. */
  readonly untried: ReadonlySet<string>;
};

/**
 * The results for the units of a pass, by name, and then for units without a decision: copies that the registry does not have, and
 * units that were started again after they stopped with another one.
 */
function unitResults(report: ReconcileReport): readonly UnitResult[] {
  const { decisions, outcomes, snapshot } = report;
  const pass = {
    report,
    units: new Map(snapshot.units.map((unit) => [unit.name, unit])),
    views: new Map(snapshot.machines.map((view) => [view.machine.name, view])),
    untried: untriedChanges(report),
  };
  const outcomesOf = groupBy(outcomes, ({ unit }) => unit);
  const decided = new Set(decisions.map(({ unit }) => unit));
  const strays = [...outcomesOf].filter(([unit]) => !decided.has(unit));
  return [
    ...decisions.map((decision) => decidedResult(decision, outcomesOf.get(decision.unit) ?? [], pass)),
    ...strays
      .toSorted(([a], [b]) => compareText(a, b))
      .map(([unit, own]) => ({ ...undecidedResult(unit, own, pass), ...placesOfStray(unit, own, pass) })),
  ];
}

/** What follows from the outcomes of a unit alone. */
function undecidedResult(name: string, outcomes: readonly UnitOutcome[], { units, views }: IndexedPass) {
  const unit = units.get(name);
  const entries = outcomes.flatMap(({ machine, ...outcome }) => {
    const view = views.get(machine);
    return view === undefined ? [] : [{ ...outcome, machine: machineRef(view) }];
  });
  const left = entries.flatMap(({ machine, left: processes }) =>
    processes === undefined ? [] : [{ machine, processes }],
  );
  return {
    unit: name,
    target: unit?.target ?? 'inactive',
    global: unit?.placement.global ?? false,
    triggered: [],
    triggers: [],
    ran: [],
    outdated: [],
    failures: entries.flatMap(({ machine, failure, newHold }) =>
      failure === undefined ? [] : [{ machine, failure, ...(newHold && { newHold }) }],
    ),
    ...(left.length > 0 && { left }),
    violation: undefined,
    unschedulable: false,
    rejected: [],
  } satisfies Omit<UnitResult, 'machines' | 'eligible'>;
}

function placesOfStray(
  name: string,
  outcomes: readonly UnitOutcome[],
  { units, views }: IndexedPass,
): Pick<UnitResult, 'machines' | 'eligible'> {
  const done = outcomes.filter(({ failure }) => failure === undefined);
  const refs = done.flatMap(({ machine }) => views.get(machine) ?? []).map(machineRef);
  const isWanted = (units.get(name)?.target ?? 'inactive') !== 'inactive';
  return { machines: isWanted ? refs : [], eligible: refs.length };
}

function decidedResult(decision: Decision, outcomes: readonly UnitOutcome[], pass: IndexedPass): UnitResult {
  const { report, units, untried } = pass;
  const result = undecidedResult(decision.unit, outcomes, pass);
  const unit = units.get(decision.unit);
  const failed = new Set(result.failures.map(({ machine }) => machine.name));
  const queued = new Set(
    outcomes.flatMap(({ machine, triggered }) => (triggered === undefined ? [] : [machine])),
  );
  const placed = machinesOf(decision).flatMap(
    (id) => report.snapshot.machines.find((view) => view.id === id) ?? [],
  );
  const rejected = 'rejected' in decision ? decision.rejected : [];
  const refs = placed
    .map(machineRef)
    .filter(({ name }) => !failed.has(name) && !untried.has(`${name} ${decision.unit}`));
  const copies = unit?.target === 'loaded' ? refs.map((ref) => copyOn(ref, unit.name, outcomes, report)) : [];
  return {
    ...result,
    machines: refs.filter(({ name }) => !queued.has(name)),
    triggered: refs.filter(({ name }) => queued.has(name)),
    triggers: unit === undefined ? [] : triggersOf(unit, report),
    ran: copies.flatMap(runOf),
    outdated: copies.filter((copy) => isOutdated(copy, decision.unit, pass)).map(({ machine }) => machine),
    eligible: placed.length + rejected.filter(({ reason }) => reason.code === 'machine-silent').length,
    ...(isStuck(decision) && { stays: decision.stays, violation: decision.violation }),
    unschedulable: decision.kind === 'unschedulable',
    rejected,
  };
}

function triggersOf({ name, target }: DesiredUnit, { snapshot }: ReconcileReport): readonly string[] {
  if (target !== 'loaded') return [];
  const triggers = snapshot.units.filter((unit) => unit.triggers === name && unit.target === 'launched');
  return triggers.map((unit) => unit.name);
}

/** A loaded unit on a machine, with the steps and the outcome of its change. */
type Copy = {
  readonly machine: MachineRef;
  readonly steps: readonly Step['kind'][];
  readonly outcome: UnitOutcome | undefined;
};

function copyOn(
  machine: MachineRef,
  unit: string,
  outcomes: readonly UnitOutcome[],
  { plans }: ReconcileReport,
): Copy {
  const changes = plans.flatMap((plan) => (plan.machine === machine.name ? plan.changes : []));
  return {
    machine,
    steps: changes.flatMap((change) => (change.unit === unit ? change.steps.map(({ kind }) => kind) : [])),
    outcome: outcomes.find((outcome) => outcome.machine === machine.name),
  };
}

function runOf({ machine, steps, outcome }: Copy): UnitResult['ran'] {
  if (!steps.includes('start') || steps.includes('stop') || outcome === undefined) return [];
  return [{ machine, isOver: outcome.state !== undefined && isFinished(outcome.state) }];
}

/** Whether the copy still runs with the text that it had before its new one was written. */
function isOutdated({ machine, steps, outcome }: Copy, unit: string, { views }: IndexedPass): boolean {
  if (!steps.includes('write') || steps.includes('stop') || steps.includes('start')) return false;
  const view = views.get(machine.name);
  const before = view && observedOn(view, unit);
  if (before?.record === undefined || !isRunning(before.state)) return false;
  return before.state.invocation === outcome?.state?.invocation;
}

function untriedChanges({ plans, outcomes }: ReconcileReport): ReadonlySet<string> {
  const done = new Set(outcomes.map(({ machine, unit }) => `${machine} ${unit}`));
  const planned = plans.flatMap(({ machine, changes }) => changes.map(({ unit }) => `${machine} ${unit}`));
  return new Set(planned.filter((entry) => !done.has(entry)));
}
