import { compareText } from '../base/text.ts';

/** A machine of the cluster. `address` is the value of the IP column: a host, with a port unless that is the usual one. */
export type Machine = {
  readonly name: string;
  readonly address: string;
  readonly metadata: Metadata;
};

/** A machine as a fleet.conf describes it; `metadata` is undefined if its section has no such key. */
export type ProposedMachine = Omit<Machine, 'metadata'> & { readonly metadata: Metadata | undefined };

/** `/etc/machine-id` as stored everywhere: 32 lower-case hex digits (machine-id(5)). */
export type MachineId = string;

/** A machine id, as 32 hex digits or as a UUID, → 32 lower-case digits; undefined for other text. */
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

/** The metadata of a machine: `{ region: 'eu', disk: 'ssd' }`. */
export type Metadata = Readonly<Record<string, string>>;

/** The parsed metadata, or the first malformed pair and the expected form. */
export type MetadataResult =
  | { readonly kind: 'metadata'; readonly metadata: Metadata }
  | { readonly kind: 'malformed'; readonly pair: string; readonly expected: string };

/** Reads `region=eu,disk=ssd`. */
export function parseMetadata(text: string): MetadataResult {
  const metadata = new Map<string, string>();
  for (const pair of text.split(',').map((part) => part.trim())) {
    if (pair === '') continue;
    const match = /^([^=\s]+)=(\S+)$/.exec(pair);
    if (match?.[1] === undefined || match[2] === undefined)
      return { kind: 'malformed', pair, expected: 'key=value' };
    if (metadata.has(match[1])) return { kind: 'malformed', pair, expected: 'every key once' };
    metadata.set(match[1], match[2]);
  }
  return { kind: 'metadata', metadata: Object.fromEntries(metadata) };
}

/** Metadata as fleet's METADATA column shows it: pairs sorted by key, `-` for none. */
export function formatMetadata(metadata: Metadata): string {
  const pairs = Object.keys(metadata)
    .sort(compareText)
    .map((key) => `${key}=${metadata[key]}`);
  return pairs.length === 0 ? '-' : pairs.join(',');
}
