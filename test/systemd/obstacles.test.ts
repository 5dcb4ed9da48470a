import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { observeQuery } from '../../src/systemd/observation.ts';
import { createLocalMachine, type LocalMachine } from '../support/local-machine.ts';
import { adopting, changes, unitText } from './changes.ts';

const OLD = unitText('old');
const NEW = unitText('new');
const FOLDERS = ['run', 'var', 'var/units', 'var/removed', 'var/tmp'];

describe('the folders of fleet on a machine', () => {
  it('are closed to other users, as are the files in them; unit files are not', async () => {
    const machine = await machineWithUnit();
    expect(modes(machine, FOLDERS)).toEqual(FOLDERS.map(() => 0o700));
    const files = ['run/lock', 'run/busy', 'var/cluster', 'var/units/web.service'];
    expect(modes(machine, files)).toEqual(files.map(() => 0o600));
    expect(modes(machine, ['etc/web.service', 'etc/fleet.target', 'etc/fleet.target.wants'])).toEqual([
      0o644, 0o644, 0o755,
    ]);
  });

  it('that an earlier version left open are closed, but for the way to a registry', async () => {
    const machine = await machineWithUnit();
    mkdirSync(machine.path('var/registry'), { mode: 0o750 });
    for (const folder of FOLDERS) chmodSync(machine.path(folder), 0o755);
    for (const file of ['run/lock', 'run/busy', 'var/cluster']) chmodSync(machine.path(file), 0o644);
    expect(await restart(machine)).toBeUndefined();
    expect(modes(machine, ['var', 'var/registry', 'run', 'var/units'])).toEqual([0o711, 0o750, 0o700, 0o700]);
    expect(modes(machine, ['run/lock', 'run/busy', 'var/cluster'])).toEqual([0o600, 0o600, 0o600]);
  });

  it.each([
    ['a link', (path: string) => symlinkSync('/etc/passwd', path), /is a symbolic link$/],
    ['a link to nothing', (path: string) => symlinkSync('/nonexistent', path), /is not a file of root$/],
    ['a pipe', (path: string) => void execFileSync('mkfifo', [path]), /is not a file of root$/],
  ])('that others could write are not used while %s is in them', async (_, plant, said) => {
    const machine = await machineWithUnit();
    chmodSync(machine.path('run'), 0o777);
    rmSync(machine.path('run/lock'));
    plant(machine.path('run/lock'));
    for (let turn = 0; turn < 2; turn++) {
      expect(await restart(machine)).toMatchObject({ step: 'prepare', detail: expect.stringMatching(said) });
      expect(machine.mode('run')).toBe(0o755);
    }
    expect(machine.text('etc/web.service')).toBe(OLD);
    rmSync(machine.path('run/lock'));
    expect(await restart(machine)).toBeUndefined();
    expect(machine.mode('run')).toBe(0o700);
  });
});

describe('an obstacle', () => {
  it.each([
    ['etc/web.service'],
    ['etc/web.service.d/zz-fleet-fenced.conf'],
    ['var/units/web.service'],
    ['var/removed/web.service'],
  ])('in the place of %s is reported before the unit is stopped', async (path) => {
    const machine = await machineWithUnit();
    rmSync(machine.path(path), { force: true });
    mkdirSync(machine.path(path), { recursive: true });
    const failure = { code: 'step', detail: `${machine.path(path)} is a directory` };
    expect(await restart(machine)).toMatchObject({ ...failure, step: 'install' });
    const [removal] = await machine.change([changes.remove('web.service', 2)]);
    expect(removal?.failure).toMatchObject({ ...failure, step: 'remove' });
    expect(machine.calls('stop')).toEqual([]);
    expect(readdirSync(machine.path(path))).toEqual([]);
  });

  it.each([['units/web.service'], ['removed/web.service']])(
    'that is a pipe in the place of %s is reported, and not read',
    async (name) => {
      const machine = await machineWithUnit();
      const path = machine.path('var', name);
      rmSync(path, { force: true });
      execFileSync('mkfifo', [path]);
      const failure = { code: 'step', detail: `${path} is no file` };
      expect(await restart(machine)).toMatchObject({ ...failure, step: 'install' });
      if (name.startsWith('removed')) rmSync(machine.path('var/units/web.service'));
      const [adoption] = await machine.change([adopting(changes.stop('web.service', OLD, 2), OLD)]);
      expect(adoption?.failure).toMatchObject(failure);
      expect(machine.calls('stop')).toEqual([]);
    },
  );

  it.each([
    ['fleet.target.wants/web.service', 'a folder', (path: string) => mkdirSync(path)],
    ['fleet.target.wants/web.service', 'a file', (path: string) => writeFileSync(path, '')],
    ['multi-user.target.wants/web.service', 'a folder', (path: string) => mkdirSync(path)],
    ['multi-user.target.wants/web.service', 'a pipe', (path: string) => void execFileSync('mkfifo', [path])],
  ])('in the place of the link %s: %s is reported before the unit is stopped', async (link, _, plant) => {
    const machine = await machineWithUnit();
    rmSync(machine.path('etc', link), { force: true });
    plant(machine.path('etc', link));
    const change = changes.restart('web.service', NEW, 2);
    const steps = change.steps.map((step) => (step.kind === 'record' ? { ...step, links: [link] } : step));
    const [outcome] = await machine.change([{ ...change, steps }]);
    const detail = `${machine.path('etc', link)} is no link`;
    expect(outcome?.failure).toEqual({ code: 'step', step: 'install', detail });
    expect(machine.calls('stop')).toEqual([]);
    expect(machine.text('etc/web.service')).toBe(OLD);
    const [removal] = await machine.change([changes.remove('web.service', 3)]);
    expect(removal?.failure).toBeUndefined();
  });

  it.each([
    ['run/lock', 'no file', (path: string) => void execFileSync('mkfifo', [path])],
    ['run/busy', 'no file', (path: string) => void execFileSync('mkfifo', [path])],
    ['var/tmp', 'no directory', (path: string) => writeFileSync(path, '')],
    ['var/removed', 'no directory', (path: string) => void execFileSync('mkfifo', [path])],
  ])('in the place of %s, which is %s then, is reported at once', async (name, what, plant) => {
    const machine = await machineWithUnit();
    const path = machine.path(name);
    rmSync(path, { force: true, recursive: true });
    plant(path);
    expect(await restart(machine)).toMatchObject({ code: 'step', detail: `${path} is ${what}` });
    expect(machine.calls('stop')).toEqual([]);
  });

  it.each([
    ['etc/web.service.d', (path: string) => writeFileSync(path, '')],
    ['var/removed/web.service', (path: string) => mkdirSync(path)],
    ['var/removed/web.service', (path: string) => void execFileSync('mkfifo', [path])],
  ])('in the place of %s does not prevent a stop, which does not need it', async (path, plant) => {
    const machine = await machineWithUnit();
    rmSync(machine.path(path), { force: true });
    plant(machine.path(path));
    const [outcome] = await machine.change([changes.stop('web.service', OLD, 2)]);
    expect([outcome?.failure, outcome?.state?.active]).toEqual([undefined, 'inactive']);
    expect(machine.text('var/units/web.service')).toContain('target=loaded');
  });

  it('in the place of a unit file does not prevent a stop, and is reported', async () => {
    const machine = await machineWithUnit();
    rmSync(machine.path('etc/web.service'));
    mkdirSync(machine.path('etc/web.service'));
    const [outcome] = await machine.change([changes.lower('web.service', NEW, 2)]);
    expect(outcome?.failure).toEqual({
      code: 'step',
      step: 'rewrite',
      detail: `${machine.path('etc/web.service')}: Is a directory`,
    });
    expect(machine.calls('stop')).not.toEqual([]);
    expect(readdirSync(machine.path('etc/web.service'))).toEqual([]);
  });

  it('is a disk that does not take new files: nothing is stopped', async () => {
    const machine = await machineWithUnit();
    const bin = machine.path('bin');
    mkdirSync(bin);
    writeFileSync(join(bin, 'sync'), '#!/bin/sh\necho "sync: Input/output error" >&2\nexit 1\n', {
      mode: 0o755,
    });
    expect(await restart(machine, { setup: `PATH=${bin}:$PATH` })).toEqual({
      code: 'step',
      step: 'flush',
      detail: 'sync: Input/output error',
    });
    expect(machine.text('etc/web.service')).toBe(OLD);
    expect(machine.calls('stop')).toEqual([]);
  });

  it('is the mark of scripts under way when another process keeps it', async () => {
    const machine = await machineWithUnit();
    const holder = spawn('flock', [machine.path('run/busy'), 'sh', '-c', 'echo mine; exec cat']);
    onTestFinished(() => void holder.kill());
    await once(holder.stdout, 'data');
    const rewrite = (script: string) => script.replace(/^W=30$/m, 'W=1');
    expect(await restart(machine, { rewrite })).toMatchObject({
      code: 'locked',
      holder: { pid: expect.any(Number) },
    });
    expect(machine.calls('stop')).toEqual([]);
  });
});

describe('a systemd that hangs', () => {
  it('keeps no process waiting for longer than its answer is waited for', async () => {
    const machine = await machineWithUnit();
    machine.tell('hang');
    const { session, shell } = machine.connect();
    const look = session.ask(observeQuery({ names: [], digests: true, vitals: true, withinMs: 1000 }));
    look.catch(() => undefined);
    await expect.poll(() => processesOf(machine)).not.toEqual([]);
    // The answer is not awaited any more.
    session.close();
    shell.cut();
    await expect.poll(() => processesOf(machine)).toEqual([]);
  });

  it('ends a change as well: what nothing tells of has not succeeded', async () => {
    const machine = await machineWithUnit();
    machine.tell('hang');
    const rewrite = (script: string) => script.replace(/^W=30$/m, 'W=30 S=1');
    expect(await restart(machine, { rewrite })).toEqual({ code: 'unverified' });
    expect([machine.text('etc/web.service'), processesOf(machine)]).toEqual([OLD, []]);
  });
});

async function machineWithUnit(): Promise<LocalMachine> {
  const machine = await createLocalMachine();
  await machine.change([changes.launch('web.service', OLD, 1)]);
  return machine;
}

/** What keeps its unit from being restarted with another text. */
async function restart(machine: LocalMachine, options: Parameters<LocalMachine['change']>[1] = {}) {
  const [outcome] = await machine.change([changes.restart('web.service', NEW, 2)], options);
  return outcome?.failure;
}

function modes(machine: LocalMachine, paths: readonly string[]): readonly number[] {
  return paths.map((path) => machine.mode(path));
}

/** The processes that have something of the machine in their environment, by their commands. */
function processesOf(machine: LocalMachine): readonly string[] {
  return readdirSync('/proc').flatMap((pid) => {
    try {
      const isIts = readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`STUB=${machine.path('stub')}\0`);
      return isIts ? [readFileSync(`/proc/${pid}/comm`, 'utf8').trim()] : [];
    } catch {
      return [];
    }
  });
}
