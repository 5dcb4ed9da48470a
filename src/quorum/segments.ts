import { sha256 } from '../base/hash.ts';
import { isRevision, type Snapshot } from '../store/snapshot.ts';
import type { StoreRecord } from '../store/store.ts';
import type { SegmentName } from './head.ts';

/** A record of a segment. Without a value, the key was deleted. */
export type Entry = { readonly key: string; readonly revision: number; readonly value?: string };

/** Contents by hash. */
export type Texts = ReadonlyMap<string, string>;

/** One JSON array per line, sorted by key: `["units/a.service",7,"…"]`, without a value for a deleted key. */
function formatSegment(entries: readonly Entry[]): string {
  return entries
    .map(
      ({ key, revision, value }) =>
        `${JSON.stringify(value === undefined ? [key, revision] : [key, revision, value])}\n`,
    )
    .join('');
}

/** Undefined for anything that {@link formatSegment} does not write. */
function parseSegment(text: string): readonly Entry[] | undefined {
  const lines = text.split('\n');
  if (lines.pop() !== '') return undefined;
  const entries: Entry[] = [];
  for (const line of lines) {
    const entry = parseEntry(line);
    if (entry === undefined || entry.key <= (entries.at(-1)?.key ?? '')) return undefined;
    entries.push(entry);
  }
  return entries;
}

/**
 * The segments after a commit of `changed`, and the texts of the new ones. A segment is merged with the one before it
 * until that one is more than twice as large. So their number grows with the logarithm of the contents, and a record is written
 * again that often (log-structured merge tree: O'Neil et al., 1996).
 */
export function addSegment(
  names: readonly SegmentName[],
  texts: Texts,
  changed: readonly Entry[],
): { readonly segments: readonly SegmentName[]; readonly added: Texts } {
  const kept = [...names];
  let text = formatSegment(changed);
  for (let last = kept.at(-1); last !== undefined && last.bytes <= 2 * text.length; last = kept.at(-1)) {
    kept.pop();
    text = formatSegment(mergeEntries([entriesOf(texts, last), parseSegment(text) ?? []], kept.length === 0));
  }
  const hash = sha256(text);
  return { segments: [...kept, { hash, bytes: text.length }], added: new Map([[hash, text]]) };
}

/** What the segments hold together. Throws if a text is missing or damaged: their hashes are checked before. */
export function snapshotOf(revision: number, names: readonly SegmentName[], texts: Texts): Snapshot {
  const entries = mergeEntries(
    names.map((name) => entriesOf(texts, name)),
    true,
  );
  const records = entries.flatMap(({ key, revision: at, value }): StoreRecord[] =>
    value === undefined ? [] : [{ key, value, revision: at }],
  );
  return { revision, records };
}

/** The latest entry of every key, sorted. `isWhole`: nothing older exists, so deleted keys need no entry. */
function mergeEntries(segments: readonly (readonly Entry[])[], isWhole: boolean): readonly Entry[] {
  const latest = new Map(segments.flatMap((entries) => entries.map((entry) => [entry.key, entry])));
  const entries = [...latest.values()].filter(({ value }) => !isWhole || value !== undefined);
  return entries.sort((a, b) => (a.key < b.key ? -1 : 1));
}

function entriesOf(texts: Texts, { hash }: SegmentName): readonly Entry[] {
  const entries = parseSegment(texts.get(hash) ?? 'missing');
  if (entries === undefined) throw new Error(`segment ${hash} cannot be read`);
  return entries;
}

function parseEntry(line: string): Entry | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (!Array.isArray(parsed) || parsed.length < 2 || parsed.length > 3) return undefined;
  const [key, revision, value] = parsed as unknown[];
  if (typeof key !== 'string' || !isRevision(revision)) return undefined;
  if (parsed.length === 2) return { key, revision };
  return typeof value === 'string' ? { key, revision, value } : undefined;
}
