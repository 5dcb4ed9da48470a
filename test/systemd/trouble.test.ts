import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { describe, expect, it, onTestFinished, type TestContext } from 'vitest';
import { sha256 } from '../../src/base/hash.ts';
import type { UnitChange } from '../../src/plan/step.ts';
import { CLUSTER, createLocalMachine, type LocalMachine } from '../support/local-machine.ts';
import { seeded } from '../support/random.ts';
import { changes, unitText } from './changes.ts';

const OLD = unitText('old');
const NEW = unitText('new', 'ExecStart=/bin/sleep 1000', `# ${'x'.repeat(2000)}`);
const HOLDING = unitText('holding', 'ExecStart=/bin/sleep 1000', 'ExecStop=hold');
const LARGE = unitText('large', 'ExecStart=/bin/sleep 1000', `# ${'x'.repeat(100_000)}`);

describe('a script that arrives in part', () => {
  it('does nothing, wherever it is cut', async () => {
    const machine = await arrange();
    const before = everything(machine);
    const random = seeded(7);
    for (let turn = 0; turn < 40; turn++) {
      const cut = random();
      await changeWithCut(machine, (script) => Math.floor(cut * script.lastIndexOf('\n}\n')));
      expect([cut, everything(machine)]).toEqual([cut, before]);
    }
  });

  it('is done whole or not at all when only its last line is cut', async () => {
    const reference = await arrange();
    const before = everything(reference);
    await changeWithCut(reference, (script) => script.length);
    const after = everything(reference);
    for (let missing = 1; missing <= 24; missing++) {
      const machine = await arrange();
      await changeWithCut(machine, (script) => script.length - missing);
      expect([missing, [before, after]]).toEqual([missing, expect.arrayContaining([everything(machine)])]);
    }
  });
});

describe('a connection that is lost while a script runs', () => {
  it('does not stop it half-way', async () => {
    const machine = await createLocalMachine();
    await machine.change([changes.launch('web.service', HOLDING, 1)]);
    const { session, shell } = machine.connect();
    void session.change(
      [changes.restart('web.service', NEW, 2), changes.launch('b.service', NEW, 2)],
      CLUSTER,
    );
    await expect.poll(() => machine.calls('stop').length).toBeGreaterThan(0);
    shell.cut();
    machine.tell('release');
    await shell.close();
    expect([machine.text('etc/web.service'), machine.text('etc/b.service')]).toEqual([NEW, NEW]);
    expect(machine.events().slice(-2)).toEqual(['start web.service as new', 'start b.service as new']);
    expect(leftovers(machine)).toEqual([]);
  });
});

describe('a shell that is killed while it writes a file', () => {
  it('leaves the old file whole, and the next pass sweeps what it left', async () => {
    const machine = await arrange();
    const killed = { setup: 'ulimit -f 40' };
    const [outcome] = await machine.change([changes.restart('web.service', LARGE, 2)], killed);
    expect(outcome?.failure).toMatchObject({ code: 'unreachable' });
    expect(machine.text('etc/web.service')).toBe(OLD);
    expect(leftovers(machine)).toHaveLength(1);
    expect(machine.events()).toEqual(['start web.service as old']);
    await machine.change([changes.restart('web.service', NEW, 3)]);
    expect([machine.text('etc/web.service'), leftovers(machine)]).toEqual([NEW, []]);
  });
});

describe('a disk that is full', () => {
  it('keeps a unit that does not fit as it is, and running; others are done', async (context) => {
    const machine = await arrange();
    mountSmall(context, machine, 'etc', 'size=64k');
    await machine.change([changes.launch('web.service', OLD, 2)]);
    const before = machine.events().length;
    const outcomes = await machine.change([
      changes.restart('web.service', LARGE, 3),
      changes.launch('small.service', OLD, 3),
    ]);
    expect(outcomes.map(({ failure }) => failure)).toEqual([
      { code: 'step', step: 'write', detail: expect.stringMatching(/\S/) },
      undefined,
    ]);
    expect(machine.text('etc/web.service')).toBe(OLD);
    expect(machine.text('etc/small.service')).toBe(OLD);
    const stops = machine
      .events()
      .slice(before)
      .filter((event) => event.startsWith('stop'));
    expect([leftovers(machine), stops]).toEqual([[], []]);
  });

  it('prevents no stop: the unit keeps its old text until there is room', async (context) => {
    const machine = await arrange();
    mountSmall(context, machine, 'etc', 'size=64k');
    const names = ['web.service', 'b.service', 'c.service'];
    await machine.change(names.map((name) => changes.launch(name, OLD, 2)));
    const outcomes = await machine.change([
      changes.lower('web.service', LARGE, 3),
      changes.lower('b.service', NEW, 3),
      changes.lower('c.service', NEW, 3),
    ]);
    expect(outcomes.map(({ state, failure }) => [state?.active, failure])).toEqual([
      ['inactive', { code: 'step', step: 'rewrite', detail: expect.stringMatching(/\S/) }],
      ['inactive', undefined],
      ['inactive', undefined],
    ]);
    expect(names.map((name) => machine.text('etc', name))).toEqual([OLD, NEW, NEW]);
    expect(machine.text('var/units/web.service')).toMatch(
      new RegExp(`^unit=web.service\ntoken=3\nhash=.*\ndigest=${sha256(OLD)}\ntarget=loaded\n+$`),
    );
    expect(leftovers(machine)).toEqual([]);
    const [again] = await machine.change([changes.load('web.service', NEW, 4)]);
    expect([again?.failure, machine.text('etc/web.service')]).toEqual([undefined, NEW]);
  });

  it('reports that a unit which does not stop still runs', async (context) => {
    const machine = await arrange();
    mountSmall(context, machine, 'etc', 'size=64k');
    await machine.change([changes.launch('web.service', OLD, 2)]);
    const rewrite = (script: string): string => script.replace('batch stop_job', 'batch true');
    const [outcome] = await machine.change([changes.lower('web.service', LARGE, 3)], { rewrite });
    expect(outcome?.failure).toMatchObject({ code: 'not-down' });
  });

  it('with no room for records changes no unit', async (context) => {
    const machine = await arrange();
    mountSmall(context, machine, 'var', 'size=8k,nr_inodes=6');
    const outcomes = await machine.change([changes.launch('small.service', OLD, 3)]);
    expect(outcomes[0]?.failure).toMatchObject({
      code: 'step',
      detail: expect.stringContaining('No space left'),
    });
    expect(machine.text('etc/small.service')).toBeUndefined();
    expect(leftovers(machine)).toEqual([]);
  });
});

describe('a check', () => {
  const check: UnitChange = {
    unit: 'web.service',
    token: 2,
    steps: [{ kind: 'check' }],
    obstacle: undefined,
  };
  const failureOf = async (machine: LocalMachine) => (await machine.change([check]))[0]?.failure;

  it('of a unit that can be removed changes nothing', async () => {
    const machine = await arrange();
    const before = everything(machine);
    expect(await failureOf(machine)).toBeUndefined();
    expect(everything(machine)).toEqual(before);
    expect(machine.calls('stop')).toEqual([]);
  });

  it.each(['etc', 'var'])('tells of a folder that cannot be written: %s', async (folder) => {
    const machine = await arrange();
    makeReadOnly(machine, folder);
    expect(await failureOf(machine)).toMatchObject({ code: 'step', step: 'prepare' });
  });

  it.each(['etc', 'var'])('tells of it where busybox has -w for every folder: %s', async (folder) => {
    const machine = await arrange('busybox sh');
    makeReadOnly(machine, folder);
    expect(await failureOf(machine)).toMatchObject({ detail: expect.stringContaining('Read-only') });
  });

  it('tells of a unit that only others may stop', async () => {
    const machine = await arrange();
    const text = OLD.replace('[Unit]', '[Unit]\nRefuseManualStop=yes');
    await machine.change([changes.restart('web.service', text, 2)]);
    expect(await failureOf(machine)).toEqual({
      code: 'step',
      step: 'stop',
      detail: 'it has RefuseManualStop=yes',
    });
  });
});

describe('a folder that cannot be written', () => {
  it.each([
    ['of unit files', 'etc'],
    ['of records', 'var'],
  ])('%s is reported before any change', async (_, folder) => {
    const machine = await arrange();
    await machine.change([changes.load('gone.service', OLD, 1)]);
    const before = everything(machine);
    makeReadOnly(machine, folder);
    const outcomes = await machine.change([
      changes.load('new.service', NEW, 2),
      changes.remove('gone.service', 2),
    ]);
    expect(outcomes.map(({ failure }) => failure)).toEqual(
      outcomes.map(() => ({ code: 'step', step: 'prepare', detail: expect.stringContaining('Read-only') })),
    );
    expect(everything(machine)).toEqual(before);
    expect(machine.calls('stop')).toEqual([]);
  });

  it.each(['etc', 'var'])('stops no unit where busybox has -w for every folder: %s', async (folder) => {
    const machine = await arrange('busybox sh');
    await machine.change([changes.load('gone.service', OLD, 1)]);
    const before = everything(machine);
    makeReadOnly(machine, folder);
    const outcomes = await machine.change([
      changes.restart('web.service', NEW, 2),
      changes.remove('gone.service', 2),
    ]);
    expect(outcomes.map(({ failure }) => failure)).toEqual(
      outcomes.map(() => expect.objectContaining({ detail: expect.stringContaining('Read-only') })),
    );
    expect(everything(machine)).toEqual(before);
    expect(machine.calls('stop')).toEqual([]);
  });
});

describe('a folder of links that cannot be changed', () => {
  it.each([undefined, 'busybox sh'])('is reported before the unit is stopped (%s)', async (shell) => {
    const machine = await arrange(shell);
    const path = 'etc/fleet.target.wants';
    rmSync(machine.path(path, 'web.service'));
    makeReadOnly(machine, path);
    const [outcome] = await machine.change([changes.restart('web.service', NEW, 2)]);
    const detail = expect.stringMatching(/\/fleet\.target\.wants: (Read-only|Permission)/);
    expect(outcome?.failure).toEqual({ code: 'step', step: 'install', detail });
    expect(machine.calls('stop')).toEqual([]);
  });
});

describe('a login shell', () => {
  it.each([
    ['that greets', 'echo "Welcome!"; echo "Last login: today" >&2'],
    ['that ends no line', 'printf "Welcome"; printf "warning" >&2'],
    ['that imitates an answer', 'printf "\\n%s facts 0 3\\nfoo" 0123456789abcdef0123456789abcdef'],
    [
      'with odd settings',
      'export IFS=/ CDPATH=/ LC_ALL=de_DE.UTF-8 POSIXLY_CORRECT=1 PS4="\\$(false)" name=x status=1 out=y',
    ],
  ])('%s does not disturb', async (_, setup) => {
    const machine = await createLocalMachine({ setup });
    const [outcome] = await machine.change([changes.launch('web.service', OLD, 1)]);
    expect(outcome?.failure).toBeUndefined();
    expect((await machine.observe()).units).toMatchObject([
      { name: 'web.service', state: { active: 'active' } },
    ]);
  });

  it('that is not let in is quoted', async () => {
    const machine = await createLocalMachine({ setup: 'echo "sudo: a password is required" >&2; exit 1' });
    await expect(machine.observe()).rejects.toMatchObject({
      code: 'remote-script',
      message: 'Cannot use machine "web-1": "sudo: a password is required"',
    });
  });
});

/** A machine on which web.service runs with the old text. */
async function arrange(shell?: string): Promise<LocalMachine> {
  const machine = await createLocalMachine(shell === undefined ? {} : { shell });
  await machine.change([changes.launch('web.service', OLD, 1)]);
  return machine;
}

/** Sends a change of three units of which only that many characters arrive. */
async function changeWithCut(machine: LocalMachine, cut: (script: string) => number): Promise<void> {
  const { session, shell } = machine.connect({
    rewrite: (script) => (script.includes('\nchange() {') ? script.slice(0, cut(script)) : script),
  });
  const outcome = session.change(
    [
      changes.restart('web.service', NEW, 2),
      changes.launch('b.service', `# ' "; rm -rf x; $(false)\n${NEW}`, 2),
      changes.load('c.service', NEW, 2),
    ],
    CLUSTER,
  );
  session.close();
  await outcome;
  await shell.close();
}

type Files = readonly (readonly [string, string | undefined])[];

function everything(machine: LocalMachine): Files {
  return ['etc', 'var'].flatMap((folder) =>
    machine.files(folder).map((file) => [`${folder}/${file}`, machine.text(folder, file)] as const),
  );
}

function leftovers(machine: LocalMachine): readonly string[] {
  return machine.files('etc').filter((file) => file.startsWith('.'));
}

/** Puts a tmpfs over a folder; only root may, and not in every container. */
function mountSmall({ skip }: TestContext, machine: LocalMachine, folder: string, options: string): void {
  const path = machine.path(folder);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path], { stdio: 'pipe' });
  } catch {
    skip('mounting needs root');
  }
  onTestFinished(() => void execFileSync('umount', ['-l', path]));
}

/** Root writes whatever the permissions say, but not on a file system that is mounted read-only. */
function makeReadOnly(machine: LocalMachine, folder: string): void {
  const path = machine.path(folder);
  if (process.getuid?.() !== 0) {
    execFileSync('chmod', ['-R', 'a-w', path]);
    onTestFinished(() => void execFileSync('chmod', ['-R', 'u+w', path]));
    return;
  }
  execFileSync('mount', ['--bind', path, path]);
  onTestFinished(() => void execFileSync('umount', ['-l', path]));
  execFileSync('mount', ['-o', 'remount,bind,ro', path]);
}
