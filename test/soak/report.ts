import { compareText } from '../../src/base/compare.ts';
import type { Fleetd } from '../e2e/fleetd.ts';
import type { Chronicle } from './chronicle.ts';
import { overlaps, type Run } from './runs.ts';

/** What fleetds hold in memory; each is told by how it began and how it is. */
export class Memory {
  readonly #samples = new Map<Fleetd, number[]>();

  sample(crew: readonly Fleetd[]): void {
    for (const fleetd of crew) {
      if (fleetd.isRunning)
        this.#samples.set(fleetd, [...(this.#samples.get(fleetd) ?? []), fleetd.residentMiB]);
    }
  }

  get report(): readonly string[] {
    return [...this.#samples.values()]
      .filter((samples) => samples.length > 6)
      .map((samples) => `memory of a fleetd, MiB every 30 s: ${everySixth(samples).join(' ')}`);
  }
}

function everySixth(samples: readonly number[]): readonly number[] {
  return samples.filter((_, i) => i % 6 === 0).map(Math.round);
}

/** What happened, in figures. */
export function reportOf(chronicle: Chronicle, runs: readonly Run[]): readonly string[] {
  const { troubles, deeds, told } = chronicle;
  const commands = deeds.filter(({ outcome }) => outcome !== undefined);
  const doubles = overlaps(runs, chronicle, Date.now()).toSorted((a, b) => b.ms - a.ms);
  return [
    `troubles of machines: ${countBy(troubles, ({ kind }) => kind)}`,
    `commands: ${countBy(deeds, ({ words, outcome }) => `${words[0]} ${outcome?.status ?? ''}`)}`,
    ...new Set(
      commands.flatMap(({ words, outcome }) =>
        outcome?.status === 0 || outcome?.status === 5
          ? []
          : `  ${words[0]}: ${firstLine(outcome?.stderr ?? '')}`,
      ),
    ),
    `changes of the registry: ${countBy(told, ({ event }) => event)}`,
    `runs of units: ${runs.length}; stopped: ${runs.filter(({ isStop }) => isStop).length}`,
    `two copies on machines that could be reached: ${doubles.length} times, longest ${doubles
      .slice(0, 5)
      .map(({ unit, machines, ms }) => `${Math.round(ms)} ms (${unit} on ${machines})`)
      .join(', ')}`,
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
