import type { UnitOutcome } from '../cluster/failure.ts';
import { type ClusterSnapshot, otherCluster } from '../cluster/snapshot.ts';
import { isFinished, isUnknown, isUp, type ObservedUnit } from '../cluster/unit-state.ts';
import type { MachinePlan } from '../plan/step.ts';
import type { Edit } from '../registry/edit.ts';
import type { RegistryView } from '../registry/view.ts';
import type { Decision } from '../schedule/decision.ts';

/** What a pass saw, decided and did. */
export type Pass = {
  /** The cluster as decided on, with the assignments of this pass. */
  readonly snapshot: ClusterSnapshot;
  readonly decisions: readonly Decision[];
  /** What was to be done, in this order; a machine comes again where something has to wait for another one. */
  readonly plans: readonly MachinePlan[];
  /** One entry for every unit and machine where something was done, or could not be. */
  readonly outcomes: readonly UnitOutcome[];
};

/** A text that came up or did not; `since` (epoch ms) of one that was up already. */
type Judgement = {
  readonly unit: string;
  readonly digest: string;
  readonly verdict: 'good' | 'failed';
  readonly since?: number;
};

/** A unit that has been up for so long, in ms, has come up, although no pass of this registry saw its start. */
const STEADY_MS = 60_000;

/**
 * What a pass found out about texts and the registry does not know yet: a text is `good` when a start with it was
 * verified, and `failed` when it did not come up. A text that was up at the beginning of the pass counts as good after
 * a minute; that covers the text that is replaced by this pass. None where the registry knows everything already.
 */
export function verdicts(pass: Pass, view: RegistryView): readonly Edit[] {
  const scope = new Set(pass.decisions.map(({ unit }) => unit));
  const up = upBefore(pass.snapshot, scope);
  const found = new Map<string, Judgement>();
  for (const each of [
    ...up.filter((each) => isNews(each, pass.snapshot.now, view)),
    ...started(pass, up, view),
  ])
    found.set(`${each.unit} ${each.digest}`, each);
  return [...found.values()].flatMap(({ unit, digest, verdict }): readonly Edit[] => {
    const isKnown = view.verdicts(unit)[digest]?.kind === verdict;
    const isOurs = !isKnown && view.history(unit).some((entry) => entry.digest === digest);
    return isOurs ? [{ kind: 'judge-text', unit, digest, verdict }] : [];
  });
}

/** The texts with which units were up at the beginning of the pass. */
function upBefore(snapshot: ClusterSnapshot, scope: ReadonlySet<string>): readonly Judgement[] {
  const machines = snapshot.machines.filter((machine) => otherCluster(machine, snapshot) === undefined);
  const units = machines.flatMap(({ observation }) => observation?.units ?? []);
  return units.flatMap(({ name: unit, record, digest, state }): readonly Judgement[] => {
    const isIts = record?.target === 'launched' && record.digest === digest;
    if (!scope.has(unit) || digest === undefined || !isIts || !isUp(state)) return [];
    return [{ unit, digest, verdict: 'good', since: sinceOf(state) }];
  });
}

/** A oneshot that has ended well proves its text at once. */
function sinceOf(state: ObservedUnit['state']): number {
  return isFinished(state) ? Number.NEGATIVE_INFINITY : (state.since ?? Number.POSITIVE_INFINITY);
}

/** Between two failures a unit can be up for a moment, and on one machine while it fails on another. */
function isNews({ unit, digest, since = 0 }: Judgement, now: number, view: RegistryView): boolean {
  const known = view.verdicts(unit)[digest];
  return now - since >= STEADY_MS && (known === undefined || since > known.at);
}

/** The starts of the pass, those that failed last: one machine on which a text does not come up is enough. */
function started(
  { snapshot, plans, outcomes }: Pass,
  up: readonly Judgement[],
  view: RegistryView,
): readonly Judgement[] {
  const starts = new Set(
    plans.flatMap(({ machine, changes }) => changes.filter(isStart).map(({ unit }) => `${machine} ${unit}`)),
  );
  const units = new Map(snapshot.units.map((unit) => [unit.name, unit]));
  const isUpElsewhere = (unit: string, digest: string): boolean =>
    up.some((each) => each.unit === unit && each.digest === digest);
  const judged = outcomes.flatMap((outcome): readonly Judgement[] => {
    const { unit, machine } = outcome;
    const wanted = units.get(unit);
    const now = view.units.get(unit);
    if (wanted === undefined || !starts.has(`${machine} ${unit}`)) return [];
    const { digest, target } = wanted;
    // A stop or another text that came in between is no fault of this one.
    if (now?.target !== target || now.digest !== digest) return [];
    const verdict = verdictOf(outcome);
    if (verdict === undefined || (verdict === 'failed' && isUpElsewhere(unit, digest))) return [];
    return [{ unit, digest, verdict }];
  });
  return judged.toSorted((a, b) => Number(a.verdict === 'failed') - Number(b.verdict === 'failed'));
}

/** Undefined where the start was not waited for, is still under way, or could not be made. */
function verdictOf({ failure, state, triggered }: UnitOutcome): Judgement['verdict'] | undefined {
  if (failure === undefined) {
    return triggered === undefined && state !== undefined && isUp(state) ? 'good' : undefined;
  }
  if (failure.code !== 'not-up' || isUnknown(failure.state)) return undefined;
  const { active, sub } = failure.state;
  return active === 'activating' && sub !== 'auto-restart' ? undefined : 'failed';
}

function isStart({ steps }: MachinePlan['changes'][number]): boolean {
  return steps.some(({ kind }) => kind === 'start' || kind === 'restart' || kind === 'watch');
}
