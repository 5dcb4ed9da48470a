import { sha256 } from '../base/hash.ts';
import { parseHead } from '../quorum/head.ts';
import { snapshotOf } from '../quorum/segments.ts';
import type { VoterAnswer, VoterRequest } from '../quorum/voters.ts';
import { RegistryView } from '../registry/view.ts';

/** The request for everything that a machine has stored of the registry. */
export const WHOLE_REGISTRY: VoterRequest = {
  register: 'head',
  action: { kind: 'read' },
  unlessKnown: [],
};

/**
 * The registry as one machine has stored it, from its answer to {@link WHOLE_REGISTRY}. A majority of the voters may have a later
 * one, so this only tells where the voters are. Undefined if the machine has none, or not all of its contents.
 */
export function storedRegistry({ state, stored, texts, invalid }: VoterAnswer): RegistryView | undefined {
  const head = parseHead(stored.accepted?.value ?? '');
  const contents = new Map(texts.map((text) => [sha256(text), text]));
  if (state === undefined || head === undefined || invalid === true) return undefined;
  if (!head.segments.every(({ hash }) => contents.has(hash))) return undefined;
  const { revision, records } = snapshotOf(head.revision, head.segments, contents);
  return new RegistryView(revision, records);
}
