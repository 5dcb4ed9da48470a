import { interruptionLines, PassWatch, type Wait } from '../output/pass-watch.ts';
import type { Emit } from '../reconcile/events.ts';
import type { Streams } from './streams.ts';
import type { LiveArea } from './terminal.ts';

/** The interval of checks for long waits, in ms. */
const LOOK_MS = 200;
/** The duration of a wait after which a terminal shows it, in ms. */
const LIVE_MS = 500;
/**
 * The duration of a wait after which a log gets a line, and the next line about the same wait, in ms. An ordinary start
 * takes almost a second and must not be logged.
 */
const SLOW_MS = 3000;
const AGAIN_MS = 30_000;

/** Receives the events of a pass, and must be ended. */
export type Follower = {
  readonly emit: Emit;
  /** The machines that a read or a change of the registry waits for; none if it waits no more. */
  readonly onVoters: (machines: readonly string[]) => void;
  end(): void;
};

/**
 * Shows long waits of a pass: as temporary lines on a terminal, else as one line for each that is slow. Sets the last
 * words for a signal that ends the process.
 */
export function followPass(streams: Streams, dryRun: boolean): Follower {
  const { quiet, live, err, ifInterrupted } = streams;
  const watch = new PassWatch();
  const show = live === undefined ? logTo(err) : drawOn(live);
  let progress: Progress | undefined;
  const look = (): void => {
    if (progress !== undefined) show(progress, watch.waits, performance.now());
    // Most commands end before there is anything to show.
    else if (watch.waits.length > 0)
      void import('../output/progress.ts').then((loaded) => (progress = loaded));
  };
  const timer = quiet === true ? undefined : setInterval(look, LOOK_MS).unref();
  ifInterrupted?.(() => interruptionLines(watch, dryRun, performance.now()));
  return {
    emit(event) {
      watch.note(event, performance.now());
      if (event.kind === 'voters' || event.kind === 'former-registry')
        void import('../output/events.ts').then(({ eventText }) => err(`${eventText(event)}\n`));
    },
    onVoters: (machines) => watch.noteVoters(machines, performance.now()),
    end() {
      clearInterval(timer);
      live?.clear();
      ifInterrupted?.(undefined);
    },
  };
}

type Progress = typeof import('../output/progress.ts');
type Show = (progress: Progress, waits: readonly Wait[], nowMs: number) => void;

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
