import { interruptionLines, PassWatch, type Wait } from '../output/pass-watch.ts';
import type { Emit } from '../reconcile/events.ts';
import type { Streams } from './streams.ts';
import type { LiveArea } from './terminal.ts';

/** How often it is looked what takes long, in ms. */
const LOOK_MS = 200;
/** How long something takes before a terminal shows it, in ms. */
const LIVE_MS = 500;
/**
 * How long it takes before a log gets a line, and before it gets the next one about the same, in ms. An ordinary
 * start takes most of a second, and must not speak.
 */
const SLOW_MS = 3000;
const AGAIN_MS = 30_000;

/** What follows a pass: gets its events, and has to be ended. */
export type Follower = { readonly emit: Emit; end(): void };

/**
 * Shows what takes long while it does: as lines that come and go on a terminal, else as a line for what is really
 * slow. Knows what to say when a signal ends the process.
 */
export function followPass(streams: Streams, dryRun: boolean): Follower {
  const { quiet, live, err, ifInterrupted } = streams;
  const watch = new PassWatch();
  const show = live === undefined ? logTo(err) : drawOn(live);
  let words: Words | undefined;
  const look = (): void => {
    if (words !== undefined) show(words, watch.waits, performance.now());
    // Most commands are done before there is anything to word.
    else if (watch.waits.length > 0) void import('../output/progress.ts').then((loaded) => (words = loaded));
  };
  const timer = quiet === true ? undefined : setInterval(look, LOOK_MS).unref();
  ifInterrupted?.(() => interruptionLines(watch, dryRun));
  return {
    emit: (event) => watch.note(event, performance.now()),
    end() {
      clearInterval(timer);
      live?.clear();
      ifInterrupted?.(undefined);
    },
  };
}

type Words = typeof import('../output/progress.ts');
type Show = (words: Words, waits: readonly Wait[], nowMs: number) => void;

function drawOn(live: LiveArea): Show {
  return ({ liveLines }, waits, nowMs) =>
    live.show(liveLines(olderThan(LIVE_MS, waits, nowMs), nowMs, live.size));
}

function logTo(err: Streams['err']): Show {
  const said = new Map<string, { readonly since: number; readonly at: number }>();
  return ({ slowLine }, waits, nowMs) => {
    for (const wait of olderThan(SLOW_MS, waits, nowMs)) {
      const last = said.get(wait.machine);
      const isKnown = last?.since === wait.sinceMs;
      if (isKnown && nowMs - last.at < AGAIN_MS) continue;
      said.set(wait.machine, { since: wait.sinceMs, at: nowMs });
      err(`${slowLine(wait, nowMs, isKnown)}\n`);
    }
  };
}

function olderThan(ms: number, waits: readonly Wait[], nowMs: number): readonly Wait[] {
  return waits.filter(({ sinceMs }) => nowMs - sinceMs >= ms);
}
