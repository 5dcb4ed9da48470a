import { compareText } from '../base/compare.ts';
import { globMatcher } from '../base/glob.ts';
import type { ClusterSnapshot, DesiredUnit, MachineView } from '../cluster/snapshot.ts';
import type { MachineId } from '../machine/machine-id.ts';

/**
 * Who is where, while a schedule is being made: the snapshot's assignments, changed by every decision so
 * that the next one sees it. Only units that are wanted somewhere (loaded or launched) count.
 */
export class Workload {
  readonly machines: readonly MachineView[];
  /** Global units that are wanted, by name. */
  readonly globals: readonly DesiredUnit[];
  readonly #units: ReadonlyMap<string, DesiredUnit>;
  readonly #machineOf = new Map<string, MachineId>();
  /** Units that are wanted nowhere any more, and where they are. */
  readonly #left = new Map<string, MachineId>();
  readonly #unitsOn = new Map<MachineId, readonly DesiredUnit[]>();
  readonly #globs = new Map<string, (text: string) => boolean>();

  constructor(snapshot: ClusterSnapshot) {
    const wanted = snapshot.units.filter((unit) => unit.target !== 'inactive');
    this.machines = snapshot.machines;
    this.globals = wanted
      .filter((unit) => unit.placement.global)
      .toSorted((a, b) => compareText(a.name, b.name));
    this.#units = new Map(wanted.map((unit) => [unit.name, unit]));
    for (const { name, target, machine } of snapshot.units) {
      if (target === 'inactive' && machine !== undefined) this.#left.set(name, machine);
    }
    for (const unit of wanted) {
      if (!unit.placement.global && unit.machine !== undefined) this.assign(unit.name, unit.machine);
    }
  }

  /** Where a standard unit is assigned now. */
  machineOf(unit: string): MachineId | undefined {
    return this.#machineOf.get(unit);
  }

  /** The machine that a unit leaves to `unit`, which replaces it. */
  legacyOf({ placement }: DesiredUnit): MachineId | undefined {
    return placement.replaces.flatMap((name) => this.#left.get(name) ?? [])[0];
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

  /** Standard units assigned to a machine, by name. */
  unitsOn(machine: MachineId): readonly DesiredUnit[] {
    return this.#unitsOn.get(machine) ?? [];
  }

  count(machine: MachineId): number {
    return this.unitsOn(machine).length;
  }

  assign(name: string, machine: MachineId): void {
    const unit = this.#units.get(name);
    if (unit === undefined) return;
    const before = this.#machineOf.get(name);
    if (before !== undefined) {
      this.#unitsOn.set(
        before,
        this.unitsOn(before).filter((other) => other !== unit),
      );
    }
    this.#machineOf.set(name, machine);
    const there = [...this.unitsOn(machine), unit];
    this.#unitsOn.set(
      machine,
      there.sort((a, b) => compareText(a.name, b.name)),
    );
  }

  /** The machine's name in fleet.conf, or its id when the inventory does not have it. */
  nameOf(machine: MachineId): string {
    return this.machines.find((view) => view.id === machine)?.machine.name ?? machine;
  }
}
