import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { userInfo } from 'node:os';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { UnitOutcome } from '../../src/cluster/failure.ts';
import type { UnitChange } from '../../src/plan/step.ts';
import { createLocalMachine, type LocalMachine } from '../support/local-machine.ts';
import { changes, recordOf, unitText } from './changes.ts';

const HOLDING = unitText('old', 'ExecStart=/bin/sleep 1000', 'ExecStop=hold');
const NEW = unitText('new');
const OTHER = unitText('other');

/** Makes `first`, which stops slow.service, and while that stop is waited for, and the lock is free, `second`. */
async function meanwhile(
  machine: LocalMachine,
  first: readonly UnitChange[],
  second: () => Promise<unknown>,
): Promise<readonly unknown[]> {
  await machine.change([changes.launch('slow.service', HOLDING, 1)]);
  const outcomes = machine.change(first);
  await expect.poll(() => machine.calls('list-jobs').length).toBeGreaterThan(1);
  await second();
  machine.tell('release');
  return (await outcomes).map(({ failure }) => failure);
}

describe('two fleet processes on one machine at once', () => {
  it('leave each other the files that wait for a stop', async () => {
    const machine = await createLocalMachine({ shared: true });
    const failures = await meanwhile(machine, [changes.restart('slow.service', NEW, 2)], () =>
      machine.change([changes.launch('other.service', OTHER, 3)]),
    );
    expect(failures).toEqual([undefined]);
    expect(machine.text('etc/slow.service')).toBe(NEW);
    expect(machine.text('etc/other.service')).toBe(OTHER);
    expect(machine.events().at(-1)).toBe('start slow.service as new');
  });

  it('never install the file of the other', async () => {
    const machine = await createLocalMachine({ shared: true });
    const stuck = unitText('stuck', 'ExecStart=/bin/sleep 1000', 'ExecStop=hold');
    await machine.change([changes.launch('stuck.service', stuck, 1)]);
    let second: Promise<unknown> = Promise.resolve();
    const failures = await meanwhile(machine, [changes.restart('slow.service', NEW, 2)], async () => {
      second = machine.change([changes.restart('stuck.service', OTHER, 3)]);
      await expect
        .poll(() => machine.calls('stop').filter((call) => call.includes('stuck')).length)
        .toBeGreaterThan(0);
    });
    await second;
    expect(failures).toEqual([undefined]);
    expect(machine.text('etc/slow.service')).toBe(NEW);
    expect(machine.text('etc/stuck.service')).toBe(OTHER);
  });

  it('compare all tokens again after a wait, also of units that were not waited for', async () => {
    const machine = await createLocalMachine({ shared: true });
    await machine.change([changes.launch('web.service', unitText('first'), 1)]);
    const failures = await meanwhile(
      machine,
      [changes.restart('slow.service', NEW, 2), changes.launch('web.service', unitText('second'), 2)],
      () => machine.change([changes.launch('web.service', unitText('third'), 3)]),
    );
    expect(failures).toEqual([undefined, { code: 'stale', token: 2, seen: 3 }]);
    expect(machine.text('etc/web.service')).toBe(unitText('third'));
  });

  it('let a newer decision have the unit whose stop an older one waits for', async () => {
    const machine = await createLocalMachine({ shared: true });
    const failures = await meanwhile(machine, [changes.restart('slow.service', NEW, 2)], () =>
      machine.change([changes.note('slow.service', HOLDING, 3)]),
    );
    expect(failures).toEqual([{ code: 'stale', token: 2, seen: 3 }]);
    expect(machine.text('etc/slow.service')).toBe(HOLDING);
  });

  it('may both remove a unit by the same decision', async () => {
    const machine = await createLocalMachine({ shared: true });
    await machine.change([changes.launch('web.service', OTHER, 1)]);
    const first = await machine.change([changes.remove('web.service', 2)]);
    const second = await machine.change([changes.remove('web.service', 2)]);
    expect([...first, ...second].map(({ failure }) => failure)).toEqual([undefined, undefined]);
    expect(machine.files('var')).toEqual(['cluster', 'removed/web.service']);
  });

  it('may both restart a unit by the same decision', async () => {
    const machine = await createLocalMachine({ shared: true });
    let second: Promise<readonly UnitOutcome[]> = Promise.resolve([]);
    const failures = await meanwhile(machine, [changes.restart('slow.service', NEW, 2)], async () => {
      second = machine.change([changes.restart('slow.service', NEW, 2)]);
      await expect.poll(() => machine.calls('stop').length).toBeGreaterThan(1);
    });
    expect([failures, (await second).map(({ failure }) => failure)]).toEqual([[undefined], [undefined]]);
    expect(machine.events().filter((event) => event.endsWith('as new'))).toHaveLength(1);
  });

  it('restart a unit once by the same decision, also when the second one comes late', async () => {
    const machine = await createLocalMachine({ shared: true });
    await machine.change([changes.launch('web.service', unitText('first'), 1)]);
    const restart = [changes.restart('web.service', NEW, 2)];
    for (const _ of ['the first', 'the second'])
      expect((await machine.change(restart)).map(({ failure }) => failure)).toEqual([undefined]);
    const stops = () => machine.events().filter((event) => event.startsWith('stop web.service'));
    expect(stops()).toHaveLength(1);
    expect(machine.text('etc/web.service')).toBe(NEW);
    // Manual changes since then are reverted, also by the same decision.
    machine.write('etc/web.service', OTHER);
    await machine.change(restart);
    expect(machine.text('etc/web.service')).toBe(NEW);
    expect(stops()).toHaveLength(2);
  });

  it('both tell that a unit does not stop', async () => {
    const machine = await createLocalMachine({ shared: true });
    const stubborn = unitText('stubborn', 'ExecStart=/bin/sleep 1000', 'ExecStop=never');
    await machine.change([changes.launch('b.service', stubborn, 1)]);
    let second: Promise<readonly UnitOutcome[]> = Promise.resolve([]);
    const both = [changes.restart('slow.service', NEW, 2), changes.restart('b.service', NEW, 2)];
    const failures = await meanwhile(machine, both, async () => {
      second = machine.change([changes.restart('b.service', NEW, 2)]);
      await second;
    });
    const failure = {
      code: 'not-down',
      state: 'active running',
      again: false,
      causes: [],
      detail: '',
      journal: [],
    };
    expect([failures, (await second).map((outcome) => outcome.failure)]).toEqual([
      [undefined, failure],
      [failure],
    ]);
    expect(machine.text('etc/b.service')).toBe(stubborn);
  });

  it('leave no file behind when a unit is given up on the way', async () => {
    const machine = await createLocalMachine({ shared: true });
    await meanwhile(machine, [changes.restart('slow.service', NEW, 2)], () =>
      machine.change([changes.note('slow.service', HOLDING, 3)]),
    );
    expect(machine.files('etc').filter((file) => file.startsWith('.'))).toEqual([]);
  });

  it('make fifty changes with all their files and records', async () => {
    const machine = await createLocalMachine({ shared: true });
    const names = Array.from({ length: 50 }, (_, index) => `web@${index}.service`);
    const halves = [names.filter((_, index) => index % 2 === 0), names.filter((_, index) => index % 2 === 1)];
    const outcomes = await Promise.all(
      halves.map((half) => machine.change(half.map((name) => changes.launch(name, unitText(name), 1)))),
    );
    expect(outcomes.flat().filter(({ failure }) => failure !== undefined)).toEqual([]);
    const { units } = await machine.observe();
    expect(units.map(({ record }) => record)).toEqual(
      expect.arrayContaining(names.map((name) => recordOf(name, unitText(name), 1, 'launched'))),
    );
    expect(units.map(({ name, digest, record }) => [name, digest === record?.digest])).toHaveLength(50);
  });
});

describe('the lock of a machine', () => {
  it('that another process holds for too long changes nothing', async () => {
    const machine = await createLocalMachine({ shared: true });
    await machine.change([changes.launch('web.service', OTHER, 1)]);
    const holder = spawn('flock', [machine.path('run/lock'), 'sh', '-c', 'echo mine; exec cat']);
    onTestFinished(() => void holder.kill());
    await once(holder.stdout, 'data');
    const calls = machine.calls().length;
    const outcomes = await machine.change(
      [changes.restart('web.service', NEW, 2), changes.launch('b.service', NEW, 2)],
      { rewrite: (script) => script.replace(/^W=30$/m, 'W=1') },
    );
    const locked = {
      code: 'locked',
      holder: { pid: expect.any(Number), user: userInfo().username, command: expect.any(String) },
    };
    expect(outcomes.map(({ failure }) => failure)).toEqual([locked, locked]);
    expect(machine.calls()).toHaveLength(calls);
    expect(machine.text('etc/web.service')).toBe(OTHER);
  });

  it('is waited for', async () => {
    const machine = await createLocalMachine({ shared: true });
    await machine.change([changes.launch('web.service', OTHER, 1)]);
    const holder = spawn('flock', [machine.path('run/lock'), 'sh', '-c', 'echo mine; exec cat']);
    onTestFinished(() => void holder.kill());
    await once(holder.stdout, 'data');
    const outcomes = machine.change([changes.restart('web.service', NEW, 2)]);
    holder.stdin.end();
    expect((await outcomes)[0]?.failure).toBeUndefined();
  });

  it('does not outlive a shell that was killed', async () => {
    const machine = await createLocalMachine({ shared: true });
    await machine.change([changes.launch('web.service', HOLDING, 1)]);
    const { session, shell } = machine.connect();
    const lost = session.change([changes.restart('web.service', NEW, 2)], 'c');
    await expect.poll(() => machine.calls('stop').length + machine.calls('show').length).toBeGreaterThan(0);
    shell.kill();
    await lost;
    machine.tell('release');
    const [outcome] = await machine.change([changes.restart('web.service', NEW, 3)]);
    expect(outcome?.failure).toBeUndefined();
  });
});
