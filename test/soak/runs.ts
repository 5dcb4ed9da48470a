import { compareText } from '../../src/base/text.ts';
import type { EventLog } from './event-log.ts';
import { isGlobal } from './units.ts';

/** One run of a unit on a machine; `to` is Infinity while it lasts. `isStop`: it was stopped, not killed with its machine. */
export type Run = {
  readonly unit: string;
  readonly machine: string;
  readonly version: string;
  readonly from: number;
  readonly to: number;
  readonly isStop: boolean;
};

/** Reads the run log of a machine, with `seconds start|stop unit version` in each line. */
export function runsOf(machine: string, runLog: string, log: EventLog): readonly Run[] {
  const running = new Map<string, Run>();
  const runs: Run[] = [];
  const end = (run: Run | undefined, to: number, isStop: boolean): void => {
    if (run === undefined) return;
    runs.push({ ...run, to, isStop });
    running.delete(run.unit);
  };
  for (const { at, what, unit, version } of entriesIn(runLog)) {
    const previous = running.get(unit);
    if (what === 'stop') end(previous, at, true);
    if (what === 'stop') continue;
    // It did not log its end, because its machine lost power.
    if (previous !== undefined) end(previous, powerLoss(previous, at, log) ?? at, false);
    running.set(unit, { unit, machine, version, from: at, to: at, isStop: false });
  }
  for (const run of running.values()) {
    end(run, powerLoss(run, Number.POSITIVE_INFINITY, log) ?? Number.POSITIVE_INFINITY, false);
  }
  return runs;
}

type Entry = { readonly at: number; readonly what: string; readonly unit: string; readonly version: string };

function entriesIn(runLog: string): readonly Entry[] {
  const matches = runLog.split('\n').map((line) => /^(\d+\.\d+) (start|stop) (\S+) (\S+)$/.exec(line));
  return matches
    .flatMap((match) => (match === null ? [] : [match.slice(1) as [string, string, string, string]]))
    .map(([at, what, unit, version]) => ({ at: Number(at) * 1000, what, unit, version }))
    .toSorted((a, b) => a.at - b.at || compareText(a.unit, b.unit));
}

function powerLoss({ machine, from }: Run, to: number, log: EventLog): number | undefined {
  return log.faultsOf(machine, from, to).find((fault) => fault.kind === 'kill' && fault.from >= from)?.from;
}

/** Two copies of one unit at the same time on reachable machines. */
export type Overlap = { readonly unit: string; readonly machines: readonly string[]; readonly ms: number };

/** Overlaps of two runs of a unit, without the time in which one of the machines had a fault. */
export function overlaps(runs: readonly Run[], log: EventLog, now: number): readonly Overlap[] {
  const found: Overlap[] = [];
  for (const run of runs) {
    for (const other of runs) {
      if (run.unit !== other.unit || run.machine >= other.machine || isGlobal(run.unit)) continue;
      const from = Math.max(run.from, other.from);
      const to = Math.min(run.to, other.to, now);
      if (from >= to) continue;
      const machines = [run.machine, other.machine];
      const faults = machines.flatMap((machine) => log.faultsOf(machine, from, to));
      const reachableFrom = Math.max(from, ...faults.map((fault) => Math.min(fault.to, to)));
      found.push({ unit: run.unit, machines, ms: to - reachableFrom });
    }
  }
  return found;
}
