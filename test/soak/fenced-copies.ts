import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CLUSTER_FOLDER } from '../support/cluster.ts';
import type { EventLog } from './event-log.ts';
import { pulseFileOf, STOP_MS } from './units.ts';

/** A time in which a copy of a fenced unit ran, by its own log; epoch ms. `resumed`: its machine was frozen before. */
export type CopyRun = {
  readonly unit: string;
  readonly machine: string;
  readonly from: number;
  to: number;
  readonly resumed: boolean;
};

/** A lease that ended before its fenced unit got SIGTERM or the machine got a new lease; epoch ms. */
export type LeaseExpiry = { readonly unit: string; readonly machine: string; readonly at: number };

export type FencedCopies = { readonly runs: readonly CopyRun[]; readonly expiries: readonly LeaseExpiry[] };

/** How long a resumed copy may run, in ms: the reaction time of systemd on a busy box, and the stop itself. */
const RESUMED_MS = STOP_MS + 1500;
/** A longer pause in the log, in ms, means that the unit was frozen or the box was busy. */
const PAUSE_MS = 1000;

/** Reads the logs of fenced units from the disks of machines. */
export function readFencedCopies(
  units: readonly string[],
  machines: readonly string[],
  log: EventLog,
): FencedCopies {
  const all = units.flatMap((unit) => machines.map((machine) => read(unit, machine, log)));
  return { runs: all.flatMap(({ runs }) => runs), expiries: all.flatMap(({ expiries }) => expiries) };
}

function read(unit: string, machine: string, log: EventLog): FencedCopies {
  const runs: CopyRun[] = [];
  const expiries: LeaseExpiry[] = [];
  const bootMs = bootTime();
  let isNew = false;
  let leaseEnd = Number.POSITIVE_INFINITY;
  const noteExpiry = (at = 0): void => {
    if (at >= leaseEnd) expiries.push({ unit, machine, at });
  };
  for (const line of linesOf(machine, pulseFileOf(unit))) {
    const last = runs.at(-1);
    if (line === 'begin') {
      isNew = true;
      leaseEnd = Number.POSITIVE_INFINITY;
    } else if (line === 'term') {
      noteExpiry(last?.to);
    } else if (line.startsWith('lease ')) {
      noteExpiry(last?.to);
      // The lease file has hundredths of a second.
      leaseEnd = bootMs + Number(line.slice(6)) * 10;
    } else {
      const at = bootMs + Number(line) * 1000;
      const resumed = !isNew && last !== undefined && wasFrozen(machine, last.to, at, log);
      if (isNew || resumed) runs.push({ unit, machine, from: at, to: at, resumed });
      else if (last !== undefined) last.to = at;
      isNew = false;
    }
  }
  return { runs, expiries };
}

function wasFrozen(machine: string, from: number, to: number, log: EventLog): boolean {
  return to - from > PAUSE_MS && log.faultsOf(machine, from, to).some(({ kind }) => kind === 'hang');
}

/** Its last line is complete, because the kernel of this box, which never loses power, writes lines whole. */
function linesOf(machine: string, file: string): readonly string[] {
  const path = pathOnDisk(machine, file);
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean) : [];
}

/** The path of a machine's file on this box; it is readable in every state of the machine. */
export function pathOnDisk(machine: string, file: string): string {
  return join(CLUSTER_FOLDER, 'machines', machine, 'disk', file);
}

/** Boot time of this box, from which the clock of its machines counts; epoch ms. */
function bootTime(): number {
  return Date.now() - Number.parseFloat(readFileSync('/proc/uptime', 'utf8')) * 1000;
}

/** Two copies of a fenced unit that ran at the same time. `isExcused`: one was resumed, and was stopped in RESUMED_MS. */
export type CopyOverlap = {
  readonly unit: string;
  readonly machines: readonly string[];
  readonly from: number;
  readonly ms: number;
  readonly isExcused: boolean;
};

/** All times at which two copies of a fenced unit ran, also during faults. */
export function copyOverlaps(runs: readonly CopyRun[]): readonly CopyOverlap[] {
  const found: CopyOverlap[] = [];
  for (const a of runs) {
    for (const b of runs) {
      if (a.unit !== b.unit || a.machine >= b.machine) continue;
      const from = Math.max(a.from, b.from);
      const to = Math.min(a.to, b.to);
      const isExcused = [a, b].some((run) => run.resumed && to - run.from <= RESUMED_MS);
      if (from <= to)
        found.push({ unit: a.unit, machines: [a.machine, b.machine], from, ms: to - from, isExcused });
    }
  }
  return found;
}
