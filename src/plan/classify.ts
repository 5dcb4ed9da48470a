import { sha256 } from '../base/hash.ts';
import type { DesiredUnit, Token } from '../cluster/snapshot.ts';
import { isForeign, isRunning, isUp, type ObservedUnit } from '../cluster/unit-state.ts';
import { fenceText } from './fence.ts';
import { isAlias, linksOf } from './links.ts';

/** One unit on one machine: what is wanted of it there (undefined: that it is not there), and what is. */
export type Pair = {
  readonly wanted: DesiredUnit | undefined;
  /** The token of what is wanted. */
  readonly token: Token;
  readonly observed: ObservedUnit | undefined;
};

/** How what is wanted differs from what is. */
export type Situation =
  | 'absent'
  | 'surplus'
  | 'foreign'
  | 'stale'
  | 'to-load'
  | 'to-launch'
  | 'to-rewrite'
  | 'to-restart'
  | 'to-start'
  | 'to-stop'
  | 'to-note'
  | 'in-place';

/** Evaluated in order; the first rule that holds names the situation. */
const RULES: readonly (readonly [Situation, (pair: Pair) => boolean])[] = [
  // Nobody wants it, fleet did not put it there.
  ['absent', ({ wanted, observed }) => wanted === undefined && observed?.record === undefined],
  // Somebody decided later than we did.
  ['stale', ({ token, observed }) => (observed?.record?.token ?? 0) > token],
  // Nobody wants it any more, and fleet put it there.
  ['surplus', ({ wanted }) => wanted === undefined],
  // The machine has a unit of that name from elsewhere: not ours to touch or to shadow.
  ['foreign', ({ observed }) => observed !== undefined && isForeign(observed)],
  // It is not there yet.
  ['to-load', (pair) => !isWritten(pair) && pair.wanted?.target === 'loaded' && !runs(pair)],
  ['to-launch', (pair) => !isWritten(pair) && pair.wanted?.target === 'launched' && !runs(pair)],
  // It is there with another text, and running with it.
  ['to-restart', (pair) => !isWritten(pair) && pair.wanted?.target === 'launched'],
  ['to-rewrite', (pair) => !isWritten(pair)],
  // The text is right; the state is not.
  ['to-stop', (pair) => pair.wanted?.target === 'loaded' && runs(pair)],
  ['to-start', (pair) => pair.wanted?.target === 'launched' && !isPairUp(pair)],
  // Only the note is old, a newer token or another target; or what starts it at boot, or fences it, is not as it should be.
  ['to-note', (pair) => !isNoted(pair)],
  ['in-place', () => true],
];

export function classify(pair: Pair): Situation {
  return RULES.find(([, holds]) => holds(pair))?.[0] ?? 'in-place';
}

function isWritten({ wanted, observed }: Pair): boolean {
  return observed?.digest !== undefined && observed.digest === wanted?.digest;
}

function isPairUp({ observed }: Pair): boolean {
  return observed !== undefined && isUp(observed.state);
}

function runs({ observed }: Pair): boolean {
  return observed !== undefined && isRunning(observed.state);
}

function isNoted({ wanted, observed }: Pair): boolean {
  const record = observed?.record;
  return (
    record?.token === wanted?.token &&
    record?.target === wanted?.target &&
    record?.digest === wanted?.digest &&
    isLinked(wanted, observed?.links) &&
    isFenced(wanted, observed)
  );
}

/** Whether the drop-in of a fenced unit is there, and that of another one is not. */
function isFenced(wanted: DesiredUnit | undefined, observed: ObservedUnit | undefined): boolean {
  const fence = wanted === undefined ? undefined : fenceText(wanted);
  return observed?.fence === (fence === undefined ? undefined : sha256(fence));
}

/** Other names are not looked at: they are there when the link is that starts the unit at boot. */
function isLinked(wanted: DesiredUnit | undefined, links: ObservedUnit['links']): boolean {
  if (wanted === undefined || links === undefined) return true;
  const expected = linksOf(wanted).filter((link) => !isAlias(link));
  return expected.length === links.length && expected.every((link) => links.includes(link));
}
