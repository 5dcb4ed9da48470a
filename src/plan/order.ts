import { globMatcher } from '../base/glob.ts';
import { groupBy } from '../base/group-by.ts';
import { allTiedTo, upholdTies } from '../cluster/dependencies.ts';
import { type ClusterSnapshot, type DesiredUnit, machineNameOf, unitNamed } from '../cluster/snapshot.ts';
import type { MachineId } from '../machine/machine.ts';
import { type Entry, piecesOfSize, rolloutPieces, STAGES, type Stage } from './pieces.ts';
import type { Rollout } from './rollout.ts';
import { changesIn, hasStep, type MachinePlan, type UnitChange, type Wave } from './step.ts';
import { mayStart } from './steps.ts';
import { tiesBetween, withLateRevivals } from './ties.ts';

export type OrderRequest = {
  readonly plans: readonly MachinePlan[];
  readonly snapshot: ClusterSnapshot;
  /** Unit → ids of the machines that shall have it. */
  readonly placements: ReadonlyMap<string, readonly MachineId[]>;
  /** Unit → the machine that it leaves, for units that move or are replaced. */
  readonly leaving: ReadonlyMap<string, MachineId>;
  /** How many copies are changed at once; undefined for all. */
  readonly maxParallel: number | undefined;
  /** The rollouts that the plans belong to; none by default. */
  readonly rollouts?: readonly Rollout[];
};

/** Unit → the units that start it whenever it is down, as long as they are up. */
type Starters = ReadonlyMap<string, readonly string[]>;

/**
 * The order in which plans are executed, for every verb: waves, one after the other. A unit that failed in one wave is
 * skipped in the later ones. A rollout is split into pieces in the same way, while other work is in the first one; on each
 * machine, a change that has to be confirmed has a later, separate piece. With `maxParallel` the main work is split into
 * pieces of that size, and each piece is finished before the next one begins. A unit, its starters, and the units that
 * stop with it are in one piece on a machine, which may be larger: in different pieces, the starters would start the unit
 * again or lack its file, and the dependent units would be down until the last piece. On each machine the starters of a
 * unit are changed first, so that they are also stopped first.
 *
 * An example: `new` replaces `old` on m1, and `old` moves to m2. The waves, by their stages ({@link STAGES}), are
 * check: can m1 be changed? → main: start `old` on m2 → after: remove `old` from m1 → last: start `new` on m1. If m1 fails
 * the check, or `old` does not come up on m2, the later ones are skipped for these units.
 */
export function orderOf({
  plans,
  snapshot,
  placements,
  leaving,
  maxParallel,
  rollouts = [],
}: OrderRequest): readonly Wave[] {
  const unitOf = (name: string): DesiredUnit | undefined => unitNamed(name, snapshot);
  const nameOf = (id: MachineId): string | undefined => machineNameOf(id, snapshot);
  const places = new Map([...placements].map(([unit, ids]) => [unit, new Set(ids.map(nameOf))]));
  const origin = new Map([...leaving].map(([unit, id]) => [unit, nameOf(id)]));
  const starters = startersIn(snapshot);
  const isHere = (machine: string, unit: string): boolean => places.get(unit)?.has(machine) === true;
  // The starters of a unit that must not run twice leave together with it, if they leave its machine too.
  const early = new Set(
    changesIn(plans)
      .filter(({ machine, change: { unit } }) => isAlone(unitOf(unit)) && !isHere(machine, unit))
      .flatMap(({ machine, change: { unit } }) =>
        [...withStarters(unit, starters)]
          .filter((name) => name === unit || (places.has(name) && !isHere(machine, name)))
          .map((name) => `${machine} ${name}`),
      ),
  );
  const coming = comingIn(plans, (machine, unit) => isHere(machine, unit) && !unitOf(unit)?.placement.global);
  const leaves = (machine: string) => (unit: string) =>
    origin.get(unit) === machine || (coming.has(unit) && !isHere(machine, unit));
  const stageOf = (machine: string, change: UnitChange): Stage => {
    const { unit, steps } = change;
    if (early.has(`${machine} ${unit}`)) return hasStep(change, 'forbid') ? 'forbid' : 'before';
    // A unit that has moved is needed here until its starters have left.
    const isLeft = places.has(unit) && !isHere(machine, unit) && starters.get(unit)?.some(leaves(machine));
    if (leaves(machine)(unit) || isLeft) return 'after';
    const isReplacement = replacedBy(unitOf(unit), origin).some((old) => origin.get(old) === machine);
    return isReplacement && mayStart(steps) ? 'last' : 'main';
  };
  const entries = changesIn(plans).flatMap(({ machine, change }): readonly Entry[] => {
    const stage = stageOf(machine, change);
    const isMove = stage === 'after' && places.get(change.unit)?.size !== 0;
    const check: Entry = { machine, change: checkOf(change), stage: 'check' };
    return [...(isMove ? [check] : []), { machine, change, stage }];
  });
  const waitsFor = new Map(
    entries
      .filter(({ stage }) => stage === 'last')
      .map(({ change: { unit } }) => [unit, replacedBy(unitOf(unit), origin)] as const),
  );
  const request = { entries, unitOf, tied: tiesOf(snapshot, starters, origin) };
  const pieces =
    maxParallel === undefined ? rolloutPieces(request, rollouts) : piecesOfSize(request, maxParallel);
  const waves = pieces.flatMap((piece, index) => wavesOf(piece, starters, index, maxParallel !== undefined));
  return withLateRevivals(
    waves.map((wave) => ({ ...wave, waitsFor })),
    snapshot,
  );
}

/** The waves of a piece: its stages that have work. */
function wavesOf(
  entries: readonly Entry[],
  starters: Starters,
  piece: number,
  isGate: boolean,
): readonly Omit<Wave, 'waitsFor'>[] {
  return STAGES.flatMap((stage) => {
    const there = entries.filter((entry) => entry.stage === stage);
    const finishes = stage === 'after' && isGate;
    if (there.length === 0) return [];
    return [{ plans: byMachine(there, starters), piece, isGate, finishes, isCheck: stage === 'check' }];
  });
}

/** The units that come to a machine, also those that an interrupted pass assigned. */
function comingIn(
  plans: readonly MachinePlan[],
  isHere: (machine: string, unit: string) => boolean,
): ReadonlySet<string> {
  const here = changesIn(plans).filter(({ machine, change: { unit } }) => isHere(machine, unit));
  const isComing = ({ change }: (typeof here)[number]): boolean =>
    change.obstacle !== undefined || (hasStep(change, 'write') && mayStart(change.steps));
  return new Set(here.filter(isComing).map(({ change }) => change.unit));
}

/** A check of the same change. A lost record is written first, as the change itself would do. */
function checkOf(change: UnitChange): UnitChange {
  if (change.obstacle !== undefined) return change;
  return { ...change, steps: [...change.steps.filter(({ kind }) => kind === 'adopt'), { kind: 'check' }] };
}

/** A unit, its starters, and their starters. */
function withStarters(unit: string, starters: Starters, known = new Set<string>()): ReadonlySet<string> {
  if (known.has(unit)) return known;
  known.add(unit);
  for (const starter of starters.get(unit) ?? []) withStarters(starter, starters, known);
  return known;
}

function startersIn({ units, olderTexts = [] }: ClusterSnapshot): Starters {
  const upholders = [...upholdTies([...units, ...olderTexts])].flatMap(([unit, ties]) =>
    ties.map((tie) => [unit, tie.unit] as const),
  );
  const triggers = units.flatMap((unit) =>
    unit.triggers === undefined ? [] : [[unit.triggers, unit.name] as const],
  );
  const starters = groupBy([...upholders, ...triggers], ([unit]) => unit);
  return new Map([...starters].map(([unit, pairs]) => [unit, pairs.map(([, starter]) => starter)]));
}

/** Unit → its starters, the units that stop with it, and those that it replaces, which leave before it comes. */
function tiesOf(
  snapshot: ClusterSnapshot,
  starters: Starters,
  leaving: ReadonlyMap<string, string | undefined>,
): (unit: string) => ReadonlySet<string> {
  const { stops } = tiesBetween(snapshot);
  return (unit) =>
    new Set([
      ...(starters.get(unit) ?? []),
      ...allTiedTo([unit], stops),
      ...replacedBy(unitNamed(unit, snapshot), leaving),
    ]);
}

/** The units in `leaving` that `unit` replaces. */
function replacedBy(
  unit: DesiredUnit | undefined,
  leaving: ReadonlyMap<string, string | undefined>,
): readonly string[] {
  return (unit?.placement.replaces ?? []).filter((old) => leaving.has(old));
}

/** Whether two copies must never run at once: a fenced unit, or one whose Conflicts= matches its own name. */
function isAlone(unit: DesiredUnit | undefined): boolean {
  if (unit?.placement.fence !== undefined) return true;
  return unit?.placement.conflicts.some((pattern) => globMatcher(pattern)(unit.name)) ?? false;
}

function byMachine(entries: readonly Entry[], starters: Starters): readonly MachinePlan[] {
  return [...groupBy(entries, ({ machine }) => machine)].map(([machine, own]) => ({
    machine,
    changes: startersFirst(
      own.map(({ change }) => change),
      starters,
    ),
  }));
}

function startersFirst(changes: readonly UnitChange[], starters: Starters): readonly UnitChange[] {
  const left = new Map(changes.map((change) => [change.unit, change]));
  const ordered: UnitChange[] = [];
  const take = (unit: string): void => {
    const change = left.get(unit);
    if (change === undefined) return;
    left.delete(unit);
    for (const starter of starters.get(unit) ?? []) take(starter);
    ordered.push(change);
  };
  for (const { unit } of changes) take(unit);
  return ordered;
}
