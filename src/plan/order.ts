import { compareText } from '../base/compare.ts';
import { globMatcher } from '../base/glob.ts';
import type { ClusterSnapshot, DesiredUnit } from '../cluster/snapshot.ts';
import type { MachineId } from '../machine/machine-id.ts';
import type { MachinePlan, UnitChange } from './step.ts';
import { brings } from './steps.ts';

/** Plans that are carried out together, on all of their machines at once. */
export type Wave = {
  readonly plans: readonly MachinePlan[];
  /** A failure in it is the end of the pass, but for what `finishes` the waves that were carried out. */
  readonly isGate: boolean;
  /** It has only what follows from an earlier wave: of units that were not touched before, nothing. */
  readonly finishes: boolean;
  /** Unit → those that have to succeed before it is touched. */
  readonly waitsFor: ReadonlyMap<string, readonly string[]>;
};

export type OrderRequest = {
  readonly plans: readonly MachinePlan[];
  readonly snapshot: ClusterSnapshot;
  /** Unit → ids of the machines that shall have it. */
  readonly placements: ReadonlyMap<string, readonly MachineId[]>;
  /** Unit → the machine that it leaves, for one that moves or gives way. */
  readonly leaving: ReadonlyMap<string, MachineId>;
  /** How many copies may be under way at once; undefined for all. */
  readonly maxParallel: number | undefined;
};

/** One change with its machine, and when it comes. */
type Entry = { readonly machine: string; readonly change: UnitChange; readonly stage: Stage };

/**
 * `before`: copies elsewhere of a unit of which there may never be two. `main`: everything else. `after`: the old copy
 * of a unit that moves, which stays until the new one is up. `last`: a unit that takes the place of one that leaves.
 */
type Stage = 'before' | 'main' | 'after' | 'last';

/**
 * The order in which plans are carried out, for every verb: waves, one after the other. A unit that failed in one wave
 * is left alone in those that follow. With `maxParallel` the main work is cut up into pieces of that size, and each piece
 * is finished before the next one begins.
 */
export function orderOf({
  plans,
  snapshot,
  placements,
  leaving,
  maxParallel,
}: OrderRequest): readonly Wave[] {
  const units = new Map(snapshot.units.map((unit) => [unit.name, unit]));
  const names = new Map(snapshot.machines.map(({ id, machine }) => [id, machine.name]));
  const nameOf = (id: MachineId): string | undefined => names.get(id);
  const places = new Map([...placements].map(([unit, ids]) => [unit, ids.map(nameOf)]));
  const origin = new Map([...leaving].map(([unit, id]) => [unit, nameOf(id)]));
  const stageOf = (machine: string, { unit, steps }: UnitChange): Stage => {
    if (isAlone(units.get(unit)) && !places.get(unit)?.includes(machine)) return 'before';
    if (origin.get(unit) === machine) return 'after';
    const isHeir = replacedBy(units.get(unit), origin).some((old) => origin.get(old) === machine);
    return isHeir && brings(steps) ? 'last' : 'main';
  };
  const entries = plans.flatMap(({ machine, changes }) =>
    changes.map((change): Entry => ({ machine, change, stage: stageOf(machine, change) })),
  );
  const waitsFor = new Map(
    entries
      .filter(({ stage }) => stage === 'last')
      .map(({ change: { unit } }) => [unit, replacedBy(units.get(unit), origin)] as const),
  );
  const isGate = maxParallel !== undefined;
  return pieces(entries, units, maxParallel)
    .flatMap((piece) =>
      (['before', 'main', 'after', 'last'] as const).map((stage): Wave => {
        const there = piece.filter((entry) => entry.stage === stage);
        return { plans: byMachine(there), isGate, finishes: stage === 'after' && isGate, waitsFor };
      }),
    )
    .filter((wave) => wave.plans.length > 0);
}

/** The entries of each piece: main ones at most `size` at a time, the others with the last main one of their unit. */
function pieces(
  entries: readonly Entry[],
  units: ReadonlyMap<string, DesiredUnit>,
  size: number | undefined,
): readonly (readonly Entry[])[] {
  if (size === undefined) return [entries];
  const main = entries
    .filter(({ stage }) => stage === 'main')
    .toSorted(
      (a, b) =>
        rank(units.get(a.change.unit)) - rank(units.get(b.change.unit)) ||
        compareText(a.change.unit, b.change.unit) ||
        compareText(a.machine, b.machine),
    );
  const pieceOf = new Map(main.map(({ change }, index) => [change.unit, Math.floor(index / size)]));
  const others = entries.filter(({ stage }) => stage !== 'main');
  const count = Math.max(1, Math.ceil(main.length / size));
  return Array.from({ length: count }, (_, piece) => [
    ...main.slice(piece * size, (piece + 1) * size),
    ...others.filter(({ change }) => (pieceOf.get(change.unit) ?? 0) === piece),
  ]);
}

/** Units that others ask to be beside come first, and what is started before its trigger. */
function rank(unit: DesiredUnit | undefined): number {
  return (unit?.placement.machineOf.length ?? 0) * 2 + (unit?.triggers === undefined ? 0 : 1);
}

/** Those that leave among the units that `unit` replaces. */
function replacedBy(
  unit: DesiredUnit | undefined,
  leaving: ReadonlyMap<string, string | undefined>,
): readonly string[] {
  return (unit?.placement.replaces ?? []).filter((old) => leaving.has(old));
}

/** fleet lets a unit that names itself in Conflicts= run; that there are never two of it is what it asks for. */
function isAlone(unit: DesiredUnit | undefined): boolean {
  if (unit?.placement.fence !== undefined) return true;
  return unit?.placement.conflicts.some((pattern) => globMatcher(pattern)(unit.name)) ?? false;
}

function byMachine(entries: readonly Entry[]): readonly MachinePlan[] {
  const machines = [...new Set(entries.map(({ machine }) => machine))];
  return machines.map((name) => ({
    machine: name,
    changes: entries.filter(({ machine }) => machine === name).map(({ change }) => change),
  }));
}
