import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ENVIRONMENT, pause, run } from './run.js';

/** The longest time until it answers, in ms. */
const DEADLINE_MS = 30_000;

/** An etcd with one member on 127.0.0.1. */
export class Etcd {
  #process;
  #ended;
  #folder = join(tmpdir(), 'fleet-bench', 'etcd');
  host = '127.0.0.1';
  port;

  /** Starts it; undefined if it is not installed. */
  static async start() {
    const isThere = await run(['etcd', '--version']).catch(() => undefined);
    if (isThere === undefined) return undefined;
    const etcd = new Etcd();
    await etcd.#start(await freePort(), await freePort());
    return etcd;
  }

  async #start(port, peerPort) {
    this.port = `${port}`;
    const client = `http://${this.host}:${port}`;
    const peer = `http://${this.host}:${peerPort}`;
    const words = [
      `--data-dir=${this.#folder}`,
      `--listen-client-urls=${client}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=default=${peer}`,
    ];
    this.#process = spawn('etcd', words, { env: ENVIRONMENT, stdio: 'ignore', detached: true });
    this.#ended = new Promise((resolve) => this.#process.once('exit', resolve));
    const end = performance.now() + DEADLINE_MS;
    while (!(await fetch(`${client}/health`).catch(() => undefined))?.ok) {
      if (performance.now() > end) throw new Error('etcd does not answer');
      await pause(50);
    }
  }

  async stop() {
    this.#process.kill('SIGTERM');
    await this.#ended;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
