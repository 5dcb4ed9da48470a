import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EtcdOptions } from '../../src/store/etcd/options.ts';

/** Whether etcd (Debian's etcd-server) and openssl are installed. Prints a warning if not. */
export const HAS_ETCD = hasEtcd();

export type EtcdSetup = {
  readonly members?: number;
  /** Arguments for every member. */
  readonly arguments?: readonly string[];
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca: string };
};

/** A process of etcd on 127.0.0.1 that can be ended and started again. */
export class EtcdMember {
  readonly port: number;
  readonly #words: readonly string[];
  #process: ChildProcess | undefined;

  constructor(port: number, words: readonly string[]) {
    this.port = port;
    this.#words = words;
  }

  start(): void {
    this.#process = spawn('etcd', this.#words, { stdio: 'ignore' });
  }

  /** Waits until all threads have stopped, because a thread in a system call stops only after it. */
  async freeze(): Promise<void> {
    this.#process?.kill('SIGSTOP');
    while (this.#threads().some((state) => state !== 'T')) await sleep(5);
  }

  /** The states of its threads: proc_pid_stat(5), field 3. */
  #threads(): readonly (string | undefined)[] {
    const tasks = `/proc/${this.#process?.pid}/task`;
    return readdirSync(tasks).map(
      (task) => /\) (\S)/.exec(readFileSync(join(tasks, task, 'stat'), 'utf8'))?.[1],
    );
  }

  thaw(): void {
    this.#process?.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    const ended = this.#process;
    this.#process = undefined;
    if (ended === undefined || ended.exitCode !== null || ended.signalCode !== null) return;
    const exit = once(ended, 'exit');
    ended.kill('SIGKILL');
    await exit;
  }
}

/** A real etcd cluster in a temporary folder, on free ports of the loopback interface. */
export class TestEtcd {
  readonly members: readonly EtcdMember[];
  readonly #folder: string;
  readonly #setup: EtcdSetup;
  #prefixes = 0;

  private constructor(members: readonly EtcdMember[], folder: string, setup: EtcdSetup) {
    this.members = members;
    this.#folder = folder;
    this.#setup = setup;
  }

  static async start(setup: EtcdSetup = {}): Promise<TestEtcd> {
    const folder = mkdtempSync(join(tmpdir(), 'fleet-etcd-'));
    const count = setup.members ?? 1;
    const ports = await freePorts(2 * count);
    const members = Array.from({ length: count }, (_, index) => {
      return new EtcdMember(ports[index] ?? 0, wordsFor(setup, folder, ports, index));
    });
    for (const member of members) member.start();
    const etcd = new TestEtcd(members, folder, setup);
    await etcd.ready();
    return etcd;
  }

  /** Connection options with a new prefix. */
  options(changes: Partial<EtcdOptions> = {}): EtcdOptions {
    const endpoints = this.members.map(({ port }) => ({ host: '127.0.0.1', port }));
    return { endpoints, prefix: `/test-${this.#prefixes++}`, tls: false, ...changes };
  }

  /** Resolves when every member has a leader, or with TLS, when every member accepts connections. */
  async ready(): Promise<void> {
    for (const { port } of this.members) {
      for (let tries = 0; !(await this.#answers(port)); tries++) {
        if (tries === 100) throw new Error('etcd does not answer');
        await sleep(50);
      }
    }
  }

  /** Sends a request to the first member without fleet's client, and without TLS. Throws error responses. */
  async post(path: string, message: unknown, token?: string): Promise<Record<string, unknown>> {
    const answer = await fetch(`http://127.0.0.1:${this.members[0]?.port}/v3/${path}`, {
      method: 'POST',
      body: JSON.stringify(message),
      ...(token !== undefined && { headers: { authorization: token } }),
    });
    const body: unknown = await answer.json();
    if (!answer.ok) throw new Error(JSON.stringify(body));
    return Object(body);
  }

  async end(): Promise<void> {
    await Promise.all(this.members.map((member) => member.kill()));
    rmSync(this.#folder, { recursive: true });
  }

  async #answers(port: number): Promise<boolean> {
    if (this.#setup.tls !== undefined) return connects(port);
    const signal = AbortSignal.timeout(1000);
    const answer = await fetch(`http://127.0.0.1:${port}/health`, { signal }).catch(() => undefined);
    return answer?.ok === true;
  }
}

function wordsFor(
  { tls, arguments: extra = [] }: EtcdSetup,
  folder: string,
  ports: readonly number[],
  index: number,
): readonly string[] {
  const count = ports.length / 2;
  const peer = (member: number): string => `http://127.0.0.1:${ports[count + member]}`;
  const client = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${ports[index]}`;
  const cluster = Array.from({ length: count }, (_, member) => `m${member}=${peer(member)}`).join(',');
  return [
    `--name=m${index}`,
    `--data-dir=${join(folder, `m${index}`)}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer(index)}`,
    `--initial-advertise-peer-urls=${peer(index)}`,
    `--initial-cluster=${cluster}`,
    '--heartbeat-interval=50',
    '--election-timeout=300',
    ...(tls === undefined
      ? []
      : [
          `--cert-file=${tls.cert}`,
          `--key-file=${tls.key}`,
          `--trusted-ca-file=${tls.ca}`,
          '--client-cert-auth',
        ]),
    ...extra,
  ];
}

function hasEtcd(): boolean {
  const found = ['etcd --version', 'openssl version'].every((line) => {
    const [command = '', ...words] = line.split(' ');
    return spawnSync(command, words).status === 0;
  });
  if (!found) console.warn('tests with etcd are skipped: install etcd-server and openssl');
  return found;
}

async function connects(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const connected = await once(socket, 'connect').then(
    () => true,
    () => false,
  );
  socket.destroy();
  return connected;
}

async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => Object(server.address()).port as number);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
