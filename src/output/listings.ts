import type { MachineVitals } from '../cluster/snapshot.ts';
import { formatMachineId } from '../machine/machine-id.ts';
import { formatMetadata } from '../machine/metadata.ts';
import type { MachineRow } from '../operations/list-machines.ts';
import type { UnitFileRow } from '../operations/list-unit-files.ts';
import type { UnitRow } from '../operations/list-units.ts';
import { bytesText, cpuText, spanText, timeText } from './amount.ts';
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
    { field: 'since', value: ({ since }) => known(since, timeText) },
    { field: 'restarts', value: ({ restarts }) => known(restarts, String) },
    { field: 'memory', value: ({ memoryBytes }) => known(memoryBytes, bytesText) },
    { field: 'cpu', value: ({ cpuNs }) => known(cpuNs, cpuText) },
    { field: 'result', value: ({ result }) => result ?? '' },
    { field: 'last', value: ({ lastRun }) => known(lastRun, timeText) },
    { field: 'next', value: ({ nextRun }) => known(nextRun, timeText) },
  ],
};

export const UNIT_FILES: ListingView<UnitFileRow> = {
  fields: ['unit', 'hash', 'dstate', 'state', 'tmachine'],
  columns: [
    { field: 'unit', value: (row) => row.unit },
    { field: 'hash', value: hash },
    { field: 'dstate', value: (row) => row.target },
    { field: 'state', value: ({ state, drift }) => (state === 'unknown' ? state : (drift ?? state)) },
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
    { field: 'cordon', value: ({ cordon }) => cordon ?? '' },
    { field: 'units', value: ({ units }) => known(units, String) },
    { field: 'systemd', value: ({ vitals }) => vitals?.systemd ?? '' },
    { field: 'load', value: ({ vitals }) => known(vitals?.loadAverage, loadText) },
    { field: 'memory', value: ({ vitals }) => known(vitals?.memory, memoryText) },
    { field: 'uptime', value: ({ uptimeSeconds }) => known(uptimeSeconds, spanText) },
    { field: 'lastseen', value: ({ lastSeen }) => known(lastSeen, timeText) },
  ],
};

/** A cell of something that may not be known; an empty one is shown as `-`. */
function known<T>(value: T | undefined, text: (value: T) => string): string {
  return value === undefined ? '' : text(value);
}

/** `0.10 0.20 0.30`, as in uptime(1). */
function loadText(averages: readonly number[]): string {
  return averages.map((average) => average.toFixed(2)).join(' ');
}

/** Used of total: `1.2G/3.8G`. */
function memoryText({ totalBytes, availableBytes }: NonNullable<MachineVitals['memory']>): string {
  return `${bytesText(totalBytes - availableBytes)}/${bytesText(totalBytes)}`;
}

/** Seven digits, as git and fleet shorten a hash. */
function hash(row: { readonly hash: string }, { full }: TableOptions): string {
  return full ? row.hash : row.hash.slice(0, 7);
}

function targetMachine({ coverage, machine }: UnitFileRow, { full }: TableOptions): string {
  if (coverage !== undefined) return `${coverage.reached} of ${coverage.eligible}`;
  return machine === undefined ? '-' : machineLabel(machine, full);
}
