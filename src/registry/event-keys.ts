import { compareText } from '../base/text.ts';

/** The key, below `events/`, of what is decided at a revision. Keys of 0.1.0 were `TIME-REVISION` and sort before it. */
export function eventKey(revision: number): string {
  return `r${String(revision).padStart(16, '0')}`;
}

/** Such keys, oldest first: in the order of revisions, for the clocks of those who write them differ. */
export function sortEventKeys(keys: readonly string[]): readonly string[] {
  const revision = (key: string): number => Number(/\d+$/.exec(key)?.[0] ?? 0);
  return keys.toSorted((a, b) => revision(a) - revision(b) || compareText(a, b));
}
