import type { MachineView } from '../cluster/snapshot.ts';
import { mayBeDown } from '../cluster/unreachable.ts';
import type { KnownMachine } from '../registry/edit.ts';
import type { ObserverClocks } from './ports.ts';

/** In ms: observations that are further apart are no proof for the time in between. */
const GAP_MS = 3_600_000;
/** Start times that differ by less, in ms, count as the same: the two clocks are not read at one moment. */
const SLACK_MS = 100;
/** The limit of recorded observers of one machine; the oldest one is removed first. */
const MOST_OBSERVERS = 16;

/** Epoch ms since when the observer has found the machine unreachable; undefined without a recent observation. */
export function unreachableSince(
  known: KnownMachine | undefined,
  { clock, observer }: ObserverClocks,
): number | undefined {
  const seen = known?.silence?.seenBy[observer.id];
  const uptime = observer.uptime.now();
  if (seen === undefined || seen.last > uptime || uptime - seen.last > GAP_MS) return undefined;
  return clock.now() - (uptime - seen.first);
}

/** Whether any observer has recorded that the machine is unreachable; version 0.1.0 records only `silentSince`. */
export function isKnownUnreachable({ silence, silentSince }: KnownMachine): boolean {
  return silence !== undefined || silentSince !== undefined;
}

/**
 * The registry's data about a machine after this observation; the same object if nothing is new, so that nothing is
 * written. An error that does not suggest that the machine is down resets the time of this observer.
 */
export function updatedMachine(view: MachineView, known: KnownMachine, by: ObserverClocks): KnownMachine {
  const { id, unreachable, backSince } = view;
  if (unreachable === undefined) {
    const isKnown = known.id === id && known.backSince === backSince && !isKnownUnreachable(known);
    return isKnown ? known : { ...known, id, backSince, silence: undefined, silentSince: undefined };
  }
  const next = mayBeDown(unreachable) ? withSilence(known, unreachable.since, by) : withoutSilence(known, by);
  return next === known && known.id === id ? known : { ...next, id };
}

function withSilence(known: KnownMachine, since: number, { clock, observer }: ObserverClocks): KnownMachine {
  const last = observer.uptime.now();
  const first = last - Math.max(0, clock.now() - since);
  const seenBy = known.silence?.seenBy ?? {};
  const before = seenBy[observer.id];
  const isKnown =
    before !== undefined &&
    Math.abs(before.first - first) < SLACK_MS &&
    before.last <= last &&
    last - before.last < GAP_MS / 2;
  if (isKnown && known.backSince === undefined) return known;
  const others = Object.entries(seenBy).filter(([id]) => id !== observer.id);
  const entries = [...others, [observer.id, { first, last }] as const].slice(-MOST_OBSERVERS);
  const silence = { at: known.silence?.at ?? since, seenBy: Object.fromEntries(entries) };
  return { ...known, silence, backSince: undefined };
}

function withoutSilence(known: KnownMachine, { observer }: ObserverClocks): KnownMachine {
  if (known.silence?.seenBy[observer.id] === undefined) return known;
  const { [observer.id]: _, ...seenBy } = known.silence.seenBy;
  return { ...known, silence: { ...known.silence, seenBy } };
}
