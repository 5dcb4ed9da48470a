import { groupBy } from '../base/group-by.ts';
import { compareText } from '../base/text.ts';
import type { DesiredUnit } from '../cluster/snapshot.ts';
import { copyKey, type Rollout } from './rollout.ts';
import { expectsUp, hasStep, type UnitChange } from './step.ts';

/** One change with its machine and its stage. */
export type Entry = { readonly machine: string; readonly change: UnitChange; readonly stage: Stage };

/**
 * `check`: can the machine that a unit leaves be changed? `forbid`: the confirmations of other machines that they do not start a
 * fenced unit, without which it is not stopped to be moved. `before`: old copies of a unit that must not run twice, and the
 * units that would start them again. `main`: everything else. `after`: the old copy of a unit that moves, which stays
 * until the new one is up. `last`: a unit that replaces one that leaves the machine.
 */
export const STAGES = ['check', 'forbid', 'before', 'main', 'after', 'last'] as const;
export type Stage = (typeof STAGES)[number];

type PiecesRequest = {
  readonly entries: readonly Entry[];
  readonly unitOf: (name: string) => DesiredUnit | undefined;
  /** The units that are changed together with a unit on its machines. */
  readonly tied: (unit: string) => ReadonlySet<string>;
};

/** The entries of each piece: at most `size` main ones, and the others in the piece of the last main one of their unit. */
export function piecesOfSize(request: PiecesRequest, size: number): readonly (readonly Entry[])[] {
  const rank = ({ change }: Entry): number => request.unitOf(change.unit)?.placement.machineOf.length ?? 0;
  // Units that others name in MachineOf= come first.
  const sorted = anchorGroups(request)
    .map((group) => ({ group: group.toSorted(byUnit), rank: Math.max(...group.map(rank)) }))
    .toSorted((a, b) => a.rank - b.rank || byUnit(a.group[0] as Entry, b.group[0] as Entry));
  const main: Entry[][] = [[]];
  for (const { group } of sorted) {
    const last = main.at(-1) as Entry[];
    if (last.length > 0 && last.length + group.length > size) main.push([...group]);
    else last.push(...group);
  }
  return withOthers(armedApart(main, request), request);
}

/**
 * The entries of each piece: of a rollout at most as many copies as may be down. Copies that are down already come first, and
 * copies with the new text are watched before. All other work is in the first piece, except for what a rollout leaves to
 * its end: copies with an obstacle, and copies that the unit has no more.
 */
export function rolloutPieces(
  request: PiecesRequest,
  rollouts: readonly Rollout[],
): readonly (readonly Entry[])[] {
  if (rollouts.length === 0 && !request.entries.some(isArmed)) return [request.entries];
  const slots = new Slots(request, rollouts);
  const main: Entry[][] = [[]];
  const late: Entry[] = [];
  const sorted = anchorGroups(request)
    .map((group) => ({ group: group.toSorted(byUnit), order: slots.orderOf(group) }))
    .toSorted((a, b) => a.order - b.order || byUnit(a.group[0] as Entry, b.group[0] as Entry));
  for (const { group, order } of sorted) {
    const piece = slots.take(group, order);
    if (piece === undefined) late.push(...group);
    else {
      while (main.length <= piece) main.push([]);
      main[piece]?.push(...group);
    }
  }
  main.at(-1)?.push(...late.filter(({ change }) => change.obstacle !== undefined));
  const surplus = late.filter(({ change }) => change.obstacle === undefined);
  if (surplus.length > 0) main.push(surplus);
  return withOthers(armedApart(main, request), request);
}

/** The order of groups in a rollout. */
const WATCHED = 0;
const DOWN = 1;
const UP = 2;

/** The copies of each rollout in each piece. */
class Slots {
  readonly #request: PiecesRequest;
  readonly #rollouts = new Map<string, Rollout>();
  readonly #used = new Map<Rollout, number[]>();
  /** How many pieces from the first one on have no place. */
  readonly #full = new Map<Rollout, number>();

  constructor(request: PiecesRequest, rollouts: readonly Rollout[]) {
    this.#request = request;
    for (const rollout of rollouts) for (const unit of rollout.units) this.#rollouts.set(unit, rollout);
    for (const rollout of rollouts) this.#used.set(rollout, []);
  }

  orderOf(group: readonly Entry[]): number {
    const orders = group.flatMap((entry) => this.#orderOf(entry) ?? []);
    return orders.length === 0 ? WATCHED : Math.max(...orders);
  }

  #orderOf({ machine, change }: Entry): number | undefined {
    const unit = this.#request.unitOf(change.unit);
    const rollout = this.#rollouts.get(change.unit);
    if (unit === undefined || rollout === undefined || !isCounted(change)) return undefined;
    if (!hasStep(change, 'start')) return WATCHED;
    return rollout.up.has(copyKey(unit, machine)) ? UP : DOWN;
  }

  /** The number of the piece of a group; undefined for the last one. */
  take(group: readonly Entry[], order: number): number | undefined {
    const counts = new Map<Rollout, number>();
    for (const { change } of group) {
      const rollout = this.#rollouts.get(change.unit);
      if (rollout !== undefined && isCounted(change)) counts.set(rollout, (counts.get(rollout) ?? 0) + 1);
    }
    if (counts.size === 0) return group.some(({ change }) => this.#rollouts.has(change.unit)) ? undefined : 0;
    if (order === WATCHED) {
      // A watched copy is up, so it takes no place; but it fills the piece.
      for (const rollout of counts.keys()) this.#usedBy(rollout)[0] = Number.POSITIVE_INFINITY;
      return 0;
    }
    // The last pieces so far may have copies that are down; a copy that is up follows them.
    const first = (each: Rollout): number =>
      order === UP ? this.#usedBy(each).length - 1 : (this.#full.get(each) ?? 0);
    let piece = Math.max(0, ...[...counts.keys()].map(first));
    const fits = ([rollout, count]: readonly [Rollout, number]): boolean => {
      const used = this.#usedBy(rollout)[piece] ?? 0;
      const limit = order === UP ? rollout.limit - rollout.down.length : rollout.limit;
      return used === 0 || used + count <= limit;
    };
    while (![...counts].every(fits)) piece++;
    for (const [rollout, count] of counts) {
      const used = this.#usedBy(rollout);
      while (used.length <= piece) used.push(0);
      used[piece] = (used[piece] ?? 0) + count;
      let full = this.#full.get(rollout) ?? 0;
      while ((used[full] ?? 0) >= Math.max(1, rollout.limit)) full++;
      this.#full.set(rollout, full);
    }
    return piece;
  }

  #usedBy(rollout: Rollout): number[] {
    return this.#used.get(rollout) ?? [];
  }
}

/**
 * The pieces, with each change that has to be confirmed, and those tied to it, in a later piece than all other work of its
 * machines, because their waits in the same script would use up the time for its confirmation.
 */
function armedApart(
  pieces: readonly (readonly Entry[])[],
  request: PiecesRequest,
): readonly (readonly Entry[])[] {
  if (!request.entries.some(isArmed)) return pieces;
  const armed = anchorGroups(request).filter((group) => group.some(isArmed));
  return pieces.flatMap((piece) => {
    const here = new Set(piece);
    const groups = armed.filter(([first]) => first !== undefined && here.has(first));
    const apart = new Set(groups.flat());
    const rest = piece.filter((entry) => !apart.has(entry));
    const later: Entry[][] = [];
    const busy = new Map<string, number>();
    for (const group of groups) {
      const machines = group.map(({ machine }) => machine);
      const index = Math.max(...machines.map((machine) => busy.get(machine) ?? 0));
      for (const machine of machines) busy.set(machine, index + 1);
      later[index] ??= [];
      later[index]?.push(...group);
    }
    return rest.length > 0 ? [rest, ...later] : later;
  });
}

function isArmed({ change }: Entry): boolean {
  return change.obstacle === undefined && hasStep(change, 'arm');
}

/** Whether the copy is not verified until its change has succeeded. */
function isCounted(change: UnitChange): boolean {
  return change.obstacle === undefined && expectsUp(change);
}

function withOthers(
  main: readonly (readonly Entry[])[],
  { entries }: PiecesRequest,
): readonly (readonly Entry[])[] {
  const pieceOf = new Map(main.flatMap((piece, index) => piece.map(({ change }) => [change.unit, index])));
  const isMain = isAnchor(entries);
  const others = groupBy(
    entries.filter((entry) => !isMain(entry)),
    ({ change }) => pieceOf.get(change.unit),
  );
  return main.map((piece, index) => [...piece, ...(others.get(index) ?? [])]);
}

function isAnchor(entries: readonly Entry[]): (entry: Entry) => boolean {
  const worked = new Set(entries.flatMap(({ stage, change }) => (stage === 'main' ? change.unit : [])));
  return ({ stage, change }) => stage === 'main' || (stage !== 'check' && !worked.has(change.unit));
}

/** The main entries in groups: units that are tied, and share a machine that they are on, come to, or leave. */
function anchorGroups({ entries, tied }: PiecesRequest): readonly (readonly Entry[])[] {
  const anchors = entries.filter(isAnchor(entries));
  const machines = new Map(anchors.map(({ change: { unit } }) => [unit, new Set<string>()]));
  for (const { stage, machine, change } of entries) {
    if (stage !== 'main') machines.get(change.unit)?.add(machine);
  }
  const machinesOf = ({ machine, change: { unit } }: Entry): readonly string[] => [
    machine,
    ...(machines.get(unit) ?? []),
  ];
  // The copies of each unit by machine: units with a copy on every machine would be compared in all pairs.
  const copies = groupBy(
    anchors.flatMap((anchor) => machinesOf(anchor).map((machine) => ({ machine, anchor }))),
    ({ machine, anchor }) => `${machine} ${anchor.change.unit}`,
  );
  const groups = new Unions(anchors);
  for (const anchor of anchors) {
    for (const unit of tied(anchor.change.unit)) {
      for (const machine of machinesOf(anchor))
        for (const other of copies.get(`${machine} ${unit}`) ?? []) groups.unite(anchor, other.anchor);
    }
  }
  return groups.all;
}

/** Sets of entries. */
class Unions {
  readonly #parents: Map<Entry, Entry>;

  constructor(entries: readonly Entry[]) {
    this.#parents = new Map(entries.map((entry) => [entry, entry]));
  }

  unite(one: Entry, other: Entry): void {
    this.#parents.set(this.#rootOf(other), this.#rootOf(one));
  }

  get all(): readonly (readonly Entry[])[] {
    return [...groupBy(this.#parents.keys(), (entry) => this.#rootOf(entry)).values()];
  }

  #rootOf(entry: Entry): Entry {
    let root = entry;
    for (let up = this.#parents.get(root); up !== undefined && up !== root; up = this.#parents.get(root)) {
      // Halves the path, so that later searches are short.
      this.#parents.set(root, this.#parents.get(up) ?? up);
      root = up;
    }
    return root;
  }
}

function byUnit(a: Entry, b: Entry): number {
  return compareText(a.change.unit, b.change.unit) || compareText(a.machine, b.machine);
}
