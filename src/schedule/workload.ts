import { compareText } from '../base/compare.ts';
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
  readonly #unitsOn = new Map<MachineId, Set<string>>();

  constructor(snapshot: ClusterSnapshot) {
    const wanted = snapshot.units.filter((unit) => unit.target !== 'inactive');
    this.machines = snapshot.machines;
    this.globals = wanted
      .filter((unit) => unit.placement.global)
      .toSorted((a, b) => compareText(a.name, b.name));
    this.#units = new Map(wanted.map((unit) => [unit.name, unit]));
    for (const unit of wanted) {
      if (!unit.placement.global && unit.machine !== undefined) this.assign(unit.name, unit.machine);
    }
  }

  /** Where a standard unit is assigned now. */
  machineOf(unit: string): MachineId | undefined {
    return this.#machineOf.get(unit);
  }

  /** Whether `unit` asks for the machine of `other`. */
  follows(unit: string, other: string): boolean {
    return this.#units.get(unit)?.placement.machineOf.includes(other) ?? false;
  }

  /** Standard units assigned to a machine, by name. */
  unitsOn(machine: MachineId): readonly DesiredUnit[] {
    const names = [...(this.#unitsOn.get(machine) ?? [])].sort(compareText);
    return names.flatMap((name) => this.#units.get(name) ?? []);
  }

  count(machine: MachineId): number {
    return this.#unitsOn.get(machine)?.size ?? 0;
  }

  assign(unit: string, machine: MachineId): void {
    const before = this.#machineOf.get(unit);
    if (before !== undefined) this.#unitsOn.get(before)?.delete(unit);
    this.#machineOf.set(unit, machine);
    const there = this.#unitsOn.get(machine) ?? new Set<string>();
    this.#unitsOn.set(machine, there.add(unit));
  }

  /** The machine's name in fleet.conf, or its id when the inventory does not have it. */
  nameOf(machine: MachineId): string {
    return this.machines.find((view) => view.id === machine)?.machine.name ?? machine;
  }
}
