/** `/etc/machine-id` as stored everywhere: 32 lower-case hex digits (machine-id(5)). */
export type MachineId = string;

/** A machine id in either spelling, 32 hex digits or a UUID, → 32 lower-case digits; undefined if it is neither. */
export function parseMachineId(text: string): MachineId | undefined {
  const digits = text.trim().toLowerCase().replaceAll('-', '');
  return /^[0-9a-f]{32}$/.test(digits) ? digits : undefined;
}

/** The id as a UUID: `148a18ff-6e95-4cd8-92da-c9de9bb90d5a`. */
export function formatMachineId(id: MachineId): string {
  return [id.slice(0, 8), id.slice(8, 12), id.slice(12, 16), id.slice(16, 20), id.slice(20)].join('-');
}

/** The id as fleet's tables shorten it: `148a18ff...`. */
export function shortMachineId(id: MachineId): string {
  return `${id.slice(0, 8)}...`;
}
