import { sha256 } from '../base/hash.ts';
import type { DesiredUnit, Token } from '../cluster/snapshot.ts';
import { isForeign, isMasked, isRunning, isUnknown, isUp, type ObservedUnit } from '../cluster/unit-state.ts';
import { fenceText, isAlias, linksOf } from './links-and-drop-in.ts';

/** One unit on one machine: `wanted` is its unit in the registry, undefined if it shall not be there. */
export type UnitOnMachine = {
  readonly wanted: DesiredUnit | undefined;
  /** The token of the decision. */
  readonly token: Token;
  readonly observed: ObservedUnit | undefined;
  /** The unit has moved to another machine, and its current run here may finish. */
  readonly mayLinger?: boolean;
  /** The text that it has here is held, and has failed here. */
  readonly hasFailed?: boolean;
};

/** The difference between the wanted and the observed state. */
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
 * Evaluated in order; the first rule that holds gives the situation. A unit with the target `loaded` may run because a
 * trigger, a dependency or a user started it: only a change from `launched` to `loaded` stops it.
 */
const RULES: readonly (readonly [Situation, (pair: UnitOnMachine) => boolean])[] = [
  // It is assigned to the machine, which has neither its record nor its text.
  ['unrecorded', ({ observed }) => observed?.lost !== undefined && observed.record === undefined],
  // It is not wanted, and fleet did not write it.
  ['absent', ({ wanted, observed }) => wanted === undefined && observed?.record === undefined],
  // The machine has applied a newer decision.
  ['stale', ({ token, observed }) => (observed?.record?.token ?? 0) > token],
  // It has moved, and a trigger or a user started it here.
  ['lingering', (pair) => pair.wanted === undefined && pair.mayLinger === true && isLoadedRun(pair)],
  // It is not wanted any more, and fleet wrote it.
  ['surplus', ({ wanted }) => wanted === undefined],
  // The machine has a unit of that name that fleet did not write: it is neither changed nor shadowed.
  ['foreign', ({ observed }) => observed !== undefined && isForeign(observed)],
  // The machine cannot report whether it runs, so it must not be started a second time.
  ['unknown', (pair) => isWritten(pair) && pair.wanted?.target === 'launched' && isPairUnknown(pair)],
  // It was launched with another text, and its target is now lower.
  ['to-rewrite', (pair) => !isWritten(pair) && isLowered(pair)],
  // It is not there yet, or has another text: the new one takes effect at its next start.
  ['to-load', (pair) => !isWritten(pair) && pair.wanted?.target === 'loaded'],
  ['to-launch', (pair) => !isWritten(pair) && !runs(pair)],
  // It runs with another text.
  ['to-restart', (pair) => !isWritten(pair)],
  // The text is right; the state differs.
  ['to-stop', (pair) => isLowered(pair)],
  ['to-start', (pair) => pair.wanted?.target === 'launched' && (!isPairUp(pair) || isRaised(pair))],
  // The record has an older token or another target, or the links or the fence drop-in differ.
  ['to-record', (pair) => !isRecorded(pair)],
  ['in-place', () => true],
];

export function classify(pair: UnitOnMachine): Situation {
  return RULES.find(([, holds]) => holds(pair))?.[0] ?? 'in-place';
}

/** It was launched, is only to be loaded now, and still runs: it is stopped once. */
function isLowered(pair: UnitOnMachine): boolean {
  return pair.wanted?.target === 'loaded' && pair.observed?.record?.target === 'launched' && runs(pair);
}

/** It was loaded, is to be launched now, and does not run: an earlier run of a oneshot does not count. */
function isRaised(pair: UnitOnMachine): boolean {
  return pair.observed?.record?.target === 'loaded' && !runs(pair);
}

function isLoadedRun(pair: UnitOnMachine): boolean {
  return pair.observed?.record?.target === 'loaded' && runs(pair);
}

function isPairUnknown({ observed }: UnitOnMachine): boolean {
  return observed !== undefined && isUnknown(observed.state);
}

/** A mask of an administrator is in the place of the file; only a new text replaces it. */
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

/** Whether the record, the links and the drop-in are as they shall be. */
export function isRecorded({ wanted, observed, hasFailed }: UnitOnMachine): boolean {
  const record = observed?.record;
  return (
    record?.token === wanted?.token &&
    record?.target === wanted?.target &&
    record?.digest === wanted?.digest &&
    isLinked(wanted, observed?.links, hasFailed) &&
    isFenced(wanted, observed)
  );
}

/** Whether a fenced unit has the right drop-in, and any other unit has none. */
function isFenced(wanted: DesiredUnit | undefined, observed: ObservedUnit | undefined): boolean {
  const fence = wanted === undefined ? undefined : fenceText(wanted);
  return observed?.fence === (fence === undefined ? undefined : sha256(fence));
}

/** Aliases are not compared: the link in `fleet.target.wants/` is made last, so it proves that they were made. */
function isLinked(
  wanted: DesiredUnit | undefined,
  links: ObservedUnit['links'],
  hasFailed: boolean | undefined,
): boolean {
  if (wanted === undefined || links === undefined) return true;
  const expected = linksOf(wanted, hasFailed).filter((link) => !isAlias(link));
  return expected.length === links.length && expected.every((link) => links.includes(link));
}
