import { sha256 } from '../base/hash.ts';
import type { DesiredUnit, Token } from '../cluster/snapshot.ts';
import { isForeign, isMasked, isRunning, isUnknown, isUp, type ObservedUnit } from '../cluster/unit-state.ts';
import { fenceText, isAlias, linksOf } from './links-and-drop-in.ts';

/** One unit on one machine: what is wanted of it there (undefined: that it is not there), and what is. */
export type UnitOnMachine = {
  readonly wanted: DesiredUnit | undefined;
  /** The token of what is wanted. */
  readonly token: Token;
  readonly observed: ObservedUnit | undefined;
  /** It is wanted on another machine, and a run that is under way here may come to its end. */
  readonly mayLinger?: boolean;
};

/** How what is wanted differs from what is. */
export type Situation =
  | 'absent'
  | 'surplus'
  | 'lingering'
  | 'foreign'
  | 'unrecorded'
  | 'stale'
  | 'unknown'
  | 'to-load'
  | 'to-launch'
  | 'to-rewrite'
  | 'to-restart'
  | 'to-start'
  | 'to-stop'
  | 'to-record'
  | 'in-place';

/**
 * Evaluated in order; the first rule that holds names the situation. A unit whose target is `loaded` may run because a
 * trigger, a dependency or a person started it: no rule stops it, but for the change from `launched` to `loaded`.
 */
const RULES: readonly (readonly [Situation, (pair: UnitOnMachine) => boolean])[] = [
  // The registry has put it there, and the machine has neither a record nor the text of it.
  ['unrecorded', ({ observed }) => observed?.lost !== undefined && observed.record === undefined],
  // It is not wanted, and fleet did not put it there.
  ['absent', ({ wanted, observed }) => wanted === undefined && observed?.record === undefined],
  // The machine has applied a newer decision.
  ['stale', ({ token, observed }) => (observed?.record?.token ?? 0) > token],
  // It has moved, and was started here by something else.
  ['lingering', (pair) => pair.wanted === undefined && pair.mayLinger === true && isLoadedRun(pair)],
  // It is not wanted any more, and fleet put it there.
  ['surplus', ({ wanted }) => wanted === undefined],
  // The machine has a unit of that name from elsewhere: not ours to touch or to shadow.
  ['foreign', ({ observed }) => observed !== undefined && isForeign(observed)],
  // The machine cannot say whether it runs, so that it must not be started a second time.
  ['unknown', (pair) => isWritten(pair) && pair.wanted?.target === 'launched' && isPairUnknown(pair)],
  // It was launched with another text, and is not to be launched any more.
  ['to-rewrite', (pair) => !isWritten(pair) && isLowered(pair)],
  // It is not there yet, or with another text, which counts from its next run on.
  ['to-load', (pair) => !isWritten(pair) && pair.wanted?.target === 'loaded'],
  ['to-launch', (pair) => !isWritten(pair) && !runs(pair)],
  // It is there with another text, and running with it.
  ['to-restart', (pair) => !isWritten(pair)],
  // The text is right; the state is not.
  ['to-stop', (pair) => isLowered(pair)],
  ['to-start', (pair) => pair.wanted?.target === 'launched' && (!isPairUp(pair) || isRaised(pair))],
  // Only the record is old, a newer token or another target; or what starts it at boot, or fences it, is not as it should be.
  ['to-record', (pair) => !isRecorded(pair)],
  ['in-place', () => true],
];

export function classify(pair: UnitOnMachine): Situation {
  return RULES.find(([, holds]) => holds(pair))?.[0] ?? 'in-place';
}

/** Launched before, loaded from now on, and still running: stopped once. */
function isLowered(pair: UnitOnMachine): boolean {
  return pair.wanted?.target === 'loaded' && pair.observed?.record?.target === 'launched' && runs(pair);
}

/** Loaded before, launched from now on, and not running: an earlier run of a oneshot does not count. */
function isRaised(pair: UnitOnMachine): boolean {
  return pair.observed?.record?.target === 'loaded' && !runs(pair);
}

function isLoadedRun(pair: UnitOnMachine): boolean {
  return pair.observed?.record?.target === 'loaded' && runs(pair);
}

function isPairUnknown({ observed }: UnitOnMachine): boolean {
  return observed !== undefined && isUnknown(observed.state);
}

/** A mask of the administrator stays in the place of the file; only a new text replaces it. */
function isWritten({ wanted, observed }: UnitOnMachine): boolean {
  if (observed !== undefined && isMasked(observed.state))
    return observed.record !== undefined && observed.record.digest === wanted?.digest;
  return observed?.digest !== undefined && observed.digest === wanted?.digest;
}

function isPairUp({ observed }: UnitOnMachine): boolean {
  return observed !== undefined && isUp(observed.state);
}

function runs({ observed }: UnitOnMachine): boolean {
  return observed !== undefined && isRunning(observed.state);
}

function isRecorded({ wanted, observed }: UnitOnMachine): boolean {
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

/** Aliases are not compared: `fleet.target.wants/` is made last, so it stands for them. */
function isLinked(wanted: DesiredUnit | undefined, links: ObservedUnit['links']): boolean {
  if (wanted === undefined || links === undefined) return true;
  const expected = linksOf(wanted).filter((link) => !isAlias(link));
  return expected.length === links.length && expected.every((link) => links.includes(link));
}
