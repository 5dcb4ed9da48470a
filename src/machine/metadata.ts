import { compareText } from '../base/text.ts';

/** What a machine says of itself: `{ region: 'eu', disk: 'ssd' }`. */
export type Metadata = Readonly<Record<string, string>>;

/** What parsing gives: the metadata, or the first pair that cannot be read and what was expected of it. */
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
