import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, inject } from 'vitest';
import { addressOf, IDENTITY_FILE, KNOWN_HOSTS_FILE, MACHINES } from '../support/cluster.ts';
import { execute, type Outcome } from './command-server.ts';

export type { Outcome };

/** The parts of an operator's fleet.conf that differ between tests. */
export type Settings = {
  /** k1, k2 and k3 by default. */
  readonly machines?: readonly string[];
  /** Keys at the top of the file, and in [ssh]. A test with a machine that does not answer sets a shorter `connect_timeout`. */
  readonly top?: Readonly<Record<string, string>>;
  readonly ssh?: Readonly<Record<string, string>>;
  /** Metadata of machines, by name. */
  readonly metadata?: Readonly<Record<string, string>>;
};

/** A running fleetctl. */
export type Launched = {
  readonly process: ChildProcess;
  /** Its exact output, and its duration in ms. */
  readonly ended: Promise<Outcome & { readonly ms: number }>;
};

/** Creates an operator for the tests of a suite; the folder is removed after them. */
export function createOperator(settings: Settings = {}): Operator {
  const operator = new Operator();
  beforeAll(() => operator.configure(settings));
  afterAll(() => operator.remove());
  return operator;
}

/** A folder with a fleet.conf, its registry and unit files, in which fleetctl runs. */
export class Operator {
  /** In the folder of this run, which is always removed. */
  readonly folder = join(inject('program'), `operator-${randomBytes(4).toString('hex')}`);

  configure({ machines = MACHINES, top, ssh, metadata = {} }: Settings): void {
    const login = { user: 'root', identity_file: IDENTITY_FILE, known_hosts_file: KNOWN_HOSTS_FILE };
    const sections = machines.map((name) => {
      const pairs = metadata[name];
      return section(`[machine.${name}]`, { address: addressOf(name), ...(pairs && { metadata: pairs }) });
    });
    this.write(
      'fleet.conf',
      [
        section('', { registry: 'file:registry', settle: '100ms', ...top }),
        section('[ssh]', { ...login, connect_timeout: '20s', ...ssh }),
        ...sections,
      ].join('\n'),
    );
  }

  /** Writes a file in the folder, and returns its path. */
  write(name: string, content: string | Buffer): string {
    const path = join(this.folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    return path;
  }

  /** Makes a file readable for root only. */
  makePrivate(name: string): void {
    chmodSync(join(this.folder, name), 0o600);
  }

  read(name: string): string {
    return readFileSync(join(this.folder, name), 'utf8');
  }

  /**
   * Runs fleetctl to its end, in a process that has executed other commands (`command-server.cjs`). In its output, ids are replaced
   * by zeros and the operator's folder by HERE, and lines about waiting are removed, because they appear only on a busy box.
   */
  async fleetctl(...words: readonly string[]): Promise<Outcome> {
    const line = { program: PROGRAM, words, folder: this.folder, env: this.environment };
    // Node opens standard input, which `ssh` reads, once in a process.
    const ended = words[0] === 'ssh' ? this.launch(words).ended : execute(line);
    const { status, stdout, stderr } = await ended;
    return { status, stdout: this.#masked(stdout), stderr: this.#masked(stderr) };
  }

  /** Starts a process of fleetctl in the operator's folder, with a minimal environment. */
  launch(words: readonly string[], options: LaunchOptions = {}): Launched {
    const started = performance.now();
    const child = spawn(PROGRAM, words, {
      cwd: join(this.folder, options.cwd ?? ''),
      env: { ...this.environment, ...options.env },
      ...(options.uid !== undefined && { uid: options.uid, gid: options.uid }),
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 90_000,
    });
    const status = new Promise<number | null>((resolve, reject) =>
      child.on('close', resolve).on('error', reject),
    );
    const ended = Promise.all([status, text(child.stdout), text(child.stderr)]);
    return {
      process: child,
      ended: ended.then(([status, stdout, stderr]) => ({
        status,
        stdout,
        stderr,
        ms: performance.now() - started,
      })),
    };
  }

  get environment(): Readonly<Record<string, string>> {
    return {
      PATH: process.env.PATH ?? '',
      HOME: this.folder,
      // All operators share the compiled program.
      XDG_CACHE_HOME: resolve(PROGRAM, '../../cache'),
      USER: 'root',
      FLEETCTL_CONFIG: join(this.folder, 'fleet.conf'),
    };
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #masked(printed: string): string {
    return printed
      .replaceAll(this.folder, 'HERE')
      .replaceAll(WAITING, '')
      .replaceAll(/\b[0-9a-f]{8}(?=\.\.\.\/)/g, '00000000')
      .replaceAll(/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, '00000000-0000-0000-0000-000000000000');
  }
}

/** The lines that a command prints only if it takes long. */
export const WAITING = /^Waiting for \S+ to .*\n/gm;

type LaunchOptions = {
  /** Relative to the operator's folder. */
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** User and group of the process; root by default. */
  readonly uid?: number;
};

export const PROGRAM = join(inject('program'), 'bin/fleetctl');

function section(header: string, settings: Readonly<Record<string, string>>): string {
  return [header, ...Object.entries(settings).map(([key, value]) => `${key} = ${value}`), ''].join('\n');
}

/** The outcome of a successful command. The text can have any indentation. */
export function done(stdout = ''): Outcome {
  return { status: 0, stdout: dedent(stdout), stderr: '' };
}

/** The outcome of a failed command. */
export function failed(status: number, stderr: string, stdout = ''): Outcome {
  return { status, stdout: dedent(stdout), stderr: dedent(stderr) };
}

/** Removes the indentation of the first line from every line. */
function dedent(block: string): string {
  const lines = block.split('\n').slice(block.startsWith('\n') ? 1 : 0);
  const indent = /^ */.exec(lines[0] ?? '')?.[0] ?? '';
  if (lines.at(-1)?.trim() === '') lines.pop();
  return lines.map((line) => `${line.startsWith(indent) ? line.slice(indent.length) : line}\n`).join('');
}

/** The text of a service unit. */
export function service(lines: string, placement = ''): string {
  return `[Service]\n${lines}\n${placement === '' ? '' : `\n[X-Fleet]\n${placement}\n`}`;
}

export const SLEEPER = service('ExecStart=/bin/sleep 100000');

/** The original fleet computed this hash for the unit. */
export const HELLO = `[Unit]
Description=Hello World

[Service]
ExecStart=/bin/sh -c "while true; do echo Hello; sleep 1; done"
`;
export const HELLO_HASH = '8c2d57110ebadc563d8409054afa5149b06db453';
