import { compareText } from '../base/text.ts';
import type { Rejection } from '../cluster/reason.ts';
import type { DesiredUnit, MachineView } from '../cluster/snapshot.ts';
import { FLEET_OPTIONS, type Placement } from '../unit/placement.ts';
import type { Workload } from './workload.ts';

/** The feasible machines of a unit, and the others with their first violations. */
export type Feasibility = {
  readonly feasible: readonly MachineView[];
  readonly rejected: readonly Rejection[];
};

/** The best machine for a unit; undefined if none is feasible. */
export type Choice = { readonly best: MachineView | undefined; readonly rejected: readonly Rejection[] };

/** A machine with the number of its units at the last look. */
type Load = { readonly machine: MachineView; count: number };

/** Units with the same feasible machines; a heap has the machine with the fewest units on top. */
type Class = { readonly heap: Load[]; readonly rejected: readonly Rejection[]; readonly removals: number };

const fieldsOf = (wanted: 'own' | 'others'): readonly (keyof Placement)[] =>
  FLEET_OPTIONS.filter(({ effect }) => effect === wanted).map(({ field }) => field);
/** Units of a class have equal values of these options, and do not set those below. */
const KEYS = fieldsOf('own');
const UNSET = fieldsOf('others');

/**
 * New units whose feasible machines depend only on options with the effect `own` (`unit/placement.ts`). The machines are
 * determined once for all units of a class, as with the equivalence classes of the Borg scheduler (Verma et al., EuroSys
 * 2015, section 3.4).
 */
export class EquivalenceClasses {
  readonly #workload: Workload;
  readonly #classes = new Map<string, Class>();

  constructor(workload: Workload) {
    this.#workload = workload;
  }

  /** Whether the unit belongs to a class. */
  has({ name, placement, triggers }: DesiredUnit): boolean {
    return (
      triggers === undefined &&
      UNSET.every((field) => isUnset(placement[field])) &&
      this.#workload.units.triggersOf(name).length === 0 &&
      this.#workload.units.replacersOf(name).length === 0 &&
      !this.#workload.units.conflicts.has(name) &&
      !this.#workload.units.isExcluded(name) &&
      !this.#workload.isForeign(name)
    );
  }

  /** The best machine for a unit of a class, as {@link Workload.best}; `determine` is called for the first unit of each. */
  choose({ placement }: DesiredUnit, determine: () => Feasibility): Choice {
    const key = JSON.stringify(KEYS.map((field) => placement[field]));
    const { removals } = this.#workload;
    let found = this.#classes.get(key);
    // #least corrects counts that have increased, but not those that have decreased.
    if (found === undefined || found.removals !== removals) {
      const { feasible, rejected } = determine();
      const heap = feasible.map((machine) => this.#load(machine));
      for (let at = (heap.length >> 1) - 1; at >= 0; at--) siftDown(heap, at);
      found = { heap, rejected, removals };
      this.#classes.set(key, found);
    }
    return { best: this.#least(found.heap), rejected: found.rejected };
  }

  #least(heap: Load[]): MachineView | undefined {
    for (let top = heap[0]; top !== undefined; top = heap[0]) {
      const { count } = this.#load(top.machine);
      if (count === top.count) return top.machine;
      top.count = count;
      siftDown(heap, 0);
    }
    return undefined;
  }

  #load(machine: MachineView): Load {
    return { machine, count: this.#workload.count(machine.id ?? '') };
  }
}

function isUnset(value: unknown): boolean {
  return value === undefined || value === false || (Array.isArray(value) && value.length === 0);
}

function compareLoads(a: Load, b: Load): number {
  return a.count - b.count || compareText(a.machine.id ?? '', b.machine.id ?? '');
}

/** Restores the order of a heap below the element at `index`, which has changed. */
function siftDown(heap: Load[], index: number): void {
  for (let at = index; ; ) {
    const [parent, left, right] = [heap[at], heap[2 * at + 1], heap[2 * at + 2]];
    if (parent === undefined || left === undefined) return;
    const isRight = right !== undefined && compareLoads(right, left) < 0;
    const [child, next] = isRight ? [right, 2 * at + 2] : [left, 2 * at + 1];
    if (compareLoads(parent, child) <= 0) return;
    heap[at] = child;
    heap[next] = parent;
    at = next;
  }
}
