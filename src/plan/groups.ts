import { groupBy } from '../base/group-by.ts';
import { compareText } from '../base/text.ts';
import type { DesiredUnit } from '../cluster/snapshot.ts';
import type { UnitChange } from './step.ts';

/** One change with its machine and its stage. */
export type Entry = { readonly machine: string; readonly change: UnitChange; readonly stage: Stage };

/**
 * `check`: can the machine that a unit leaves be changed? `before`: old copies of a unit that must not run twice, and the
 * units that would start them again. `main`: everything else. `after`: the old copy of a unit that moves, which stays
 * until the new one is up. `last`: a unit that replaces one that leaves the machine.
 */
export const STAGES = ['check', 'before', 'main', 'after', 'last'] as const;
export type Stage = (typeof STAGES)[number];

export type PiecesRequest = {
  readonly entries: readonly Entry[];
  readonly unitOf: (name: string) => DesiredUnit | undefined;
  /** The units that are changed together with a unit on its machines. */
  readonly tied: (unit: string) => ReadonlySet<string>;
};

export function isAnchor(entries: readonly Entry[]): (entry: Entry) => boolean {
  const worked = new Set(entries.flatMap(({ stage, change }) => (stage === 'main' ? change.unit : [])));
  return ({ stage, change }) => stage === 'main' || (stage !== 'check' && !worked.has(change.unit));
}

/** The main entries in groups: units that are tied, and share a machine that they are on, come to, or leave. */
export function anchorGroups({ entries, tied }: PiecesRequest): readonly (readonly Entry[])[] {
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

export function byUnit(a: Entry, b: Entry): number {
  return compareText(a.change.unit, b.change.unit) || compareText(a.machine, b.machine);
}
