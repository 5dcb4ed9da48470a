import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { compareText } from '../../src/base/text.ts';
import type { UnitOutcome } from '../../src/cluster/failure.ts';
import type { Observation } from '../../src/cluster/snapshot.ts';
import type { UnitChange } from '../../src/plan/step.ts';
import { quote } from '../../src/ssh/shell.ts';
import { type SshTarget, TARGET_DEFAULTS } from '../../src/ssh/target.ts';
import type { RemoteProcess, Transport } from '../../src/ssh/transport.ts';
import { DEFAULT_WAIT, type MachineSession, type Query, type WaitPolicy } from '../../src/systemd/driver.ts';
import { observeQuery } from '../../src/systemd/observation.ts';
import type { VoterPlace } from '../../src/systemd/queries.ts';
import type { MachinePaths } from '../../src/systemd/script.ts';
import { createSshDriver } from '../../src/systemd/ssh-driver.ts';
import { keepVariables, LocalShell, type LocalShellOptions, rewriteCommand } from './local-shell.ts';

export const CLUSTER = '5f0c6c1e-0000-4000-8000-000000000001';
export const MACHINE_ID = '148a18ff6e954cd892dac9de9bb90d5a';

const STUBS = join(import.meta.dirname, 'stubs');
/** Stubs as functions of the shell, which can kill the script before a command that changes something. */
const FUNCTIONS = `. ${quote(join(STUBS, 'functions.sh'))}`;

/** Files that only say what was called. */
const NOTES = /^\/stub\/(calls|killing|processes|syncs|lock)$/;

const TARGET: SshTarget = {
  ...TARGET_DEFAULTS,
  name: 'web-1',
  host: '127.0.0.1',
  user: 'root',
  connectTimeoutMs: 1000,
  keepaliveTimeoutMs: 1000,
};

export type SessionOptions = Partial<Pick<LocalShellOptions, 'shell' | 'setup' | 'rewrite'>> & {
  /** Kills the shell of the script instead of running its nth command. */
  readonly killAt?: number | undefined;
  /** The folder for copies of the machine: one before each command of the script. */
  readonly snapshots?: string | undefined;
  /** Called before each session over a new connection, in place of that if it throws. */
  readonly onNewLogin?: () => unknown;
  /** The folder for copies of the machine: one before each command of these sessions. */
  readonly snapshotsOfConfirmation?: string;
  readonly wait?: WaitPolicy;
  readonly voterPlaces?: () => readonly VoterPlace[];
};

/** A machine in a folder: the real script in a real shell, with a stub of systemd that keeps its state in files. */
export class LocalMachine {
  readonly folder: string;
  readonly paths: MachinePaths;
  readonly #defaults: MachineOptions;
  readonly #shells: LocalShell[] = [];
  #snapshots = 0;

  constructor(folder: string, defaults: MachineOptions) {
    this.folder = folder;
    this.#defaults = defaults;
    this.paths = {
      units: join(folder, 'etc'),
      state: join(folder, 'var'),
      run: join(folder, 'run'),
      volatile: join(folder, 'foreign-run'),
      foreign: [join(folder, 'foreign-run'), join(folder, 'foreign-usr')],
    };
  }

  /** Connects through the real driver; `shell` is its transport. */
  connect(options: SessionOptions = {}): { session: MachineSession; shell: LocalShell } {
    const { wait = DEFAULT_WAIT, voterPlaces = () => [] } = options;
    const all = { ...this.#defaults, ...options };
    const shell = new LocalShell(
      { ...this.#shellOptions(all), onExec: () => this.#expectAlone() },
      {
        ...this.#shellOptions({ ...all, killAt: undefined, snapshots: options.snapshotsOfConfirmation }),
        onExec: options.onNewLogin,
      },
    );
    this.#shells.push(shell);
    onTestFinished(() => shell.kill());
    const access = () => ({ ssh: TARGET, become: 'sudo' as const });
    const driver = createSshDriver(shell, { access, settleMs: 0, wait, voterPlaces, paths: this.paths });
    const session = driver.connect({ name: 'web-1', address: '127.0.0.1', metadata: {} });
    return { session, shell };
  }

  /** Connects through the real driver and a transport to this box, whose commands then run on this machine. */
  connectOver(transport: Transport, ssh: SshTarget): MachineSession {
    const { environment, rewrite } = this.#shellOptions(this.#defaults);
    const variables = Object.entries(environment).map(([name, value]) => `export ${name}=${quote(value)}; `);
    const exec = async (target: SshTarget, command: string): Promise<RemoteProcess> => {
      const ours = keepVariables(rewriteCommand(command, rewrite), Object.keys(environment));
      const process = await transport.exec(target, variables.join('') + ours);
      const write = process.write.bind(process);
      return Object.assign(process, { write: (text: string) => write(rewrite(text)) });
    };
    const access = () => ({ ssh, become: 'none' as const });
    const options = { access, settleMs: 0, wait: DEFAULT_WAIT, paths: this.paths };
    const own = { exec, fresh: () => transport.fresh(), close: () => transport.close() };
    const driver = createSshDriver(own, options);
    return driver.connect({ name: 'web-1', address: ssh.host, metadata: {} });
  }

  /** Returns a copy of this machine in its current state. */
  async copy(): Promise<LocalMachine> {
    const other = await placeOf(this.#defaults);
    await cp(this.folder, other.folder, { recursive: true, verbatimSymlinks: true });
    if (existsSync(other.path('var'))) other.#rebase(this.folder);
    return other;
  }

  /**
   * Runs a script, and returns the copies of this machine that it has left in a folder before each of its commands. A script
   * that is killed leaves one of them. Equal ones are there once.
   */
  async snapshots(script: (folder: string) => Promise<unknown>): Promise<readonly string[]> {
    const folder = `${this.folder}-${this.#snapshots++}`;
    await mkdir(folder);
    await script(folder);
    const numbers = readdirSync(folder)
      .map(Number)
      .sort((a, b) => a - b);
    const paths = numbers.map((number) => join(folder, String(number)));
    let last: string | undefined;
    return paths.filter((path) => {
      const contents = contentsOf(path);
      const isNew = contents !== last;
      last = contents;
      return isNew;
    });
  }

  /** Puts the machine into the state of a copy, which is used up. */
  restore(copy: string): void {
    rmSync(this.folder, { recursive: true });
    renameSync(copy, this.folder);
  }

  /** Runs changes in a session, and closes it. */
  async change(
    changes: readonly UnitChange[],
    options: SessionOptions & { readonly cluster?: string } = {},
  ): Promise<readonly UnitOutcome[]> {
    const { session, shell } = this.connect(options);
    try {
      return await session.change(changes, options.cluster ?? CLUSTER);
    } finally {
      session.close();
      await shell.close();
    }
  }

  /** Runs a query in a session, and closes it. */
  async ask<T>(query: Query<T>, options: SessionOptions = {}): Promise<T> {
    const { session, shell } = this.connect(options);
    try {
      return await session.ask(query);
    } finally {
      session.close();
      await shell.close();
    }
  }

  observe(names: readonly string[] = [], options: SessionOptions = {}): Promise<Observation> {
    return this.ask(observeQuery({ names, digests: true }), options);
  }

  /**
   * Does what systemd does when the timer of the revert elapses, or at boot: runs the script, if the unit for it is there.
   * Resolves with its exit status; undefined if nothing starts it.
   */
  async revert(
    unit: string,
    { shell = '/bin/sh', snapshots }: SessionOptions = {},
  ): Promise<number | undefined> {
    const name = `fleet-confirm@${unit}`;
    const hasTimer = this.text('stub/active', `${name}.timer`)?.startsWith('active=active') === true;
    const boots = this.text('etc/sysinit.target.wants', `${name}.service`) !== undefined;
    if (!hasTimer && !boots) return undefined;
    const script = this.path('var/confirm', unit, 'revert');
    if (!existsSync(script)) return 0;
    const { environment } = this.#shellOptions({ ...this.#defaults, snapshots });
    const command = `SCRIPT_SHELL=$$; ${FUNCTIONS}; . ${quote(script)}`;
    const [program = '', ...words] = shell.split(' ');
    const child = spawn(program, [...words, '-c', command], { env: { ...environment }, stdio: 'ignore' });
    const [status, signal] = await once(child, 'exit');
    return status ?? (signal === 'SIGKILL' ? -1 : -2);
  }

  /** Calls of systemctl that start with `verb`. */
  calls(verb = ''): readonly string[] {
    return this.#lines('calls').filter((call) => call.startsWith(verb));
  }

  /** Events of units, in order: `start web.service as Description`, `stop …`, `stopped …`. */
  events(): readonly string[] {
    return this.#lines('events');
  }

  /** Sets a control file of the stub: see stubs/systemctl. */
  tell(file: string, text = ''): void {
    writeFileSync(this.path('stub', file), text);
  }

  /** Removes a control file of the stub. */
  forget(file: string): void {
    rmSync(this.path('stub', file));
  }

  write(file: string, text: string): void {
    writeFileSync(this.path(file), text);
  }

  remove(file: string): void {
    rmSync(this.path(file));
  }

  /** The permission bits of a file. */
  mode(file: string): number {
    return statSync(this.path(file)).mode & 0o777;
  }

  path(...parts: readonly string[]): string {
    return join(this.folder, ...parts);
  }

  /** The text of a file; undefined if it does not exist. */
  text(...parts: readonly string[]): string | undefined {
    const path = this.path(...parts);
    return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
  }

  /** Every file and link below a folder, sorted. */
  files(...parts: readonly string[]): readonly string[] {
    const entries = readdirSync(this.path(...parts), { recursive: true, withFileTypes: true });
    const start = this.path(...parts).length + 1;
    return entries
      .filter((entry) => !entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name).slice(start))
      .sort(compareText);
  }

  /** The scripts that fleet installs have the paths of their machine. */
  #rebase(from: string): void {
    for (const file of this.files('var').filter((name) => name.endsWith('/revert')))
      this.write(`var/${file}`, this.text('var', file)?.replaceAll(from, this.folder) ?? '');
  }

  /** Two scripts at once are only for machines that expect it. */
  #expectAlone(): void {
    if (this.text('stub/shared') === undefined && this.#shells.some(({ isRunning }) => isRunning))
      throw new Error('another script is still running: create the machine with "shared"');
  }

  #lines(file: string): readonly string[] {
    return (this.text('stub', file) ?? '').split('\n').filter((line) => line !== '');
  }

  #shellOptions(options: SessionOptions): LocalShellOptions {
    const { shell = '/bin/sh', setup = '', rewrite, killAt, snapshots } = options;
    const environment = {
      PATH: `${STUBS}:${process.env.PATH ?? ''}`,
      STUB: this.path('stub'),
      STUB_UNITS: [this.paths.units, ...this.paths.foreign].join('\n'),
      ...(killAt !== undefined && { KILL_AT: String(killAt) }),
      ...(snapshots !== undefined && { SNAPSHOTS: snapshots }),
    };
    // A test with a tool in the PATH needs the process.
    const functions = setup.includes('PATH') ? '' : `[ "$has_stubs" ] || ${FUNCTIONS}\n`;
    const local = (script: string): string =>
      script
        .replace("trap '' PIPE\n", (line) => line + functions)
        .replaceAll('/etc/machine-id', '"$STUB/machine-id"')
        .replaceAll('/run/systemd/units', '$STUB/runs');
    return { shell, setup, environment, rewrite: (script) => local(rewrite?.(script) ?? script) };
  }
}

/** `name` is that of the folder; `shared` is for scripts that run at once. */
type MachineOptions = SessionOptions & { readonly name?: string; readonly shared?: true };

/** Creates a new machine, which is removed after the test. */
export async function createLocalMachine(defaults: MachineOptions = {}): Promise<LocalMachine> {
  const machine = await placeOf(defaults);
  const folders = [
    'etc',
    'foreign-run',
    'foreign-usr',
    'stub/loaded',
    'stub/active',
    'stub/journal',
    'stub/runs',
  ];
  for (const folder of folders) await mkdir(machine.path(folder), { recursive: true });
  await writeFile(machine.path('stub/machine-id'), `${MACHINE_ID}\n`);
  if (defaults.shared) machine.tell('shared');
  return machine;
}

/** A machine whose folder does not exist yet. */
async function placeOf(defaults: MachineOptions): Promise<LocalMachine> {
  const outer = await mkdtemp(join(tmpdir(), 'fleet-machine-'));
  onTestFinished(() => rm(outer, { recursive: true, force: true }));
  return new LocalMachine(join(outer, defaults.name ?? 'm'), defaults);
}

/** All that counts in the copy of a machine: its files, without the notes of the stubs. */
function contentsOf(folder: string): string {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const lines = entries.map((entry) => {
    const path = join(entry.parentPath, entry.name);
    const text = entry.isSymbolicLink()
      ? readlinkSync(path)
      : entry.isFile()
        ? readFileSync(path, 'latin1')
        : '';
    return [path.slice(folder.length), text];
  });
  return JSON.stringify(lines.filter(([path = '']) => !NOTES.test(path)).sort());
}
