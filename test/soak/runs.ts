import { compareText } from '../../src/base/compare.ts';
import type { Chronicle } from './chronicle.ts';
import { isGlobal } from './units.ts';

/** One life of a unit on a machine; `to` is Infinity while it runs. `isStop`: it was stopped, and not killed with its machine. */
export type Run = {
  readonly unit: string;
  readonly machine: string;
  readonly from: number;
  readonly to: number;
  readonly isStop: boolean;
};

/** Reads what units wrote down on a machine: `seconds start|stop unit` a line. */
export function runsOf(machine: string, diary: string, chronicle: Chronicle): readonly Run[] {
  const notes = diary
    .split('\n')
    .map((line) => /^(\d+\.\d+) (start|stop) (\S+)$/.exec(line))
    .flatMap((match) =>
      match === null ? [] : { at: Number(match[1]) * 1000, what: match[2], unit: match[3] ?? '' },
    );
  const begun = new Map<string, number>();
  const runs: Run[] = [];
  const end = (unit: string, to: number, isStop: boolean): void => {
    const from = begun.get(unit);
    if (from !== undefined) runs.push({ unit, machine, from, to, isStop });
    begun.delete(unit);
  };
  for (const { at, what, unit } of notes.toSorted((a, b) => a.at - b.at || compareText(a.unit, b.unit))) {
    const from = begun.get(unit);
    // It could not write that it ended: its machine lost power meanwhile.
    if (what === 'start' && from !== undefined)
      end(unit, powerLoss(machine, from, at, chronicle) ?? at, false);
    if (what === 'start') begun.set(unit, at);
    else end(unit, at, true);
  }
  for (const [unit, from] of begun) {
    const to = powerLoss(machine, from, Number.POSITIVE_INFINITY, chronicle) ?? Number.POSITIVE_INFINITY;
    runs.push({ unit, machine, from, to, isStop: false });
  }
  return runs;
}

function powerLoss(machine: string, from: number, to: number, chronicle: Chronicle): number | undefined {
  return chronicle
    .troublesOf(machine, from, to)
    .find((trouble) => trouble.kind === 'kill' && trouble.from >= from)?.from;
}

/** Two copies of one unit at the same time on machines that could be reached. */
export type Overlap = { readonly unit: string; readonly machines: readonly string[]; readonly ms: number };

/** Where two runs of a unit overlap, but for the time in which one of the machines was in trouble. */
export function overlaps(runs: readonly Run[], chronicle: Chronicle, now: number): readonly Overlap[] {
  const found: Overlap[] = [];
  for (const run of runs) {
    for (const other of runs) {
      if (run.unit !== other.unit || run.machine >= other.machine || isGlobal(run.unit)) continue;
      const from = Math.max(run.from, other.from);
      const to = Math.min(run.to, other.to, now);
      if (from >= to) continue;
      const machines = [run.machine, other.machine];
      const troubles = machines.flatMap((machine) => chronicle.troublesOf(machine, from, to));
      const wellFrom = Math.max(from, ...troubles.map((trouble) => Math.min(trouble.to, to)));
      found.push({ unit: run.unit, machines, ms: to - wellFrom });
    }
  }
  return found;
}
