import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CLUSTER_FOLDER } from '../support/cluster.ts';
import type { Chronicle } from './chronicle.ts';
import { pulseOf, STOP_MS } from './units.ts';

/** A time in which a copy of a fenced unit ran, by what it noted itself; epoch ms. `woke`: its machine had stood still before. */
export type Span = {
  readonly unit: string;
  readonly machine: string;
  readonly from: number;
  to: number;
  readonly woke: boolean;
};

/** The lease under which a copy of a fenced unit ran was over when it was told to stop, or before a new one came; epoch ms. */
export type Lapse = { readonly unit: string; readonly machine: string; readonly at: number };

/** What became of fenced units. */
export type Copies = { readonly spans: readonly Span[]; readonly lapses: readonly Lapse[] };

/** How long a copy that wakes may run, in ms: until its systemd has noticed on a box that is busy, and while it stops. */
const WAKING_MS = STOP_MS + 1500;
/** Who notes nothing for so long, in ms, stood still, or the box was busy. */
const STILL_MS = 1000;

/** Reads what copies of fenced units noted on the disks of machines. */
export function copiesOf(
  units: readonly string[],
  machines: readonly string[],
  chronicle: Chronicle,
): Copies {
  const all = units.flatMap((unit) => machines.map((machine) => read(unit, machine, chronicle)));
  return { spans: all.flatMap(({ spans }) => spans), lapses: all.flatMap(({ lapses }) => lapses) };
}

function read(unit: string, machine: string, chronicle: Chronicle): Copies {
  const spans: Span[] = [];
  const lapses: Lapse[] = [];
  const begunAt = bootedAt();
  let hasBegun = false;
  let leaseEnd = Number.POSITIVE_INFINITY;
  const noteLapse = (at = 0): void => {
    if (at >= leaseEnd) lapses.push({ unit, machine, at });
  };
  for (const line of linesOf(machine, pulseOf(unit))) {
    const last = spans.at(-1);
    if (line === 'begin') {
      hasBegun = true;
      leaseEnd = Number.POSITIVE_INFINITY;
    } else if (line === 'term') {
      noteLapse(last?.to);
    } else if (line.startsWith('lease ')) {
      noteLapse(last?.to);
      // In hundredths of a second, as fleet writes it down.
      leaseEnd = begunAt + Number(line.slice(6)) * 10;
    } else {
      const at = begunAt + Number(line) * 1000;
      const woke = !hasBegun && last !== undefined && stoodStill(machine, last.to, at, chronicle);
      if (hasBegun || woke) spans.push({ unit, machine, from: at, to: at, woke });
      else if (last !== undefined) last.to = at;
      hasBegun = false;
    }
  }
  return { spans, lapses };
}

function stoodStill(machine: string, from: number, to: number, chronicle: Chronicle): boolean {
  return to - from > STILL_MS && chronicle.troublesOf(machine, from, to).some(({ kind }) => kind === 'hang');
}

/** Its last line is whole: the kernel of this box, which never loses power, writes it or does not. */
function linesOf(machine: string, file: string): readonly string[] {
  const path = onDisk(machine, file);
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean) : [];
}

/** Where this box finds a file of a machine, whatever that goes through. */
export function onDisk(machine: string, file: string): string {
  return join(CLUSTER_FOLDER, 'machines', machine, 'disk', file);
}

/** When the clock of this box and of its machines began, epoch ms. */
function bootedAt(): number {
  return Date.now() - Number.parseFloat(readFileSync('/proc/uptime', 'utf8')) * 1000;
}

/** Two copies of a fenced unit that ran at the same time. `isAllowed`: one of them woke, and was stopped as soon as can be. */
export type Double = {
  readonly unit: string;
  readonly machines: readonly string[];
  readonly from: number;
  readonly ms: number;
  readonly isAllowed: boolean;
};

/** All moments at which two copies of a fenced unit ran, whatever their machines were in. */
export function doublesIn(spans: readonly Span[]): readonly Double[] {
  const found: Double[] = [];
  for (const a of spans) {
    for (const b of spans) {
      if (a.unit !== b.unit || a.machine >= b.machine) continue;
      const from = Math.max(a.from, b.from);
      const to = Math.min(a.to, b.to);
      const isAllowed = [a, b].some((span) => span.woke && to - span.from <= WAKING_MS);
      if (from <= to)
        found.push({ unit: a.unit, machines: [a.machine, b.machine], from, ms: to - from, isAllowed });
    }
  }
  return found;
}
