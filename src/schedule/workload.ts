import { globMatcher } from '../base/glob.ts';
import { compareText } from '../base/text.ts';
import { conflictTies, type Ties } from '../cluster/dependencies.ts';
import type { ClusterSnapshot, DesiredUnit, MachineView } from '../cluster/snapshot.ts';
import type { MachineId } from '../machine/machine.ts';
import { ConflictIndex } from './conflict-index.ts';

/**
 * The assignments during scheduling: those of the snapshot, updated by every decision, so that the next decision takes
 * them into account. Only loaded and launched units count.
 */
export class Workload {
  /** Units with copies on many machines, sorted by name. */
  readonly globals: readonly DesiredUnit[];
  /** The conflicts between launched units by `Conflicts=` of `[Unit]`. */
  readonly conflicts: Ties;
  /** How many units have left their machines; each can make another machine the best. */
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

  /** The current assignment of a standard unit. */
  machineOf(unit: string): MachineId | undefined {
    return this.#machineOf.get(unit);
  }

  /** The unit, if it is loaded or launched. */
  unit(name: string): DesiredUnit | undefined {
    return this.#units.get(name);
  }

  /** The loaded and launched timers, sockets, paths and automounts that start a unit, or instances of a template. */
  triggersOf(unit: string): readonly DesiredUnit[] {
    return this.#triggers.get(unit) ?? [];
  }

  /** Whether a unit is placed with its triggers. A launched unit is not. */
  goesWithTriggers({ name, target }: DesiredUnit): boolean {
    return target === 'loaded' && this.triggersOf(name).length > 0;
  }

  /** Whether a unit has a copy on every feasible machine: it is global, or is placed with a global trigger. */
  isGlobal(unit: DesiredUnit): boolean {
    if (unit.placement.global) return true;
    return (
      this.goesWithTriggers(unit) && this.triggersOf(unit.name).some(({ placement }) => placement.global)
    );
  }

  /** Whether one of the two starts the other, which is placed with it. */
  areCompanions(one: DesiredUnit, other: DesiredUnit): boolean {
    return (
      (one.triggers === other.name && this.goesWithTriggers(other)) ||
      (other.triggers === one.name && this.goesWithTriggers(one))
    );
  }

  /** The loaded and launched units that have `unit` in Replaces=. */
  replacersOf(unit: string): readonly DesiredUnit[] {
    return this.#replacers.get(unit) ?? [];
  }

  /** The preferred machine: for a new unit, that of a unit that it replaces; else that of the unit that it starts. */
  #preferredBy({ machine, placement, triggers }: DesiredUnit): MachineId | undefined {
    const replaced = machine === undefined ? placement.replaces : [];
    return [...replaced, ...(triggers === undefined ? [] : [triggers])].flatMap(
      (name) => this.machineOf(name) ?? [],
    )[0];
  }

  /** Whether `unit` has `other` in MachineOf=. */
  follows(unit: string, other: string): boolean {
    return this.#units.get(unit)?.placement.machineOf.includes(other) ?? false;
  }

  /** Whether a glob of Conflicts= matches a name; every glob is parsed once. */
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

  /** The machine's name in fleet.conf, or its id if fleet.conf does not have it. */
  nameOf(machine: MachineId): string {
    return this.view(machine)?.machine.name ?? machine;
  }
}

function push<T>(lists: Map<string, T[]>, key: string, item: T): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [item]);
  else list.push(item);
}
