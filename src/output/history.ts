import { formatTime } from '../base/time.ts';
import type { History, HistoryRow } from '../operations/history.ts';
import type { ListingView } from './listings.ts';

/** The texts of a unit, newest first. */
export const HISTORY: ListingView<HistoryRow> = {
  fields: ['hash', 'time', 'who', 'current', 'result'],
  columns: [
    { field: 'hash', value: ({ hash }, { full }) => (full ? hash : hash.slice(0, 7)) },
    { field: 'time', value: ({ at }) => formatTime(at) },
    { field: 'who', value: ({ by }) => by },
    { field: 'current', value: ({ current }) => (current ? 'yes' : '') },
    { field: 'result', value: resultOf },
    { field: 'digest', value: ({ digest }) => digest },
  ],
};

/** `good`: it came up when it was started last; `failed`: it did not; `untried`: nothing is known. */
export function resultOf({ verdict }: Pick<HistoryRow, 'verdict'>): string {
  return verdict?.kind ?? 'untried';
}

/** `{ "unit": …, "history": […] }`, newest first. */
export function historyJson({ unit, rows }: History): object {
  const history = rows.map(({ hash, digest, at, by, current, verdict }) => ({
    hash,
    digest,
    time: formatTime(at),
    by,
    current,
    result: resultOf({ verdict }),
    resultTime: verdict === undefined ? null : formatTime(verdict.at),
  }));
  return { unit, history };
}
