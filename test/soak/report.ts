import { loadavg } from 'node:os';
import { compareText } from '../../src/base/compare.ts';
import { type Chronicle, LEADER, STANDBY } from './chronicle.ts';
import { type Copies, type Double, doublesIn } from './copies.ts';
import { overlaps, type Run } from './runs.ts';
import { hasReason } from './stops.ts';

/** What happened, in figures. */
export function reportOf(chronicle: Chronicle, runs: readonly Run[], copies: Copies): readonly string[] {
  const { troubles, deeds, told } = chronicle;
  const commands = deeds.filter(({ outcome }) => outcome !== undefined);
  const doubles = overlaps(runs, chronicle, Date.now()).toSorted((a, b) => b.ms - a.ms);
  return [
    `load of the box in the last 15 minutes: ${loadavg()[2]}`,
    `troubles: ${countBy(troubles, ({ victim, kind }) => ([LEADER, STANDBY].includes(victim) ? `${victim} ${kind}` : kind))}`,
    `commands: ${countBy(deeds, ({ words, outcome }) => `${words[0]} ${outcome?.status ?? ''}`)}`,
    ...new Set(
      commands.flatMap(({ words, outcome }) =>
        outcome?.status === 0 || outcome?.status === 5
          ? []
          : `  ${words[0]}: ${firstLine(outcome?.stderr ?? '')}`,
      ),
    ),
    `changes of the registry: ${countBy(told, ({ event }) => event.kind)}`,
    `runs of units: ${runs.length}; stopped: ${runs.filter(({ isStop }) => isStop).length}`,
    `two copies on machines that could be reached: ${doubles.length} times, longest ${doubles
      .slice(0, 5)
      .map(({ unit, machines, ms }) => `${Math.round(ms)} ms (${unit} on ${machines})`)
      .join(', ')}`,
    ...copiesReport(copies, chronicle),
  ];
}

function copiesReport({ spans, lapses }: Copies, chronicle: Chronicle): readonly string[] {
  const doubles = doublesIn(spans);
  const told = (some: readonly Double[]): string =>
    `${some.length} times, longest ${Math.round(Math.max(0, ...some.map(({ ms }) => ms)))} ms`;
  return [
    `copies of fenced units: ${spans.filter(({ woke }) => !woke).length}, of which woke ${spans.filter(({ woke }) => woke).length}`,
    `two copies of a fenced unit: ${told(doubles.filter(({ isAllowed }) => !isAllowed))}; where one woke and was stopped: ${told(doubles.filter(({ isAllowed }) => isAllowed))}`,
    `leases that ended under a fenced unit: ${lapses.length}; without trouble of the machine or who leads: ${lapses.filter((lapse) => !hasReason(lapse, chronicle)).length}`,
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
