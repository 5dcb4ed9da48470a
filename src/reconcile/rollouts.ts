import type { Failure, UnitOutcome } from '../cluster/failure.ts';
import { groupsIn, isFirstText } from '../cluster/held.ts';
import {
  type ClusterSnapshot,
  type DesiredUnit,
  type Held,
  type HeldCause,
  machineNamed,
  observedOn,
  unitNamed,
} from '../cluster/snapshot.ts';
import { isDownByOthers, isUp } from '../cluster/unit-state.ts';
import type { Rollout, RolloutLimits } from '../plan/rollout.ts';
import { changesIn, hasStep, type MachinePlan, onlyChanges, type Wave } from '../plan/step.ts';
import type { Edit } from '../registry/edit.ts';
import { lastSoundText, olderText, sinceDestroy } from '../registry/kept-texts.ts';
import type { RegistryView } from '../registry/view.ts';
import type { FailurePolicy } from '../unit/copy-limit.ts';
import { parseUnitName, templateOf } from '../unit/unit-name.ts';
import type { Pass } from './pass.ts';
import { startedTexts, startsIn, verdictOf } from './verdicts.ts';

/** The rollouts of a pass, and what its command gave for them. */
export type RolloutsOfPass = {
  readonly rollouts: readonly Rollout[];
  readonly limits: RolloutLimits | undefined;
};

/** The failure that a text is responsible for; undefined for any other one, such as a lost connection. */
function causeOf(outcome: UnitOutcome): HeldCause | undefined {
  const { failure } = outcome;
  if (failure?.code === 'unhealthy')
    return { kind: 'unhealthy', what: failure.what, withinMs: failure.withinMs };
  if (failure?.code === 'unconfirmed') {
    const { cause, windowMs, reverted: why = 'timeout' } = failure;
    // After a reboot, the unit may not have been up because of that.
    const own = why === 'reboot' ? undefined : causeOf({ ...outcome, failure: cause });
    return own ?? { kind: 'reverted', why, windowMs };
  }
  if (failure?.code !== 'not-up' || failure.required !== undefined || verdictOf(outcome) !== 'failed')
    return undefined;
  return { kind: 'not-up', state: failure.state };
}

/**
 * The outcomes of copies that a rollout did not reach, because an earlier one failed or was not waited for: they keep their
 * old text. None after a revert, because the old text is then the target again.
 */
export function unfinished(
  waves: readonly Wave[],
  done: readonly UnitOutcome[],
  rollouts: readonly Rollout[],
  snapshot: ClusterSnapshot,
): readonly UnitOutcome[] {
  const tried = new Set(done.map(({ machine, unit }) => `${machine} ${unit}`));
  return rollouts.flatMap((rollout): readonly UnitOutcome[] => {
    const own = done.filter(({ unit }) => rollout.units.has(unit));
    const ended =
      own.find((outcome) => causeOf(outcome) !== undefined) ?? own.find((outcome) => !isVerified(outcome));
    if (ended === undefined || (rollout.onFailure === 'revert' && causeOf(ended) !== undefined)) return [];
    const failure = endOf(ended, rollout, snapshot);
    return changesIn(waves.flatMap(({ plans }) => plans))
      .filter(({ change }) => rollout.units.has(change.unit) && hasStep(change, 'start'))
      .filter(({ machine, change }) => !tried.has(`${machine} ${change.unit}`))
      .map(({ machine, change }) => ({ machine, unit: change.unit, state: undefined, failure }));
  });
}

/** Whether the copy is known to be up with its new text. */
export function isVerified({ failure, triggered }: UnitOutcome): boolean {
  return failure === undefined && triggered === undefined;
}

function endOf(outcome: UnitOutcome, { limit }: Rollout, snapshot: ClusterSnapshot): Failure {
  const { unit, machine, failure } = outcome;
  if (failure?.code === 'gated') return failure;
  const held = heldBy(outcome, snapshot);
  if (held !== undefined) return { code: 'held', hash: unitNamed(unit, snapshot)?.hash ?? '', held };
  const isUnreachable = failure?.code === 'unreachable';
  const down = [{ unit, machine, isUnreachable }];
  return { code: 'gated', limit, down, ...(!isUnreachable && { ended: { unit, machine, failure } }) };
}

function heldBy(outcome: UnitOutcome, snapshot: ClusterSnapshot): Held | undefined {
  const cause = causeOf(outcome);
  const id = machineNamed(outcome.machine, snapshot)?.id;
  if (cause === undefined || id === undefined) return undefined;
  return { at: snapshot.now, machines: [{ id, name: outcome.machine }], cause };
}

/** A unit whose text failed in a pass, and how. */
type FailedText = { readonly unit: DesiredUnit; readonly held: Held; readonly policy: FailurePolicy };

/**
 * The units to hold: those with a text of a rollout that failed in the pass, with a text that a machine has reverted, and with
 * a text that failed in its first start. A text that has been up before, or that is down for a reason outside it, is not held,
 * so that passes try it again. All instances that follow the template are held with the one that failed.
 */
export function failedTexts(
  pass: Pass,
  { rollouts, limits }: RolloutsOfPass,
  view: RegistryView,
): readonly FailedText[] {
  const found = new Map<string, FailedText>();
  const groupOf = groupsIn(view.units.values());
  for (const { unit, held, isReverted } of [...failuresOf(pass, view), ...revertsOf(pass, view)]) {
    const rollout = rollouts.find((each) => each.units.has(unit.name));
    const known = unit.held;
    // A held text may fail on a machine where its start was not verified before.
    if (known?.machines.some(({ id }) => held.machines.some((machine) => machine.id === id))) continue;
    const isLone = known === undefined && rollout === undefined && !isReverted;
    if (isLone && !isFirstFailure(unit, held, view)) continue;
    const isReplaced = known === undefined && (!isLone || replacesGood(unit, view));
    const policy = isReplaced
      ? (rollout?.onFailure ?? limits?.onFailure ?? unit.placement.onFailedUpdate ?? 'stop')
      : 'stop';
    for (const each of groupOf(unit)) {
      const before = found.get(each.name)?.held ?? each.held;
      const machines = [...(before?.machines ?? []), ...held.machines];
      found.set(each.name, { unit: each, policy, held: { ...held, ...before, machines } });
    }
  }
  return [...found.values()];
}

/** A present text of a unit that has failed on one machine. */
type Failing = { readonly unit: DesiredUnit; readonly held: Held; readonly isReverted: boolean };

/** The failures of starts with the present texts. */
function failuresOf(pass: Pass, view: RegistryView): readonly Failing[] {
  return startsIn(pass, view).flatMap(({ outcome, unit, digest }) => {
    const held = heldBy(outcome, pass.snapshot);
    if (held === undefined || digest !== unit.digest) return [];
    return [{ unit, held, isReverted: outcome.failure?.code === 'unconfirmed' }];
  });
}

/** The present texts that machines have reverted, of the units of the pass. */
function revertsOf({ snapshot, decisions }: Pass, view: RegistryView): readonly Failing[] {
  const scope = new Set(decisions.map(({ unit }) => unit));
  return (snapshot.newReverts ?? []).flatMap(({ unit: name, digest, held }) => {
    const unit = scope.has(name) ? view.units.get(name) : undefined;
    return unit?.digest === digest ? [{ unit, held, isReverted: true }] : [];
  });
}

/** The edits that hold texts. A text that was reverted and replaced since is held if the unit gets it again. */
export function holdEdits(
  { snapshot }: Pass,
  failed: readonly FailedText[],
  view: RegistryView,
): readonly Edit[] {
  const replaced = (snapshot.newReverts ?? []).filter(
    ({ unit, digest }) =>
      view.units.get(unit)?.digest !== digest && view.verdicts(unit)[digest]?.held === undefined,
  );
  return [
    ...replaced.map(({ unit, digest, held }): Edit => ({ kind: 'hold-text', unit, digest, held })),
    ...failed.map(
      ({ unit, held }): Edit => ({ kind: 'hold-text', unit: unit.name, digest: unit.digest, held }),
    ),
  ];
}

/**
 * The units of {@link failedTexts} with the policy `revert`, with the last text that is not known to have failed, and their
 * templates. A text that has itself returned after a failed one is not reverted to an even older one.
 */
export function restoredUnits(failed: readonly FailedText[], view: RegistryView): readonly DesiredUnit[] {
  const restored = new Map<string, DesiredUnit>();
  for (const { unit, policy } of failed) {
    const base = lastSoundText(view, unit);
    if (policy !== 'revert' || hasReturned(unit, view) || base === undefined) continue;
    restored.set(unit.name, base);
    const template = view.units.get(templateOf(parseUnitName(unit.name))?.text ?? '');
    if (template?.digest !== unit.digest || unit.fromTemplate === false) continue;
    const old = olderText(view, template, base.digest);
    if (old !== undefined) restored.set(template.name, old);
  }
  return [...restored.values()];
}

/** Whether the text was there before, and has replaced a failed one. */
function hasReturned({ name, digest }: DesiredUnit, view: RegistryView): boolean {
  const digests = sinceDestroy(view, name).map((entry) => entry.digest);
  const last = digests.lastIndexOf(digest);
  const replaced = digests[last - 1];
  if (replaced === undefined || !digests.slice(0, last).includes(digest)) return false;
  return view.verdicts(name)[replaced]?.kind === 'failed';
}

/** Whether a launched unit has failed in the first start of its text. Each text that was started has a verdict. */
function isFirstFailure({ name, digest, target }: DesiredUnit, { cause }: Held, view: RegistryView): boolean {
  const isUntried = view.verdicts(name)[digest] === undefined;
  return target === 'launched' && isUntried && !(cause.kind === 'not-up' && isDownByOthers(cause.state));
}

function replacesGood({ name, digest }: DesiredUnit, view: RegistryView): boolean {
  const verdicts = view.verdicts(name);
  return sinceDestroy(view, name).some(
    (entry) => entry.digest !== digest && verdicts[entry.digest]?.kind === 'good',
  );
}

/**
 * The outcomes as they are reported: a copy of a held unit that was started with an older text, or that stays down, is not as
 * requested.
 */
export function reportedOutcomes(pass: Pass): readonly UnitOutcome[] {
  const { snapshot, plans, outcomes } = pass;
  const held = new Map(snapshot.units.flatMap((unit) => (unit.held && [[unit.name, unit]]) ?? []));
  if (held.size === 0) return outcomes;
  const texts = startedTexts({ snapshot, plans: onlyChanges(plans, (change) => hasStep(change, 'start')) });
  return outcomes.map((outcome) => {
    const unit = held.get(outcome.unit);
    const digest = texts.get(`${outcome.machine} ${outcome.unit}`);
    if (outcome.failure !== undefined || unit?.held === undefined) return outcome;
    // Without a start, as in a preview, it is as it was observed.
    const view = machineNamed(outcome.machine, snapshot);
    const before = digest === undefined && view ? observedOn(view, unit.name)?.state : undefined;
    const state = outcome.state ?? before;
    const keeps = digest !== undefined && digest !== unit.digest;
    const isDown = unit.target === 'launched' && state !== undefined && !isUp(state);
    if (!keeps && !isDown) return outcome;
    const isFirst = isFirstText(unit.name, snapshot);
    return { ...outcome, failure: { code: 'held', hash: unit.hash, held: unit.held, keeps, isFirst } };
  });
}

/** The plans of a later piece without the units that have changed in the registry since the decision. */
export function stillWanted(
  plans: readonly MachinePlan[],
  snapshot: ClusterSnapshot,
  view: RegistryView,
): readonly MachinePlan[] {
  const isSame = (name: string): boolean => {
    const [before, now] = [unitNamed(name, snapshot), view.units.get(name)];
    return before?.digest === now?.digest && before?.target === now?.target && now?.held === undefined;
  };
  return onlyChanges(plans, ({ unit }) => isSame(unit));
}
