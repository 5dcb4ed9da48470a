import { globMatcher } from '../base/glob.ts';
import { compareText } from '../base/text.ts';
import { conflictTies, type Ties } from '../cluster/dependencies.ts';
import type { ClusterSnapshot, DesiredUnit, MachineView } from '../cluster/snapshot.ts';
import type { MachineId } from '../machine/machine.ts';
import { ConflictIndex } from './conflict-index.ts';

/**
 * The assignments while a schedule is made: those of the snapshot, changed by every decision, so that the next one
 * takes it into account. Only units that are loaded or launched count.
 */
export class Workload {
  /** Units that are wanted on many machines, by name. */
  readonly globals: readonly DesiredUnit[];
  /** Launched units that systemd never lets run side by side. */
  readonly conflicts: Ties;
  /** How often a unit has left its machine, which can make another machine the best. */
  removals = 0;
  readonly #units: ReadonlyMap<string, DesiredUnit>;
  readonly #machineOf = new Map<string, MachineId>();
  readonly #triggers = new Map<string, DesiredUnit[]>();
  readonly #replacers = new Map<string, DesiredUnit[]>();
  readonly #unitsOn = new Map<MachineId, ConflictIndex>();
  readonly #views: ReadonlyMap<MachineId | undefined, MachineView>;
  readonly #globs = new Map<string, (text: string) => boolean>();

  constructor(snapshot: ClusterSnapshot) {
    const wanted = snapshot.units.filter((unit) => unit.target !== 'inactive');
    this.#views = new Map(snapshot.machines.toReversed().map((view) => [view.id, view]));
    this.#units = new Map(wanted.map((unit) => [unit.name, unit]));
    this.conflicts = conflictTies(wanted.filter(({ target }) => target === 'launched'));
    for (const unit of wanted) {
      if (unit.triggers !== undefined) push(this.#triggers, unit.triggers, unit);
      for (const old of unit.placement.replaces) push(this.#replacers, old, unit);
    }
    this.globals = wanted
      .filter((unit) => this.isGlobal(unit))
      .toSorted((a, b) => compareText(a.name, b.name));
    for (const unit of wanted) {
      if (!unit.placement.global && unit.machine !== undefined) this.assign(unit.name, unit.machine);
    }
  }

  /** Where a standard unit is assigned now. */
  machineOf(unit: string): MachineId | undefined {
    return this.#machineOf.get(unit);
  }

  /** A unit that is wanted somewhere. */
  unit(name: string): DesiredUnit | undefined {
    return this.#units.get(name);
  }

  /** The wanted timers, sockets, paths and automounts that start a unit, or instances of a template. */
  triggersOf(unit: string): readonly DesiredUnit[] {
    return this.#triggers.get(unit) ?? [];
  }

  /** Whether a unit is wanted because of its triggers, and goes where they are. A launched one is independent of them. */
  goesWithTriggers({ name, target }: DesiredUnit): boolean {
    return target === 'loaded' && this.triggersOf(name).length > 0;
  }

  /** Whether a unit has a copy wherever it fits: a global one, and one that goes with a global trigger. */
  isGlobal(unit: DesiredUnit): boolean {
    if (unit.placement.global) return true;
    return (
      this.goesWithTriggers(unit) && this.triggersOf(unit.name).some(({ placement }) => placement.global)
    );
  }

  /** Whether one of the two starts the other, which comes along with it. */
  areCompanions(one: DesiredUnit, other: DesiredUnit): boolean {
    return (
      (one.triggers === other.name && this.goesWithTriggers(other)) ||
      (other.triggers === one.name && this.goesWithTriggers(one))
    );
  }

  /** Wanted units that have `unit` in Replaces=. */
  replacersOf(unit: string): readonly DesiredUnit[] {
    return this.#replacers.get(unit) ?? [];
  }

  /** Where `unit` goes if it fits: the machine of a unit that it replaces, if it is new, or of the unit that it starts. */
  #preferredBy({ machine, placement, triggers }: DesiredUnit): MachineId | undefined {
    const replaced = machine === undefined ? placement.replaces : [];
    return [...replaced, ...(triggers === undefined ? [] : [triggers])].flatMap(
      (name) => this.machineOf(name) ?? [],
    )[0];
  }

  /** Whether `unit` asks for the machine of `other`. */
  follows(unit: string, other: string): boolean {
    return this.#units.get(unit)?.placement.machineOf.includes(other) ?? false;
  }

  /** Whether a glob of Conflicts= matches a name; every glob is read once. */
  matches(glob: string, name: string): boolean {
    const matcher = this.#globs.get(glob) ?? globMatcher(glob);
    this.#globs.set(glob, matcher);
    return matcher(name);
  }

  /** The first standard unit on a machine, by name, that `unit` conflicts with. */
  conflictOn(machine: MachineId, unit: DesiredUnit): DesiredUnit | undefined {
    const applies = (other: DesiredUnit): boolean =>
      other.name !== unit.name && !this.areCompanions(unit, other);
    let first: DesiredUnit | undefined;
    const found = this.#unitsOn
      .get(machine)
      ?.conflictsOf(unit, (glob, name) => this.matches(glob, name), applies);
    for (const other of found ?? [])
      if (other !== undefined && (first === undefined || other.name < first.name)) first = other;
    return first;
  }

  /**
   * Best machine for `unit` first: the one of a unit that it replaces or starts, then fewest standard units, then the
   * lowest id, so that equal snapshots lead to equal decisions.
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
    return this.#unitsOn.get(machine)?.units.length ?? 0;
  }

  assign(name: string, machine: MachineId): void {
    const unit = this.#units.get(name);
    if (unit === undefined) return;
    const before = this.#machineOf.get(name);
    if (before !== undefined) {
      this.#unitsOn.get(before)?.remove(unit);
      this.removals++;
    }
    this.#machineOf.set(name, machine);
    const there = this.#unitsOn.get(machine) ?? new ConflictIndex();
    this.#unitsOn.set(machine, there);
    there.add(unit);
  }

  /** The machine with that id. */
  view(machine: MachineId): MachineView | undefined {
    return this.#views.get(machine);
  }

  /** The machine's name in fleet.conf, or its id when the inventory does not have it. */
  nameOf(machine: MachineId): string {
    return this.view(machine)?.machine.name ?? machine;
  }
}

function push<T>(lists: Map<string, T[]>, key: string, item: T): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [item]);
  else list.push(item);
}
