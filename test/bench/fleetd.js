import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { createInterface } from 'node:readline';
import { TICK } from './compare.js';
import { ENVIRONMENT, pause } from './run.js';

/** The longest time until it is ready, and until it has ended, in ms. */
const DEADLINE_MS = 120_000;

export class Fleetd {
  #process;
  #ended;

  /** @param {import('node:child_process').ChildProcess} process */
  constructor(process) {
    this.#process = process;
    /** The lines of its log, and when they came. @type {{ at: number, text: string }[]} */
    this.log = [];
    createInterface({ input: process.stderr }).on('line', (text) =>
      this.log.push({ at: performance.now(), text }),
    );
    this.#ended = new Promise((resolve) => process.once('exit', resolve));
  }

  /**
   * Starts fleetd and waits until it has contacted every machine.
   *
   * @param {import('./fleet.js').Fleet} fleet
   * @param {import('./fleet.js').Settings} settings
   */
  static async start(fleet, settings) {
    const [program, ...rest] = fleet.controllerWith(settings);
    const stdio = ['ignore', 'ignore', 'pipe'];
    const fleetd = new Fleetd(spawn(program, rest, { env: ENVIRONMENT, stdio, detached: true }));
    const end = performance.now() + DEADLINE_MS;
    try {
      while ((await health(fleet.socket)) !== 200) {
        if (performance.now() > end) throw new Error('fleetd is not ready after two minutes');
        await pause(50);
      }
    } catch (error) {
      await fleetd.stop();
      throw error;
    }
    return fleetd;
  }

  /** CPU time so far, in ms. */
  get cpu() {
    const [, words] = this.#read('stat').split(') ');
    const [user, system] = words.split(' ').slice(11, 13).map(Number);
    return (user + system) * TICK;
  }

  /** Resident memory, in MiB. */
  get memory() {
    return Number(/^VmRSS:\s+(\d+)/m.exec(this.#read('status'))?.[1]) / 1024;
  }

  async stop() {
    this.#process.kill('SIGTERM');
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), DEADLINE_MS);
    await this.#ended;
    clearTimeout(timer);
  }

  #read(file) {
    return readFileSync(`/proc/${this.#process.pid}/${file}`, 'utf8');
  }
}

/** The HTTP status of /healthz; undefined without a response. */
function health(socketPath) {
  return new Promise((resolve) => {
    const asked = request({ socketPath, path: '/healthz', timeout: 5_000 }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    });
    asked.once('timeout', () => asked.destroy());
    asked.once('error', () => resolve(undefined));
    asked.end();
  });
}
