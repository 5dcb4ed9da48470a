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
  readonly units: ReadonlyMap<string, DesiredUnit>;
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
  const copies = new Map<string, Entry[]>();
  for (const anchor of anchors)
    copies.set(anchor.change.unit, [...(copies.get(anchor.change.unit) ?? []), anchor]);
  const groups = new Map(anchors.map((anchor) => [anchor, [anchor]]));
  for (const anchor of anchors) {
    const here = new Set(machinesOf(anchor));
    for (const other of [...tied(anchor.change.unit)].flatMap((unit) => copies.get(unit) ?? [])) {
      const [mine = [], its = []] = [groups.get(anchor), groups.get(other)];
      if (mine === its || !machinesOf(other).some((machine) => here.has(machine))) continue;
      mine.push(...its);
      for (const each of its) groups.set(each, mine);
    }
  }
  return [...new Set(groups.values())];
}

export function byUnit(a: Entry, b: Entry): number {
  return compareText(a.change.unit, b.change.unit) || compareText(a.machine, b.machine);
}
