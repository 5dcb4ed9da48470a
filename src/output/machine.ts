import { formatMachineId, shortMachineId } from '../machine/machine-id.ts';
import type { MachineRef } from '../operations/machine-ref.ts';

/** `148a18ff.../10.10.1.1`, with the whole id when `full`; `-` for an id that is not known. */
export function machineLabel({ id, address }: MachineRef, full = false): string {
  const shown = id === undefined ? '-' : full ? formatMachineId(id) : shortMachineId(id);
  return address === '' ? shown : `${shown}/${address}`;
}

/** How messages name a machine: `"m1" (10.10.1.1)`. */
export function machineTitle({ name, address }: MachineRef): string {
  return `"${name}" (${address})`;
}

/** The packages that bring what a machine lacks. */
export function packagesOf(tools: readonly string[]): string {
  const names = tools.map((tool) => (tool === 'flock' ? 'util-linux' : 'coreutils'));
  return [...new Set(names)].join(' and ');
}
