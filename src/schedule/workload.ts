import { compareText } from '../base/text.ts';
import { type ClusterSnapshot, type DesiredUnit, foreignOn, type MachineView } from '../cluster/snapshot.ts';
import type { MachineId } from '../machine/machine.ts';
import { ConflictIndex } from './conflict-index.ts';
import { indexOfUnits, type UnitIndex } from './unit-index.ts';

/**
 * The assignments during scheduling: those of the snapshot, updated by every decision, so that the next decision takes
 * them into account.
 */
export class Workload {
  /** The units of the snapshot, as they were assigned before. */
  readonly units: UnitIndex;
  /** How many units have left their machines; each can make another machine the best. */
  removals = 0;
  /** The assignments that decisions have changed, and the units of the machines that these concern. */
  readonly #machineOf = new Map<string, MachineId>();
  readonly #unitsOn = new Map<MachineId, ConflictIndex>();
  readonly #views: ReadonlyMap<MachineId | undefined, MachineView>;
  readonly #machines: readonly MachineView[];
  #foreign: ReadonlySet<string> | undefined;

  constructor({ units, machines }: Pick<ClusterSnapshot, 'units' | 'machines'>) {
    this.units = indexOfUnits(units);
    this.#machines = machines;
    this.#views = new Map(machines.toReversed().map((view) => [view.id, view]));
  }

  /** The current assignment of a standard unit. */
  machineOf(unit: string): MachineId | undefined {
    return this.#machineOf.get(unit) ?? this.units.machineOf(unit);
  }

  /** The preferred machine: for a new unit, that of a unit that it replaces; else that of the unit that it starts. */
  #preferredBy({ machine, placement, triggers }: DesiredUnit): MachineId | undefined {
    const replaced = machine === undefined ? placement.replaces : [];
    return [...replaced, ...(triggers === undefined ? [] : [triggers])].flatMap(
      (name) => this.machineOf(name) ?? [],
    )[0];
  }

  /** The first standard unit on a machine, by name, that `unit` conflicts with. */
  conflictOn(machine: MachineId, unit: DesiredUnit): DesiredUnit | undefined {
    if (!this.units.hasGlobs && unit.placement.conflicts.length === 0) return undefined;
    const there = this.#unitsThere(machine);
    if (there === undefined) return undefined;
    const { units } = this;
    const applies = (other: DesiredUnit): boolean =>
      other.name !== unit.name && !units.areCompanions(unit, other);
    let first: DesiredUnit | undefined;
    for (const other of there.conflictsOf(unit, (glob, name) => units.matches(glob, name), applies))
      if (other !== undefined && (first === undefined || other.name < first.name)) first = other;
    return first;
  }

  /**
   * The machines, best first: that of a unit that `unit` replaces or starts, then by the number of standard units, then by
   * id, so that equal snapshots lead to equal decisions.
   */
  rank(unit: DesiredUnit, machines: readonly MachineView[]): readonly MachineView[] {
    return machines.toSorted(this.#preference(unit));
  }

  /** The first of {@link rank}. */
  best(unit: DesiredUnit, machines: readonly MachineView[]): MachineView | undefined {
    const compare = this.#preference(unit);
    return machines.reduce<MachineView | undefined>(
      (best, machine) => (best === undefined || compare(machine, best) < 0 ? machine : best),
      undefined,
    );
  }

  #preference(unit: DesiredUnit): (a: MachineView, b: MachineView) => number {
    const preferred = this.#preferredBy(unit);
    const isOther = ({ id }: MachineView): number => (preferred !== undefined && id === preferred ? 0 : 1);
    return (a, b) =>
      isOther(a) - isOther(b) ||
      this.count(a.id ?? '') - this.count(b.id ?? '') ||
      compareText(a.id ?? '', b.id ?? '');
  }

  /** The number of standard units that are assigned to a machine. */
  count(machine: MachineId): number {
    return this.#unitsThere(machine)?.units.length ?? 0;
  }

  assign(name: string, machine: MachineId): void {
    const unit = this.units.unit(name);
    if (unit === undefined) return;
    const before = this.machineOf(name);
    if (before !== undefined) {
      this.#ownUnitsOn(before).remove(unit);
      this.removals++;
    }
    this.#machineOf.set(name, machine);
    this.#ownUnitsOn(machine).add(unit);
  }

  #unitsThere(machine: MachineId): ConflictIndex | undefined {
    return this.#unitsOn.get(machine) ?? this.units.unitsOn(machine);
  }

  /** The units of a machine, in a copy that is not shared. */
  #ownUnitsOn(machine: MachineId): ConflictIndex {
    const own = this.#unitsOn.get(machine) ?? new ConflictIndex(this.units.unitsOn(machine));
    this.#unitsOn.set(machine, own);
    return own;
  }

  /** Whether a machine has a unit of that name that fleet did not write. */
  isForeign(name: string): boolean {
    this.#foreign ??= new Set(this.#machines.flatMap(foreignOn));
    return this.#foreign.has(name);
  }

  /** The machine with that id. */
  view(machine: MachineId): MachineView | undefined {
    return this.#views.get(machine);
  }

  /** The machine's name in fleet.conf, or its id if fleet.conf does not have it. */
  nameOf(machine: MachineId): string {
    return this.view(machine)?.machine.name ?? machine;
  }
}
