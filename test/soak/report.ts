import { loadavg } from 'node:os';
import { compareText } from '../../src/base/text.ts';
import { hasReason } from './checks.ts';
import { type EventLog, LEADER, STANDBY } from './event-log.ts';
import { type CopyOverlap, copyOverlaps, type FencedCopies } from './fenced-copies.ts';
import { overlaps, type Run } from './runs.ts';

/** Counts of everything that happened. */
export function reportOf(log: EventLog, runs: readonly Run[], copies: FencedCopies): readonly string[] {
  const { faults, actions, registryEvents } = log;
  const commands = actions.filter(({ outcome }) => outcome !== undefined);
  const doubled = overlaps(runs, log, Date.now()).toSorted((a, b) => b.ms - a.ms);
  return [
    `load of the box in the last 15 minutes: ${loadavg()[2]}`,
    `faults: ${countBy(faults, ({ victim, kind }) => ([LEADER, STANDBY].includes(victim) ? `${victim} ${kind}` : kind))}`,
    `commands: ${countBy(actions, ({ words, outcome }) => `${words[0]} ${outcome?.status ?? ''}`)}`,
    ...new Set(
      commands.flatMap(({ words, outcome }) =>
        outcome?.status === 0 || outcome?.status === 5
          ? []
          : `  ${words[0]}: ${firstLine(outcome?.stderr ?? '')}`,
      ),
    ),
    `registry events: ${countBy(registryEvents, ({ event }) => event.kind)}`,
    `runs of units: ${runs.length}; stopped: ${runs.filter(({ isStop }) => isStop).length}`,
    `two copies on reachable machines: ${doubled.length} times, longest ${doubled
      .slice(0, 5)
      .map(({ unit, machines, ms }) => `${Math.round(ms)} ms (${unit} on ${machines})`)
      .join(', ')}`,
    ...copiesReport(copies, log),
  ];
}

function copiesReport({ runs, expiries }: FencedCopies, log: EventLog): readonly string[] {
  const all = copyOverlaps(runs);
  const summary = (overlaps: readonly CopyOverlap[]): string =>
    `${overlaps.length} times, longest ${Math.round(Math.max(0, ...overlaps.map(({ ms }) => ms)))} ms`;
  return [
    `copies of fenced units: ${runs.filter(({ resumed }) => !resumed).length}, resumed ${runs.filter(({ resumed }) => resumed).length}`,
    `two copies of a fenced unit: ${summary(all.filter(({ isExcused }) => !isExcused))}; where one resumed and was stopped: ${summary(all.filter(({ isExcused }) => isExcused))}`,
    `leases that ended while a fenced unit ran: ${expiries.length}; without a fault of the machine or the leader: ${expiries.filter((expiry) => !hasReason(expiry, log)).length}`,
  ];
}

function countBy<T>(all: readonly T[], keyOf: (one: T) => string): string {
  const counts = new Map<string, number>();
  for (const one of all) counts.set(keyOf(one), (counts.get(keyOf(one)) ?? 0) + 1);
  return [...counts]
    .map(([key, count]) => `${key} ${count}`)
    .toSorted(compareText)
    .join(', ');
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}
