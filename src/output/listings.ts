import { formatMachineId } from '../machine/machine-id.ts';
import { formatMetadata } from '../machine/metadata.ts';
import type { MachineRow } from '../operations/list-machines.ts';
import type { UnitFileRow } from '../operations/list-unit-files.ts';
import type { UnitRow } from '../operations/list-units.ts';
import { machineLabel } from './machine.ts';
import type { Column, TableOptions } from './table.ts';

/** A listing: every field it can show, and those it shows unasked. */
export type ListingView<Row> = {
  readonly columns: readonly Column<Row>[];
  readonly fields: readonly string[];
};

export const UNITS: ListingView<UnitRow> = {
  fields: ['unit', 'machine', 'active', 'sub'],
  columns: [
    { field: 'unit', value: (row) => row.unit },
    { field: 'machine', value: (row, { full }) => machineLabel(row.machine, full) },
    { field: 'load', value: (row) => row.load },
    { field: 'active', value: (row) => row.active },
    { field: 'sub', value: (row) => row.sub },
    { field: 'hash', value: hash },
  ],
};

export const UNIT_FILES: ListingView<UnitFileRow> = {
  fields: ['unit', 'hash', 'dstate', 'state', 'tmachine'],
  columns: [
    { field: 'unit', value: (row) => row.unit },
    { field: 'hash', value: hash },
    { field: 'dstate', value: (row) => row.target },
    { field: 'state', value: (row) => row.state },
    { field: 'tmachine', value: targetMachine },
    // fleet's own name for the same column.
    { field: 'target', value: targetMachine },
    { field: 'global', value: (row) => String(row.global) },
    { field: 'desc', value: (row) => row.description },
  ],
};

export const MACHINES: ListingView<MachineRow> = {
  fields: ['machine', 'ip', 'metadata'],
  columns: [
    { field: 'machine', value: (row) => (row.id === undefined ? '-' : formatMachineId(row.id)) },
    { field: 'name', value: (row) => row.name },
    { field: 'ip', value: (row) => row.address },
    { field: 'metadata', value: (row) => formatMetadata(row.metadata) },
    { field: 'state', value: (row) => row.state },
  ],
};

/** Seven digits, as git and fleet shorten a hash. */
function hash(row: { readonly hash: string }, { full }: TableOptions): string {
  return full ? row.hash : row.hash.slice(0, 7);
}

function targetMachine({ coverage, machine }: UnitFileRow, { full }: TableOptions): string {
  if (coverage !== undefined) return `${coverage.reached} of ${coverage.eligible}`;
  return machine === undefined ? '-' : machineLabel(machine, full);
}
