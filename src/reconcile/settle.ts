import type { UnitOutcome } from '../cluster/failure.ts';
import { provenUnits } from '../cluster/held.ts';
import { type ClusterSnapshot, type DesiredUnit, machineNameOf, unitNamed } from '../cluster/snapshot.ts';
import { changesIn, type MachinePlan } from '../plan/step.ts';
import type { Edit } from '../registry/edit.ts';
import { lastSoundText } from '../registry/kept-texts.ts';
import type { Registry } from '../registry/registry.ts';
import type { RegistryView } from '../registry/view.ts';
import type { Decision } from '../schedule/decision.ts';
import { loggedMachine } from './log.ts';
import type { Pass } from './pass.ts';
import { failedTexts, holdEdits, type RolloutsOfPass, restoredUnits } from './rollouts.ts';
import { verdicts } from './verdicts.ts';

type Move = Extract<Decision, { kind: 'move' }>;

/**
 * Stores the results of a pass. Removed units lose their assignment. So do units that their new machine refused because it has
 * a foreign unit of that name. Failed moves are reverted, and failed texts are held. New verdicts and the edits `logged` are added.
 *
 * `known` is the view of the pass's decision. `held` of the result are the units that are not as they shall be, because they were
 * held or their hold has ended. `restored` are those that have their old text again. `settled` is the registry afterwards, if
 * something was stored.
 */
export async function settle(
  registry: Registry,
  pass: Pass,
  known: RegistryView,
  logged: readonly Edit[],
  rollouts: RolloutsOfPass,
): Promise<{
  readonly held: ReadonlySet<string>;
  readonly restored: readonly DesiredUnit[];
  /** The units whose texts are held from now on, except for `restored`; whether they have no older text that has not failed. */
  readonly holds: ReadonlyMap<string, { readonly isFirst: boolean }>;
  readonly settled?: RegistryView;
}> {
  const { snapshot, decisions, plans, outcomes } = pass;
  const failed = new Set(outcomes.filter(({ failure }) => failure !== undefined).map(({ unit }) => unit));
  const foreign = new Set(
    outcomes.filter(({ failure }) => failure?.code === 'foreign').map(({ unit }) => unit),
  );
  const gone = decisions.filter(
    ({ kind, unit }) => (kind === 'release' && !failed.has(unit)) || (kind === 'place' && foreign.has(unit)),
  );
  const returning = failedMoves(plans, decisions, snapshot, outcomes);
  const resultsIn = (view: RegistryView) => {
    const texts = failedTexts(pass, rollouts, view);
    const proven = provenIn(pass, view);
    const returns = revertMoves(returning, snapshot, view);
    // A unit that moved because of its new text is back on its old machine.
    const homes = new Map(
      returns.flatMap((edit) => (edit.kind === 'put-unit' ? [[edit.unit.name, edit.unit.machine]] : [])),
    );
    const restored = restoredUnits(texts, view).map((unit) =>
      homes.has(unit.name) ? { ...unit, machine: homes.get(unit.name) } : unit,
    );
    const releases = proven.map((unit): Edit => ({ kind: 'release-text', unit }));
    const judged = [...releases, ...verdicts(pass, view), ...holdEdits(pass, texts, view)];
    const edits = [...returns, ...judged, ...restored.map((unit): Edit => ({ kind: 'put-unit', unit }))];
    return { texts, proven, restored, edits };
  };
  if (gone.length + returning.length + resultsIn(known).edits.length + logged.length === 0)
    return { held: new Set(), restored: [], holds: new Map() };
  let results = resultsIn(known);
  const settled = await registry.update((view) => {
    results = resultsIn(view);
    return [...logged, ...release(gone, snapshot, view), ...results.edits];
  });
  const { texts, proven, restored } = results;
  // With Confirm=, the machine has restored what was there before.
  const left = texts.filter(({ unit }) => unit.placement.confirmMs === undefined);
  const names = [...left.map(({ unit }) => unit), ...restored].map(({ name }) => name);
  const holds = new Map(
    texts
      .filter(({ unit }) => restored.every(({ name }) => name !== unit.name))
      .map(({ unit }) => [unit.name, { isFirst: lastSoundText(settled, unit) === undefined }]),
  );
  return { held: new Set([...names, ...proven]), restored, holds, settled };
}

/** The units of the pass whose hold ends, because their text is up everywhere. */
function provenIn({ snapshot, decisions }: Pass, view: RegistryView): readonly string[] {
  const scope = new Set(decisions.map(({ unit }) => unit));
  return provenUnits(snapshot).filter((name) => {
    const unit = view.units.get(name);
    return scope.has(name) && unit?.held !== undefined && unit.token === unitNamed(name, snapshot)?.token;
  });
}

/**
 * A unit that is not wanted loses its assignment only if it is known to be removed. A unit that was changed since the
 * decision may have been started again.
 */
function release(gone: readonly Decision[], snapshot: ClusterSnapshot, view: RegistryView): readonly Edit[] {
  return gone.flatMap(({ unit: name }): readonly Edit[] => {
    const unit = view.units.get(name);
    if (unit?.machine === undefined || unit.token !== unitNamed(name, snapshot)?.token) return [];
    return [{ kind: 'put-unit', unit: { ...unit, machine: undefined } }];
  });
}

/**
 * The moves whose old copy was not removed, because the new one did not come up or was not started, or because the old
 * machine could not be changed.
 */
function failedMoves(
  plans: readonly MachinePlan[],
  decisions: readonly Decision[],
  snapshot: ClusterSnapshot,
  outcomes: readonly UnitOutcome[],
): readonly Move[] {
  const planned = new Set(changesIn(plans).map(({ machine, change }) => `${machine} ${change.unit}`));
  const done = new Set(
    outcomes.flatMap(({ unit, machine, failure }) => (failure === undefined ? `${machine} ${unit}` : [])),
  );
  return decisions.flatMap((decision): readonly Move[] => {
    if (decision.kind !== 'move') return [];
    const copyOn = (id: string): string => `${machineNameOf(id, snapshot)} ${decision.unit}`;
    const [old, fresh] = [copyOn(decision.from), copyOn(decision.machine)];
    return planned.has(old) && !done.has(old) && !done.has(fresh) ? [decision] : [];
  });
}

/** Assigns units to their old machines again, unless another process has decided about them since. */
function revertMoves(moves: readonly Move[], snapshot: ClusterSnapshot, view: RegistryView): readonly Edit[] {
  return moves.flatMap(({ unit: name, from, machine }): readonly Edit[] => {
    const unit = view.units.get(name);
    if (unit?.machine !== machine || unit.token !== unitNamed(name, snapshot)?.token) return [];
    const [left, kept] = [loggedMachine(machine, snapshot), loggedMachine(from, snapshot)];
    return [
      { kind: 'put-unit', unit: { ...unit, machine: from } },
      { kind: 'log', events: [{ kind: 'return', unit: name, from: left, to: kept }] },
    ];
  });
}
