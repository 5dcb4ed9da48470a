import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, inject } from 'vitest';
import type { Operator } from './operator.ts';

/** One line of the log; `event` is empty for a line that is not JSON. */
export type LogLine = {
  readonly time: string;
  readonly level: string;
  readonly event: string;
  readonly message: string;
  readonly unit?: string;
  readonly machine?: string;
  readonly reason?: string;
  readonly from?: string;
  readonly to?: string;
};

/** A fleetd in the foreground, with the configuration of an operator. */
export class Fleetd {
  readonly log: LogLine[] = [];
  readonly #process: ChildProcess;
  readonly #exit: Promise<unknown>;
  #isEndRequested = false;

  /** `nodeOptions` is the NODE_OPTIONS of the process. */
  constructor(operator: Operator, nodeOptions = '') {
    this.#process = spawn(join(inject('program'), 'bin/fleetd'), ['--log', 'json'], {
      cwd: operator.folder,
      env: { ...operator.environment, NODE_OPTIONS: nodeOptions },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#exit = once(this.#process, 'exit');
    const lines = createInterface({ input: this.#process.stderr as NodeJS.ReadableStream });
    lines.on('line', (line) => this.log.push(parse(line)));
  }

  get isRunning(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** Whether it is the leader, by its log. */
  get leads(): boolean {
    return this.log.findLast(({ event }) => event === 'leads' || event === 'stands-by')?.event === 'leads';
  }

  /** Resident memory, in MiB. */
  get residentMiB(): number {
    const status = readFileSync(`/proc/${this.#process.pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
  }

  /** The log, if it ended without being stopped. */
  get crash(): string | undefined {
    return this.isRunning || this.#isEndRequested ? undefined : this.text;
  }

  signal(signal: NodeJS.Signals): void {
    this.#isEndRequested ||= signal === 'SIGKILL' || signal === 'SIGTERM';
    this.#process.kill(signal);
  }

  /** Ends it with a signal. Resolves to its exit status, or null when the signal killed it. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (this.isRunning) {
      this.signal('SIGCONT');
      this.signal(signal);
      await this.#exit;
    }
    return this.#process.exitCode;
  }

  /** Waits for a log line with this event and these fields; rejects after `ms`. */
  logged(event: string, more: Partial<LogLine> = {}, ms = 20_000): Promise<LogLine> {
    const wanted = Object.entries({ event, ...more });
    const find = (): LogLine | undefined =>
      this.log.find((line) => wanted.every(([key, value]) => Object(line)[key] === value));
    return eventually(find, ms, () => `${JSON.stringify(wanted)} in\n${this.text}`);
  }

  get text(): string {
    return this.log.map(({ time, event, message }) => `${time} ${event}: ${message}`).join('\n');
  }
}

/** Returns a function that starts fleetd for an operator. All of them are killed after the suite. */
export function fleetdStarter(operator: Operator, nodeOptions?: string): () => Fleetd {
  const all: Fleetd[] = [];
  afterAll(() => Promise.all(all.map((fleetd) => fleetd.end('SIGKILL'))));
  return () => {
    const fleetd = new Fleetd(operator, nodeOptions);
    all.push(fleetd);
    return fleetd;
  };
}

/** Polls `find` until it returns a value; rejects after `ms`. */
export async function eventually<T>(
  find: () => T | undefined | false,
  ms: number,
  what: () => string,
): Promise<T> {
  const end = performance.now() + ms;
  for (;;) {
    const found = find();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${what()}`);
    await sleep(25);
  }
}

function parse(line: string): LogLine {
  if (line.startsWith('{')) return JSON.parse(line);
  return { time: '', level: '', event: '', message: line };
}
