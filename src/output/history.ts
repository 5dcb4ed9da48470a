import { formatTime } from '../base/time.ts';
import type { History, HistoryRow } from '../operations/history.ts';
import type { ListingView } from './listings.ts';

/** The texts of a unit, newest first. */
export const HISTORY: ListingView<HistoryRow> = {
  fields: ['hash', 'time', 'who', 'current'],
  columns: [
    { field: 'hash', value: ({ hash }, { full }) => (full ? hash : hash.slice(0, 7)) },
    { field: 'time', value: ({ at }) => formatTime(at) },
    { field: 'who', value: ({ by }) => by },
    { field: 'current', value: ({ current }) => (current ? 'yes' : '') },
    { field: 'digest', value: ({ digest }) => digest },
  ],
};

/** `{ "unit": …, "history": […] }`, newest first. */
export function historyJson({ unit, rows }: History): object {
  const history = rows.map(({ hash, digest, at, by, current }) => ({
    hash,
    digest,
    time: formatTime(at),
    by,
    current,
  }));
  return { unit, history };
}
