import { globMatcher } from '../base/glob.ts';
import { madeOnce } from '../base/lazy-map.ts';
import { compareText } from '../base/text.ts';
import { conflictTies, type Ties } from '../cluster/dependencies.ts';
import type { DesiredUnit } from '../cluster/snapshot.ts';
import type { MachineId } from '../machine/machine.ts';
import { ConflictIndex, GlobIndex } from './conflict-index.ts';

/** The units of a snapshot and their assignments, indexed. Only loaded and launched units count, except in {@link all}. */
export class UnitIndex {
  /** All units, sorted by name. */
  readonly sorted: readonly DesiredUnit[];
  readonly all: ReadonlyMap<string, DesiredUnit>;
  /** Units with copies on many machines, sorted by name. */
  readonly globals: readonly DesiredUnit[];
  /** The conflicts between launched units by `Conflicts=` of `[Unit]`. */
  readonly conflicts: Ties;
  /** The globs of Conflicts= of all units. */
  readonly #globs: GlobIndex;
  readonly #triggers = new Map<string, DesiredUnit[]>();
  readonly #replacers = new Map<string, DesiredUnit[]>();
  readonly #related: ReadonlySet<string>;
  readonly #unitsOn = new Map<MachineId, ConflictIndex>();
  readonly #matchers = new Map<string, (text: string) => boolean>();

  constructor(units: readonly DesiredUnit[]) {
    this.sorted = units.toSorted((a, b) => compareText(a.name, b.name));
    this.all = new Map(this.sorted.map((unit) => [unit.name, unit]));
    const wanted = this.sorted.filter((unit) => unit.target !== 'inactive');
    for (const unit of wanted) {
      if (unit.triggers !== undefined) push(this.#triggers, unit.triggers, unit);
      for (const old of unit.placement.replaces) push(this.#replacers, old, unit);
    }
    this.#related = new Set(this.sorted.flatMap(relatedBy));
    this.globals = wanted.filter((unit) => this.isGlobal(unit));
    this.conflicts = conflictTies(wanted.filter(({ target }) => target === 'launched'));
    this.#globs = new GlobIndex(units.flatMap(({ placement }) => placement.conflicts));
    for (const unit of wanted) {
      const machine = this.machineOf(unit.name);
      if (machine !== undefined) this.#add(unit, machine);
    }
  }

  /** The unit, if it is loaded or launched. */
  unit(name: string): DesiredUnit | undefined {
    const unit = this.all.get(name);
    return unit?.target === 'inactive' ? undefined : unit;
  }

  /** The assignment of a standard unit. */
  machineOf(name: string): MachineId | undefined {
    const unit = this.unit(name);
    return unit?.placement.global ? undefined : unit?.machine;
  }

  /** The units that are assigned to a machine. */
  unitsOn(machine: MachineId): ConflictIndex | undefined {
    return this.#unitsOn.get(machine);
  }

  /** The loaded and launched timers, sockets, paths and automounts that start a unit, or instances of a template. */
  triggersOf(unit: string): readonly DesiredUnit[] {
    return this.#triggers.get(unit) ?? [];
  }

  /** The loaded and launched units that have `unit` in Replaces=. */
  replacersOf(unit: string): readonly DesiredUnit[] {
    return this.#replacers.get(unit) ?? [];
  }

  /** Whether the unit names another one in MachineOf= or Replaces= or triggers it, or is such a unit. */
  isRelated(name: string): boolean {
    return this.#related.has(name);
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

  /** Whether `unit` has `other` in MachineOf=. */
  follows(unit: string, other: string): boolean {
    return this.unit(unit)?.placement.machineOf.includes(other) ?? false;
  }

  /** Whether a glob of a unit's Conflicts= matches a name. */
  isExcluded(name: string): boolean {
    return this.hasGlobs && [...this.#globs.candidatesFor(name)].some((glob) => this.matches(glob, name));
  }

  /** Whether any unit has globs of Conflicts=. */
  get hasGlobs(): boolean {
    return !this.#globs.isEmpty;
  }

  /** Whether a glob of Conflicts= matches a name; every glob is parsed once. */
  matches(glob: string, name: string): boolean {
    let matcher = this.#matchers.get(glob);
    if (matcher === undefined) {
      matcher = globMatcher(glob);
      this.#matchers.set(glob, matcher);
    }
    return matcher(name);
  }

  #add(unit: DesiredUnit, machine: MachineId): void {
    const there = this.#unitsOn.get(machine) ?? new ConflictIndex();
    if (there.units.length === 0) this.#unitsOn.set(machine, there);
    there.add(unit);
  }
}

/** The index of these units; passes over one revision share it. */
export const indexOfUnits = madeOnce((units: readonly DesiredUnit[]) => new UnitIndex(units));

/** A unit with the units that it names in MachineOf= and Replaces= or triggers; none without such units. */
function relatedBy({ name, placement, triggers }: DesiredUnit): readonly string[] {
  const { machineOf, replaces } = placement;
  if (triggers === undefined && machineOf.length + replaces.length === 0) return [];
  return [name, ...machineOf, ...replaces, ...(triggers === undefined ? [] : [triggers])];
}

function push<T>(lists: Map<string, T[]>, key: string, item: T): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [item]);
  else list.push(item);
}
