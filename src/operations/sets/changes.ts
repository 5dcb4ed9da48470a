import { groupBy } from '../../base/group-by.ts';
import { compareText } from '../../base/text.ts';
import { allTiedTo } from '../../cluster/dependencies.ts';
import { hasFailedOn } from '../../cluster/held.ts';
import type { Reason, Rejection } from '../../cluster/reason.ts';
import { type ClusterSnapshot, type DesiredUnit, machineNameOf, observedOn } from '../../cluster/snapshot.ts';
import { isRunning, type TargetState } from '../../cluster/unit-state.ts';
import { classify, isRecorded } from '../../plan/classify.ts';
import { hasStep, type Step } from '../../plan/step.ts';
import { tiesBetween } from '../../plan/ties.ts';
import type { ReconcileReport } from '../../reconcile/pass.ts';
import type { RegistryView } from '../../registry/view.ts';
import { type Decision, machinesOf } from '../../schedule/decision.ts';
import { optionValues, parseUnitFile } from '../../unit/unit-file.ts';
import type { SetEdits } from './edits.ts';
import { templateNameOf, type WantedSet } from './wanted.ts';

/**
 * What happens to a unit. `restarted`, `started` and `stopped` are for units whose text and target state stay; `repaired`
 * means that only files, links or records on machines change.
 */
export const CHANGE_KINDS = [
  ...(['new', 'changed', 'moved', 'restarted', 'started', 'stopped', 'repaired', 'removed'] as const),
] as const;

export type ChangeKind = (typeof CHANGE_KINDS)[number];

/** The change of one unit, in the registry and on machines. */
export type PlannedUnit = {
  readonly unit: string;
  readonly kind: ChangeKind;
  /** The path of its file, or of that of its template; undefined for a unit that gets no text of the folder. */
  readonly path: string | undefined;
  /** The text of the registry, and the new one; undefined if it does not change. */
  readonly text: { readonly before: string | undefined; readonly after: string } | undefined;
  readonly target: { readonly before: TargetState | undefined; readonly after: TargetState };
  /** The machines that shall have it, and the one that it leaves, by name. */
  readonly machines: readonly string[];
  readonly from: string | undefined;
  /** The reason to move. */
  readonly because: Reason | undefined;
  /** The machines that are not feasible, if it gets a machine or would need one. */
  readonly rejected: readonly Rejection[];
  readonly isUnschedulable: boolean;
  /** The number of machines that fit. */
  readonly fits: number;
  /** The unit whose machine it shares, by a rule, or takes over. */
  readonly beside: string | undefined;
  readonly global: boolean;
  /** A start runs it to its end (`Type=oneshot`). */
  readonly oneshot: boolean;
  /** The steps on machines, in the order of execution. */
  readonly steps: readonly UnitSteps[];
  /** The time within which the machines have to confirm it, in ms; undefined if they need not (`Confirm=`). */
  readonly confirmMs: number | undefined;
  /** Everything that the change depends on, for the plan id. */
  readonly basis: readonly unknown[];
};

/** The steps of a unit on one machine; none if there is an obstacle. */
export type UnitSteps = {
  readonly machine: string;
  readonly steps: readonly Step['kind'][];
  readonly obstacle: string | undefined;
  /** The unit whose stop also stops it, so that it is started again. */
  readonly stopsWith?: string;
};

/** The parts of a plan: the registry before and after its edits, and the report of a pass that was only previewed. */
export type Preview = {
  readonly wanted: WantedSet;
  readonly edits: SetEdits;
  readonly before: RegistryView;
  readonly report: ReconcileReport;
};

/** The changes of all units, by name; units that stay as they are have none. */
export function changesOf(preview: Preview): readonly PlannedUnit[] {
  const { edits, report } = preview;
  const planned = report.plans.flatMap(({ changes }) => changes.map(({ unit }) => unit));
  const stored = edits.units.map(({ name }) => name);
  const lost = report.decisions.filter(({ kind }) => kind === 'move').map(({ unit }) => unit);
  const names = new Set([...planned, ...stored, ...edits.pruned, ...lost]);
  const units = new Map(report.snapshot.units.map((unit) => [unit.name, unit]));
  const decisions = new Map(report.decisions.map((decision) => [decision.unit, decision]));
  const steps = stepsByUnit(report);
  return [...names]
    .toSorted(compareText)
    .flatMap(
      (name) => changeOf(name, preview, units.get(name), decisions.get(name), steps.get(name) ?? []) ?? [],
    );
}

function changeOf(
  unit: string,
  { wanted, edits, before, report: { snapshot } }: Preview,
  after: DesiredUnit | undefined,
  decision: Decision | undefined,
  steps: readonly UnitSteps[],
): PlannedUnit | undefined {
  const known = before.units.get(unit);
  const text =
    after === undefined || known?.digest === after.digest
      ? undefined
      : { before: known?.text, after: after.text };
  const target = { before: known?.target, after: after?.target ?? 'inactive' };
  const isPruned = edits.pruned.includes(unit);
  const kind = isPruned ? 'removed' : kindOf(text, target, decision, steps);
  // Joining the set, or a hold, makes the records on machines older.
  if (kind === undefined || (kind === 'repaired' && isOlder(after, steps, snapshot))) return undefined;
  const machines = decision === undefined ? [] : machinesOf(decision);
  const name = (id: string): string => machineNameOf(id, snapshot) ?? id;
  const from = decision !== undefined && 'from' in decision ? decision.from : undefined;
  return {
    unit,
    kind,
    path: pathOf(unit, wanted) ?? (text && pathOf(templateNameOf(unit) ?? '', wanted)),
    text,
    target,
    machines: machines.map(name).toSorted(compareText),
    from: from === undefined ? undefined : name(from),
    because: decision?.kind === 'move' ? decision.because : undefined,
    rejected: rejectedOf(decision),
    isUnschedulable: decision?.kind === 'unschedulable',
    fits: snapshot.machines.length - rejectedOf(decision).length,
    beside: rejectedOf(decision).flatMap(peerIn)[0] ?? after?.placement.replaces[0],
    global: after?.placement.global ?? false,
    oneshot:
      after !== undefined && optionValues(parseUnitFile(after.text), 'Service', 'Type').at(-1) === 'oneshot',
    steps,
    confirmMs: steps.some((each) => each.steps.includes('arm')) ? after?.placement.confirmMs : undefined,
    basis: [
      ...[
        unit,
        kind,
        after?.digest ?? null,
        target.after,
        after?.set ?? null,
        before.revisionOf(`units/${unit}`),
      ],
      machines.toSorted(compareText),
      steps.map((each) => [each, observedState(unit, each.machine, snapshot)]),
    ],
  };
}

function pathOf(unit: string, { units }: WantedSet): string | undefined {
  return units.get(unit)?.path;
}

function rejectedOf(decision: Decision | undefined): readonly Rejection[] {
  return decision !== undefined && 'rejected' in decision ? decision.rejected : [];
}

/** The unit that keeps another one from a machine, because the two have to be together. */
function peerIn({ reason }: Rejection): readonly string[] {
  if (reason.code === 'triggered-elsewhere') return [reason.trigger];
  return reason.code === 'triggers-elsewhere' || reason.code === 'machine-of-elsewhere' ? [reason.unit] : [];
}

/** The parts of the observed state that a plan depends on. */
function observedState(unit: string, machine: string, { machines }: ClusterSnapshot): readonly unknown[] {
  const view = machines.find((each) => each.machine.name === machine);
  const observed = view === undefined ? undefined : observedOn(view, unit);
  return [view?.id ?? null, observed?.digest ?? null, observed?.state.invocation ?? null];
}

function kindOf(
  text: PlannedUnit['text'],
  target: PlannedUnit['target'],
  decision: Decision | undefined,
  steps: readonly UnitSteps[],
): ChangeKind | undefined {
  if (target.before === undefined) return text === undefined ? 'removed' : 'new';
  if (text !== undefined || target.before !== target.after) return 'changed';
  if (decision?.kind === 'move') return 'moved';
  const has = (kind: Step['kind']): boolean => steps.some((each) => each.steps.includes(kind));
  if (has('restart') || (has('stop') && has('start'))) return 'restarted';
  if (has('start')) return 'started';
  if (has('remove')) return 'repaired';
  if (has('stop')) return 'stopped';
  // An obstacle, such as a text that is held, is a failure and not a change.
  return steps.some((each) => each.steps.length > 0) ? 'repaired' : undefined;
}

/** Whether only the tokens of its records differ. */
function isOlder(
  unit: DesiredUnit | undefined,
  steps: readonly UnitSteps[],
  { machines }: ClusterSnapshot,
): boolean {
  return steps.every(({ machine, steps: kinds }) => {
    if (kinds.length === 0) return true;
    const view = machines.find((each) => each.machine.name === machine);
    if (view === undefined || unit === undefined) return false;
    const observed = observedOn(view, unit.name);
    if (observed?.record === undefined || kinds.includes('adopt')) return false;
    const { token } = observed.record;
    const hasFailed = hasFailedOn(unit, observed, view);
    const pair = { wanted: { ...unit, token }, token, observed, hasFailed };
    // Where its text has failed, only its record is written.
    return hasFailed ? isRecorded(pair) : classify(pair) === 'in-place';
  });
}

/** Unit → its steps on each machine. */
function stepsByUnit({ plans, snapshot }: ReconcileReport): ReadonlyMap<string, readonly UnitSteps[]> {
  const changes = plans.flatMap(({ machine, changes }) => changes.map((change) => ({ ...change, machine })));
  const stops = groupBy(
    changes.filter((change) => hasStep(change, 'stop')),
    ({ machine }) => machine,
  );
  const ties = tiesBetween(snapshot).stops;
  const withStop = (unit: string, here: UnitSteps): UnitSteps => {
    if (!here.steps.includes('start') || here.steps.includes('stop')) return here;
    const view = snapshot.machines.find(({ machine }) => machine.name === here.machine);
    const observed = view && observedOn(view, unit);
    if (observed === undefined || !isRunning(observed.state)) return here;
    const stopsWith = stops.get(here.machine)?.find((stopped) => allTiedTo([stopped.unit], ties).has(unit));
    return stopsWith === undefined ? here : { ...here, stopsWith: stopsWith.unit };
  };
  const ofUnits = groupBy(changes, ({ unit }) => unit);
  return new Map(
    [...ofUnits].map(([unit, own]) => {
      const here = [...groupBy(own, ({ machine }) => machine)].map(([machine, all]) => {
        const steps = all.flatMap(({ steps }) => steps.map(({ kind }) => kind));
        return withStop(unit, { machine, steps, obstacle: all.at(-1)?.obstacle?.code });
      });
      return [unit, here.toSorted((a, b) => compareText(a.machine, b.machine))];
    }),
  );
}
