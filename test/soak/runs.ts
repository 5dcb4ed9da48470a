import { compareText } from '../../src/base/compare.ts';
import type { Chronicle } from './chronicle.ts';
import { isGlobal } from './units.ts';

/** One life of a unit on a machine; `to` is Infinity while it runs. `isStop`: it was stopped, and not killed with its machine. */
export type Run = {
  readonly unit: string;
  readonly machine: string;
  /** Of its text. */
  readonly version: string;
  readonly from: number;
  readonly to: number;
  readonly isStop: boolean;
};

/** Reads what units wrote down on a machine: `seconds start|stop unit version` a line. */
export function runsOf(machine: string, diary: string, chronicle: Chronicle): readonly Run[] {
  const begun = new Map<string, Run>();
  const runs: Run[] = [];
  const end = (run: Run | undefined, to: number, isStop: boolean): void => {
    if (run === undefined) return;
    runs.push({ ...run, to, isStop });
    begun.delete(run.unit);
  };
  for (const { at, what, unit, version } of notesIn(diary)) {
    const before = begun.get(unit);
    if (what === 'stop') end(before, at, true);
    if (what === 'stop') continue;
    // It could not write that it ended: its machine lost power meanwhile.
    if (before !== undefined) end(before, powerLoss(before, at, chronicle) ?? at, false);
    begun.set(unit, { unit, machine, version, from: at, to: at, isStop: false });
  }
  for (const run of begun.values()) {
    end(run, powerLoss(run, Number.POSITIVE_INFINITY, chronicle) ?? Number.POSITIVE_INFINITY, false);
  }
  return runs;
}

type Note = { readonly at: number; readonly what: string; readonly unit: string; readonly version: string };

function notesIn(diary: string): readonly Note[] {
  const matches = diary.split('\n').map((line) => /^(\d+\.\d+) (start|stop) (\S+) (\S+)$/.exec(line));
  return matches
    .flatMap((match) => (match === null ? [] : [match.slice(1) as [string, string, string, string]]))
    .map(([at, what, unit, version]) => ({ at: Number(at) * 1000, what, unit, version }))
    .toSorted((a, b) => a.at - b.at || compareText(a.unit, b.unit));
}

function powerLoss({ machine, from }: Run, to: number, chronicle: Chronicle): number | undefined {
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
