import { setTimeout as wait } from 'node:timers/promises';
import { FleetError, isFleetError } from '../base/errors.ts';
import { formatDuration } from '../base/time.ts';
import type { Listing } from '../operations/listing.ts';
import type { SnapshotSource } from '../operations/observe-cluster.ts';
import { type ListingView, listingJson, listingSignature } from '../output/field.ts';
import { jsonLine } from '../output/json.ts';
import { screenView, streamView, type Viewer } from '../output/watch.ts';
import type { Call } from './command.ts';
import { EXIT } from './exit-status.ts';
import { durationOption } from './options.ts';
import { raised, untilInterrupted } from './signals.ts';
import { withSnapshotSource } from './snapshot-source.ts';

/** The default and the maximum of `--interval`, in ms. */
const INTERVAL_MS = 2000;
const LONGEST_MS = 3_600_000;

/** Lists repeatedly over the same sessions until Ctrl-C, then resolves with 130. */
export function watchListing<Row>(
  call: Call,
  view: ListingView<Row>,
  list: (source: SnapshotSource) => Promise<Listing<Row>>,
  table: (rows: readonly Row[]) => Promise<string>,
): Promise<number> {
  const intervalMs = watchInterval(call);
  const viewer = viewerOf(call, view, table, intervalMs);
  // A list that is drawn in place leaves no room for progress.
  const streams = { ...call.streams, live: undefined, quiet: true };
  return untilInterrupted((signal) =>
    withSnapshotSource({ flags: call.flags, streams }, async (source) => {
      const updates = listRepeatedly(
        () => list(source),
        viewer,
        () => wait(intervalMs, undefined, { signal }),
      );
      try {
        await Promise.race([updates, raised(signal)]);
      } finally {
        viewer.end();
      }
      return EXIT.interrupted;
    }),
  );
}

/** The time between updates, in ms. Throws FleetError `usage`. */
export function watchInterval({ options }: Pick<Call, 'options'>): number {
  const { watch, interval } = options;
  if (watch !== true) {
    throw new FleetError('usage', 'Cannot use --interval without --watch', { hint: 'Add --watch' });
  }
  return durationOption('--interval', interval, LONGEST_MS, '5s') ?? INTERVAL_MS;
}

function viewerOf<Row>(
  { options, streams: { out, err, screen } }: Call,
  view: ListingView<Row>,
  table: (rows: readonly Row[]) => Promise<string>,
  intervalMs: number,
): Viewer<Row> {
  if (options.output === 'json')
    return streamView<Row>({
      out,
      err,
      render: async (listing) => jsonLine(listingJson(view, listing)),
      signature: (listing) => listingSignature(view, listing),
      separator: '',
    });
  const canvas = { out, err, render: ({ rows }: Listing<Row>) => table(rows) };
  if (screen === undefined) return streamView<Row>(canvas);
  return screenView<Row>(canvas, { ...screen, now: Date.now, interval: formatDuration(intervalMs) });
}

/** Lists again after each `pause`, which ends the loop by rejecting. A FleetError does not end it. */
export async function listRepeatedly<Row>(
  list: () => Promise<Listing<Row>>,
  viewer: Viewer<Row>,
  pause: () => Promise<unknown>,
): Promise<never> {
  for (;;) {
    try {
      await viewer.seen(await list());
    } catch (error) {
      if (!isFleetError(error)) throw error;
      viewer.failed(error);
    }
    await pause();
  }
}
