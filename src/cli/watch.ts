import { setTimeout as wait } from 'node:timers/promises';
import { parseDuration } from '../base/duration.ts';
import { FleetError, isFleetError } from '../base/errors.ts';
import type { Viewpoint } from '../operations/look.ts';
import type { Listing } from '../operations/unreachable.ts';
import { renewSessions } from '../systemd/derived-drivers.ts';
import type { Call } from './command.ts';
import { EXIT } from './exit-status.ts';
import { untilInterrupted } from './until-interrupted.ts';
import { withViewpoint } from './viewpoint.ts';

/** How long a listing rests between two looks, in ms. */
const INTERVAL_MS = 2000;
const SHORTEST_MS = 100;
const LONGEST_MS = 3_600_000;

/** Shows what was seen, or why nothing was. */
export type Viewer<Row> = {
  seen(listing: Listing<Row>): void;
  failed(error: FleetError): void;
  /** After the last look. */
  end(): void;
};

/** The time between looks, in ms. Throws FleetError `usage`. */
export function watchInterval({ options }: Pick<Call, 'options'>): number {
  const { watch, interval } = options;
  if (watch !== true) {
    throw new FleetError('usage', 'Cannot use --interval without --watch', { hint: 'Add --watch' });
  }
  if (interval === undefined) return INTERVAL_MS;
  const ms = parseDuration(String(interval));
  if (ms !== undefined && ms >= SHORTEST_MS && ms <= LONGEST_MS) return ms;
  throw new FleetError('usage', `Cannot read --interval: "${interval}" is not a duration from 100ms to 1h`, {
    hint: 'Give one: --interval 5s',
  });
}

/** Looks again and again over the same sessions, until Ctrl-C; resolves with 130 then. */
export function watchListing<Row>(
  { flags, streams }: Call,
  list: (from: Viewpoint) => Promise<Listing<Row>>,
  viewer: Viewer<Row>,
  intervalMs: number,
): Promise<number> {
  return untilInterrupted((signal) =>
    withViewpoint(flags, streams, async (from) => {
      const driver = 'snapshot' in from ? undefined : renewSessions(from.driver);
      const seenFrom = 'snapshot' in from || driver === undefined ? from : { ...from, driver };
      const looks = lookAgain(
        () => list(seenFrom),
        viewer,
        () => wait(intervalMs, undefined, { signal }),
      );
      try {
        await Promise.race([looks, interrupted(signal)]);
      } finally {
        await driver?.close();
        viewer.end();
      }
      return EXIT.interrupted;
    }),
  );
}

/** One look after the other, with `pause` in between, which ends it by rejecting. What fails once is tried again. */
export async function lookAgain<Row>(
  look: () => Promise<Listing<Row>>,
  viewer: Viewer<Row>,
  pause: () => Promise<unknown>,
): Promise<never> {
  for (;;) {
    try {
      viewer.seen(await look());
    } catch (error) {
      if (!isFleetError(error)) throw error;
      viewer.failed(error);
    }
    await pause();
  }
}

function interrupted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
