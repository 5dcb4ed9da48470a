import type { UnitOutcome } from '../cluster/failure.ts';
import {
  type ClusterSnapshot,
  type DesiredUnit,
  isChangeable,
  machineNamed,
  observedOn,
  unitNamed,
} from '../cluster/snapshot.ts';
import { isDownByOthers, isStarting, isUnknown, isUp, STEADY_MS, upSince } from '../cluster/unit-state.ts';
import { changesIn, expectsUp } from '../plan/step.ts';
import type { Edit } from '../registry/edit.ts';
import type { RegistryView } from '../registry/view.ts';
import type { Pass } from './pass.ts';

/** The verdict on a text; `since` (epoch ms) for one that was up before the pass. */
type Judgement = {
  readonly unit: string;
  readonly digest: string;
  readonly verdict: 'good' | 'failed';
  readonly since?: number;
};

/**
 * The new verdicts of a pass. A text is `good` if a start with it was verified, and `failed` if it did not come up. A text
 * that was up for a minute at the beginning of the pass is good too, also if the pass replaces it. A good text stays good, because
 * a later failure has other reasons; if it fails in a rollout, it is held.
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
    const known = view.verdicts(unit)[digest]?.kind;
    const isOurs =
      known !== 'good' && known !== verdict && view.history(unit).some((entry) => entry.digest === digest);
    return isOurs ? [{ kind: 'judge-text', unit, digest, verdict }] : [];
  });
}

/** The texts with which units were up at the beginning of the pass. */
function upBefore(snapshot: ClusterSnapshot, scope: ReadonlySet<string>): readonly Judgement[] {
  const machines = snapshot.machines.filter((machine) => isChangeable(machine, snapshot));
  const units = machines.flatMap(({ observation }) => observation?.units ?? []);
  return units.flatMap(({ name: unit, record, digest, state }): readonly Judgement[] => {
    const isIts = record?.target === 'launched' && record.digest === digest;
    if (!scope.has(unit) || digest === undefined || !isIts || !isUp(state)) return [];
    return [{ unit, digest, verdict: 'good', since: upSince(state) }];
  });
}

/** Between two failures a unit can be up for a moment, and on one machine while it fails on another. */
function isNews({ unit, digest, since = 0 }: Judgement, now: number, view: RegistryView): boolean {
  const known = view.verdicts(unit)[digest];
  return now - since >= STEADY_MS && (known === undefined || since > known.at);
}

/** The verdicts on starts of the pass, failures last: a text that fails on one machine is `failed`. */
function started(pass: Pass, up: readonly Judgement[], view: RegistryView): readonly Judgement[] {
  const isUpElsewhere = (unit: string, digest: string): boolean =>
    up.some((each) => each.unit === unit && each.digest === digest);
  const judged = startsIn(pass, view).flatMap(
    ({ outcome, unit: { name: unit }, digest }): readonly Judgement[] => {
      const verdict = verdictOf(outcome);
      if (verdict === undefined) return [];
      if (verdict === 'failed' && (isUpElsewhere(unit, digest) || hasOtherCause(outcome))) return [];
      return [{ unit, digest, verdict }];
    },
  );
  return judged.toSorted((a, b) => Number(a.verdict === 'failed') - Number(b.verdict === 'failed'));
}

/**
 * The outcomes of starts, with the units in the registry and the texts that were started. A unit whose target or text has changed
 * since is left out.
 */
export function startsIn(
  pass: Pass,
  view: RegistryView,
): readonly { readonly outcome: UnitOutcome; readonly unit: DesiredUnit; readonly digest: string }[] {
  const texts = startedTexts(pass);
  return pass.outcomes.flatMap((outcome) => {
    const [wanted, unit] = [unitNamed(outcome.unit, pass.snapshot), view.units.get(outcome.unit)];
    const digest = texts.get(`${outcome.machine} ${outcome.unit}`);
    if (wanted === undefined || unit === undefined || digest === undefined) return [];
    // A concurrent stop or new text may have caused a failure.
    return unit.target === wanted.target && unit.digest === wanted.digest ? [{ outcome, unit, digest }] : [];
  });
}

/** Whether a unit did not come up for a reason outside its text. */
function hasOtherCause({ failure }: UnitOutcome): boolean {
  return failure?.code === 'not-up' && isDownByOthers(failure.state);
}

/** Undefined if the start was not waited for, is still in progress, or could not be requested. */
export function verdictOf({ failure, state, triggered }: UnitOutcome): Judgement['verdict'] | undefined {
  if (failure === undefined) {
    return triggered === undefined && state !== undefined && isUp(state) ? 'good' : undefined;
  }
  if (failure.code === 'unhealthy' || failure.code === 'unconfirmed') return 'failed';
  if (failure.code !== 'not-up' || isUnknown(failure.state)) return undefined;
  return isStarting(failure.state) ? undefined : 'failed';
}

/**
 * The copies that plans start or watch, as `machine unit`, with the digests of their texts: of the record that is written, or
 * that is there. It is not the one of the registry while that is held.
 */
export function startedTexts({
  plans,
  snapshot,
}: Pick<Pass, 'plans' | 'snapshot'>): ReadonlyMap<string, string> {
  const starts = changesIn(plans).filter(({ change }) => expectsUp(change));
  return new Map(
    starts.flatMap(({ machine, change: { unit, steps } }) => {
      const written = steps.find((step) => step.kind === 'record')?.record;
      const view = machineNamed(machine, snapshot);
      const record = written ?? (view && observedOn(view, unit)?.record);
      return record === undefined ? [] : [[`${machine} ${unit}`, record.digest] as const];
    }),
  );
}
