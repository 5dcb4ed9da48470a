import type { Clock } from '../base/time.ts';
import type { MachineView } from '../cluster/snapshot.ts';
import { mayBeDown } from '../cluster/unreachable.ts';
import { type KnownMachine, UNKNOWN_MACHINE } from '../registry/view.ts';

/** The one that looks at machines: the silence of a machine counts for it as far as it has seen it itself. */
export type Observer = {
  /** Names the person, the computer since its last boot, and the configuration. */
  readonly id: string;
  /** Ms since that boot: this clock does not jump, and all processes of the computer share it. */
  readonly uptime: Clock;
};

/** The clock that measures silence, and the observer whose clock it is. */
export type Watchman = { readonly clock: Clock; readonly observer: Observer };

/** Two looks that are further apart, in ms, say nothing of the time in between. */
const GAP_MS = 3_600_000;
/** Start times that differ by less, in ms, count as the same: the two clocks are not read at one moment. */
const SLACK_MS = 100;
/** The observers that are remembered of one machine; the one that looked first makes room. */
const MOST_OBSERVERS = 16;

/** Since when the observer has seen the machine unreachable, as epoch ms; undefined when it has not, or not lately. */
export function unreachableSince(
  known: KnownMachine | undefined,
  { clock, observer }: Watchman,
): number | undefined {
  const seen = known?.silence?.seenBy[observer.id];
  const uptime = observer.uptime.now();
  if (seen === undefined || seen.last > uptime || uptime - seen.last > GAP_MS) return undefined;
  return clock.now() - (uptime - seen.first);
}

/** Whether anyone has noted that the machine became unreachable; an older fleet notes `silentSince` alone. */
export function isKnownUnreachable({ silence, silentSince }: KnownMachine): boolean {
  return silence !== undefined || silentSince !== undefined;
}

/**
 * What the registry should remember of a machine after this view of it. Returns the same object when nothing is new, so
 * that nothing is written.
 * Trouble that is no silence ends the silence that this observer has seen, and says nothing else.
 */
export function updatedMachine(
  view: MachineView,
  known: KnownMachine = UNKNOWN_MACHINE,
  by: Watchman,
): KnownMachine {
  const { id, unreachable, backSince } = view;
  if (unreachable === undefined) {
    const isKnown = known.id === id && known.backSince === backSince && !isKnownUnreachable(known);
    return isKnown ? known : { ...known, id, backSince, silence: undefined, silentSince: undefined };
  }
  const next = mayBeDown(unreachable)
    ? withSighting(known, unreachable.since, by)
    : withoutSighting(known, by);
  return next === known && known.id === id ? known : { ...next, id };
}

function withSighting(known: KnownMachine, since: number, { clock, observer }: Watchman): KnownMachine {
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

function withoutSighting(known: KnownMachine, { observer }: Watchman): KnownMachine {
  if (known.silence?.seenBy[observer.id] === undefined) return known;
  const { [observer.id]: _, ...seenBy } = known.silence.seenBy;
  return { ...known, silence: { ...known.silence, seenBy } };
}
