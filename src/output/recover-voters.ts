import { formatTime } from '../base/time.ts';
import type { LostMajority, RebuiltVoters } from '../operations/recover-voters.ts';
import { unconfirmedLines } from './recover.ts';
import type { ReportLines } from './report.ts';

/** What is left without a majority of the voters, and what may be missing. */
export function lostMajorityLines({
  revision,
  at,
  holders,
  missing,
  outdated,
  ahead,
  unknown,
  undone,
}: LostMajority): readonly string[] {
  const time = at === undefined ? '' : `; its last event was at ${formatTime(at)}`;
  return [
    ...(missing.length > 0 ? [`These voters cannot be read: ${missing.join(', ')}`] : []),
    ...(outdated.length > 0
      ? [`The registry of these voters is a copy, or older than before: ${outdated.join(', ')}`]
      : []),
    `The newest revision that is left is ${revision}, on ${holders.join(', ')}${time}`,
    ...ahead.map(
      (each) =>
        `Machine "${each.machine}" has obeyed later decisions, up to revision ${each.revision}${each.units.length > 0 ? `: ${each.units.join(' ')}` : ''}`,
    ),
    ...(unknown.length === 0
      ? []
      : [
          `The registry lacks these units, which are taken from their machines: ${unknown.map(({ name }) => name).join(' ')}`,
        ]),
    ...(undone.length === 0
      ? []
      : [`The next pass undoes the later decisions about these units: ${undone.join(' ')}`]),
    ...(ahead.length === 0 ? ['No machine that answers shows a later decision'] : []),
    `Later changes that ${missing.length > 0 ? 'only the missing voters have' : 'no machine has any more'} are lost, such as submitted unit files`,
  ];
}

/** The result of a recovery, and what it takes to have all voters. */
export function rebuiltReport(
  { missing, outdated, unknown }: LostMajority,
  { voters, wanted }: RebuiltVoters,
): ReportLines {
  const open = unknown.flatMap(({ unconfirmed }) => unconfirmed?.machine ?? []);
  const more = `hint: The registry has ${voters.length} of ${wanted} voters. Other machines become voters when they answer: fleetctl reconcile`;
  return {
    out: [
      missing.length > 0
        ? `Rebuilt the registry without ${missing.join(', ')}`
        : `Rebuilt the registry from the state of ${outdated.join(', ')}`,
      `Voters: ${voters.join(', ')}`,
    ],
    err: [
      ...unconfirmedLines(open),
      ...(voters.length < wanted ? [more] : []),
      'hint: To see differences: fleetctl reconcile --dry-run',
    ],
  };
}

/** `rebuilt` is undefined for a dry run. */
export function lostMajorityJson(
  { revision, at, holders, missing, outdated, ahead, unknown, undone }: LostMajority,
  rebuilt: RebuiltVoters | undefined,
): object {
  return {
    rebuilt: rebuilt !== undefined,
    revision,
    lastEvent: at === undefined ? null : formatTime(at),
    holders,
    missing,
    outdated,
    ahead,
    unknown: unknown.map(({ name }) => name),
    undone,
    voters: rebuilt?.voters ?? null,
  };
}
