import type { Failure, UnitOutcome } from '../cluster/failure.ts';
import type { ClusterSnapshot, DesiredUnit, Held, HeldCause } from '../cluster/snapshot.ts';
import { groupWith, type Rollout, type RolloutLimits } from '../plan/rollout.ts';
import { hasStep, type MachinePlan, type Wave } from '../plan/step.ts';
import type { Edit } from '../registry/edit.ts';
import type { RegistryView } from '../registry/view.ts';
import type { FailurePolicy } from '../unit/copy-limit.ts';
import { parseUnitName, templateOf } from '../unit/unit-name.ts';
import { type Pass, startedCopies, verdictOf } from './verdicts.ts';

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
  if (failure?.code === 'reverted') return { kind: 'reverted', why: failure.why, windowMs: failure.windowMs };
  if (failure?.code === 'unconfirmed') {
    const { cause, windowMs } = failure;
    return causeOf({ ...outcome, failure: cause }) ?? { kind: 'reverted', why: 'timeout', windowMs };
  }
  if (failure?.code !== 'not-up' || verdictOf(outcome) !== 'failed') return undefined;
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
    return startsIn(waves, rollout)
      .filter(({ machine, unit }) => !tried.has(`${machine} ${unit}`))
      .map(({ machine, unit }) => ({ machine, unit, state: undefined, failure }));
  });
}

/** Whether the copy is known to be up with its new text. */
export function isVerified({ failure, triggered }: UnitOutcome): boolean {
  return failure === undefined && triggered === undefined;
}

function endOf(outcome: UnitOutcome, { limit }: Rollout, snapshot: ClusterSnapshot): Failure {
  const { unit, machine } = outcome;
  const held = heldBy(outcome, snapshot);
  const hash = snapshot.units.find(({ name }) => name === unit)?.hash ?? '';
  return held === undefined
    ? { code: 'gated', limit, down: [{ unit, machine, isSilent: outcome.failure?.code === 'unreachable' }] }
    : { code: 'held', hash, held };
}

function startsIn(
  waves: readonly Wave[],
  { units }: Rollout,
): readonly { readonly machine: string; readonly unit: string }[] {
  return waves
    .flatMap(({ plans }) => plans)
    .flatMap(({ machine, changes }) =>
      changes
        .filter((change) => units.has(change.unit) && hasStep(change, 'start'))
        .map(({ unit }) => ({ machine, unit })),
    );
}

function heldBy(outcome: UnitOutcome, { machines, now }: ClusterSnapshot): Held | undefined {
  const cause = causeOf(outcome);
  const id = machines.find(({ machine }) => machine.name === outcome.machine)?.id;
  if (cause === undefined || id === undefined) return undefined;
  return { at: now, machines: [{ id, name: outcome.machine }], cause };
}

/** A unit whose text failed in a pass, and how. */
type FailedText = { readonly unit: DesiredUnit; readonly held: Held; readonly policy: FailurePolicy };

/**
 * The units to hold: those with a text of a rollout that failed in the pass, and with a text that never was good although an
 * earlier text of the unit was. The first start of a unit is not held, so that passes try it again. All instances that
 * follow the template are held with the one that failed.
 */
export function failedTexts(
  pass: Pass,
  { rollouts, limits }: RolloutsOfPass,
  view: RegistryView,
): readonly FailedText[] {
  const { snapshot, plans, outcomes } = pass;
  const started = startedCopies(plans);
  const units = new Map(snapshot.units.map((unit) => [unit.name, unit]));
  const found = new Map<string, FailedText>();
  for (const outcome of outcomes) {
    const wanted = units.get(outcome.unit);
    const unit = view.units.get(outcome.unit);
    const held = heldBy(outcome, snapshot);
    const isTried = started.has(`${outcome.machine} ${outcome.unit}`) || outcome.failure?.code === 'reverted';
    if (held === undefined || !isTried) continue;
    // A concurrent stop or new text may have caused the failure.
    if (unit === undefined || unit.digest !== wanted?.digest || unit.target !== wanted.target) continue;
    const rollout = rollouts.find((each) => each.units.has(unit.name));
    const known = unit.held;
    // A held text may fail on a machine where its start was not verified before.
    if (known?.machines.some(({ id }) => held.machines.some((machine) => machine.id === id))) continue;
    if (known === undefined && rollout === undefined && !replacesGood(unit, view)) continue;
    const policy =
      known === undefined
        ? (rollout?.onFailure ?? limits?.onFailure ?? unit.placement.onFailedUpdate ?? 'stop')
        : 'stop';
    for (const each of groupWith(unit, view.units.values())) {
      const before = found.get(each.name)?.held ?? each.held;
      const machines = [...(before?.machines ?? []), ...held.machines];
      found.set(each.name, { unit: each, policy, held: { ...held, ...before, machines } });
    }
  }
  return [...found.values()];
}

/** The edits that hold texts, and those that restore the old texts of units with the policy `revert`. */
export function holdEdits(failed: readonly FailedText[], view: RegistryView): readonly Edit[] {
  return [
    ...failed.map(
      ({ unit, held }): Edit => ({ kind: 'hold-text', unit: unit.name, digest: unit.digest, held }),
    ),
    ...restoredUnits(failed, view).map((unit): Edit => ({ kind: 'put-unit', unit })),
  ];
}

/**
 * The units of {@link failedTexts} with the policy `revert`, with the last text that is not known to have failed, and their
 * templates. A text that has returned itself, such as after a revert, is not reverted again.
 */
export function restoredUnits(failed: readonly FailedText[], view: RegistryView): readonly DesiredUnit[] {
  const restored = new Map<string, DesiredUnit>();
  for (const { unit, policy } of failed) {
    const times = view.history(unit.name).filter(({ digest }) => digest === unit.digest).length;
    const base = view.keptTexts(unit, new Set()).find(({ isBase }) => isBase)?.unit;
    if (policy !== 'revert' || times > 1 || base === undefined) continue;
    restored.set(unit.name, base);
    const template = view.units.get(templateOf(parseUnitName(unit.name))?.text ?? '');
    if (template?.digest !== unit.digest || unit.fromTemplate === false) continue;
    const old = view
      .keptTexts(template, new Set([base.digest]))
      .find((text) => text.unit.digest === base.digest);
    if (old !== undefined) restored.set(template.name, old.unit);
  }
  return [...restored.values()];
}

function replacesGood({ name, digest }: DesiredUnit, view: RegistryView): boolean {
  const verdicts = view.verdicts(name);
  const isGood = (text: string): boolean => verdicts[text]?.kind === 'good';
  return (
    !isGood(digest) && view.history(name).some((entry) => entry.digest !== digest && isGood(entry.digest))
  );
}

/** The plans of a later piece without the units that have changed in the registry since the decision. */
export function stillWanted(
  plans: readonly MachinePlan[],
  snapshot: ClusterSnapshot,
  view: RegistryView,
): readonly MachinePlan[] {
  const decided = new Map(snapshot.units.map((unit) => [unit.name, unit]));
  const isSame = (name: string): boolean => {
    const [before, now] = [decided.get(name), view.units.get(name)];
    return before?.digest === now?.digest && before?.target === now?.target && now?.held === undefined;
  };
  return plans
    .map(({ machine, changes }) => ({ machine, changes: changes.filter(({ unit }) => isSame(unit)) }))
    .filter(({ changes }) => changes.length > 0);
}
