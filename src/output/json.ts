import { formatMachineId } from '../machine/machine-id.ts';
import type { MachineRow } from '../operations/list-machines.ts';
import type { UnitFileRow } from '../operations/list-unit-files.ts';
import type { UnitRow } from '../operations/list-units.ts';
import type { MachineRef } from '../operations/unit-result.ts';
import type { Listing, UnreachableMachine } from '../operations/unreachable.ts';

/** `{ "units": […], "unreachable": […] }`, see the README for every field. */
export function unitsJson(listing: Listing<UnitRow>): string {
  return render('units', listing, ({ unit, machine, load, active, sub, hash }) => ({
    unit,
    machine: machineJson(machine),
    load,
    active,
    sub,
    hash: hash === '' ? null : hash,
  }));
}

/** `{ "unitFiles": […], "unreachable": […] }` */
export function unitFilesJson(listing: Listing<UnitFileRow>): string {
  return render('unitFiles', listing, (row) => ({
    unit: row.unit,
    hash: row.hash,
    desiredState: row.target,
    state: row.state,
    machine: row.machine === undefined ? null : machineJson(row.machine),
    global: row.global,
    coverage: row.coverage ?? null,
    description: row.description,
  }));
}

/** `{ "machines": […], "unreachable": […] }` */
export function machinesJson(listing: Listing<MachineRow>): string {
  return render('machines', listing, (row) => ({
    ...machineJson(row),
    metadata: row.metadata,
    state: row.state,
  }));
}

function render<Row>(name: string, listing: Listing<Row>, toJson: (row: Row) => object): string {
  const unreachable = unreachableJson(listing.unreachable);
  return `${JSON.stringify({ [name]: listing.rows.map(toJson), unreachable }, undefined, 2)}\n`;
}

/** The array `unreachable` that every answer about machines has. */
export function unreachableJson(unreachable: readonly UnreachableMachine[]): readonly object[] {
  return unreachable.map(({ machine, message, silentMs }) => ({
    ...machineJson(machine),
    reason: message,
    silentMs,
  }));
}

export function machineJson({ name, id, address }: MachineRef): object {
  return { id: id === undefined ? null : formatMachineId(id), name, ip: address };
}
