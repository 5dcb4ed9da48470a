import { formatTime } from '../base/time.ts';
import type { LostMajority } from '../operations/recover-voters.ts';

/** What is left without a majority of the voters, and what may be missing. */
export function lostMajorityLines({
  revision,
  at,
  holders,
  missing,
  ahead,
}: LostMajority): readonly string[] {
  const time = at === undefined ? '' : `, whose last event is of ${formatTime(at)}`;
  return [
    `The majority of the voters cannot be read: ${missing.join(', ')}`,
    `The newest revision that is left is ${revision}${time}, on ${holders.join(', ')}`,
    ...ahead.map(
      (each) =>
        `Missing: decisions up to revision ${each.revision}, which machine "${each.machine}" has obeyed${each.units.length > 0 ? `: ${each.units.join(' ')}` : ''}`,
    ),
    ...(ahead.length === 0 ? ['No machine that answers shows a later decision'] : []),
    'Later changes that only the missing voters have are lost, such as submitted unit files',
  ];
}

export function lostMajorityJson(
  { revision, at, holders, missing, ahead }: LostMajority,
  rebuilt: boolean,
): object {
  return {
    rebuilt,
    revision,
    lastEvent: at === undefined ? null : formatTime(at),
    holders,
    missing,
    ahead,
  };
}
