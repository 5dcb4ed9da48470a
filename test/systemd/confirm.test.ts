import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import { sha1, sha256 } from '../../src/base/hash.ts';
import type { UnitOutcome } from '../../src/cluster/failure.ts';
import type { UnitChange } from '../../src/plan/step.ts';
import { createLocalMachine, type LocalMachine, type SessionOptions } from '../support/local-machine.ts';
import { SHELLS } from '../support/local-shell.ts';
import { changes, unitText } from './changes.ts';

const UNIT = 'web@1.service';
const OLD = unitText('old', 'ExecStart=/bin/sleep 1000');
const NEW = unitText('new', 'ExecStart=/bin/sleep 1000');
const FALLEN = unitText('fallen', 'ExecStart=/bin/false');
const WINDOW_MS = 30_000;
const BOOT_ID = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

const restart = (text = NEW): UnitChange => armed(changes.restart(UNIT, text, 2), text);
const launch = (text = NEW): UnitChange => armed(changes.launch(UNIT, text, 2), text);

function armed(change: UnitChange, text: string): UnitChange {
  const arm = { kind: 'arm', windowMs: WINDOW_MS, hash: sha1(text), digest: sha256(text) } as const;
  return { ...change, steps: [arm, ...change.steps] };
}

/** The operator is gone: no login follows, and no answer is awaited. */
const gone = (): never => {
  throw new Error('the operator is gone');
};

/** Makes the change, and does not confirm it. */
async function leave(machine: LocalMachine, change: UnitChange, options: SessionOptions = {}): Promise<void> {
  await machine.change([change], { ...options, onNewLogin: gone }).catch(() => undefined);
}

async function withOld(options: SessionOptions = {}): Promise<LocalMachine> {
  const machine = await createLocalMachine(options);
  await machine.change([changes.launch(UNIT, OLD, 1)]);
  return machine;
}

/** What counts of a machine: files, links, records without tokens, and which text runs. */
function stateOf(machine: LocalMachine): unknown {
  const contents = (...folder: string[]): unknown =>
    machine
      .files(...folder)
      .map((file) => [file, machine.text(...folder, file)?.replace(/^token=.*\n/m, '')]);
  const active = machine
    .files('stub/active')
    .map((file) => [file, machine.text('stub/active', file)?.replace(/ invocation=.*/s, '')])
    .filter(([, state]) => state?.startsWith('active=active'));
  // A service that reverts may be loaded until the next reload.
  const loaded = machine.files('stub/loaded').filter((file) => !file.startsWith('fleet-confirm@'));
  const texts = loaded.map((file) => [file, machine.text('stub/loaded', file)]);
  return { etc: contents('etc'), units: contents('var/units'), texts, active };
}

const tokenOf = (machine: LocalMachine): string | undefined =>
  /^token=(.*)$/m.exec(machine.text('var/units', UNIT) ?? machine.text('var/removed', UNIT) ?? '')?.[1];

const eventsOf = (machine: LocalMachine): readonly string[] =>
  machine.events().filter((event) => !event.includes('fleet-confirm@'));

const syncsOf = (machine: LocalMachine): readonly string[] =>
  (machine.text('stub/syncs') ?? '').split('\n').filter((line) => line !== '');

const codeOf = ([outcome]: readonly UnitOutcome[]): string | undefined => outcome?.failure?.code;

describe.each(SHELLS)('a change to confirm, with %s', (shell) => {
  it.each<[string, () => Promise<LocalMachine>, UnitChange]>([
    ['a new text', () => withOld({ shell }), restart()],
    ['a first start', () => createLocalMachine({ shell }), launch()],
  ])('leaves nothing after its confirmation: %s', async (_name, create, change) => {
    const machine = await create();
    const logins: string[] = [];
    const look = (): void => void logins.push(machine.text('var/confirm', UNIT, 'armed') ?? '');
    expect(codeOf(await machine.change([change], { onNewLogin: look }))).toBeUndefined();
    expect(logins).toHaveLength(1);
    expect(logins[0]).toMatch(new RegExp(`^unit=${UNIT}\nstate=armed\ntoken=2\n`));
    expect(machine.text('etc', UNIT)).toBe(NEW);
    expect(machine.files('var/confirm')).toEqual([]);
    expect(machine.files('etc').filter((file) => file.includes('confirm'))).toEqual([]);
    expect(machine.text('stub/active', `fleet-confirm@${UNIT}.timer`)).toContain('active=inactive');
    expect(machine.files('stub/loaded')).toEqual([UNIT]);
    expect((await machine.observe([UNIT])).confirmations).toBeUndefined();
  });

  it('is reverted without a confirmation, with file, record, links and run', async () => {
    const machine = await withOld({ shell });
    const before = stateOf(machine);
    await leave(machine, restart(unitText('new', '[Install]\nAlias=other.service\nWantedBy=some.target')));
    expect(stateOf(machine)).not.toEqual(before);
    expect(await machine.revert(UNIT)).toBe(0);
    expect(stateOf(machine)).toEqual(before);
    expect(eventsOf(machine).at(-1)).toBe(`start ${UNIT} as old`);
    expect(tokenOf(machine)).toBe('2');
    expect(machine.files('var/confirm')).toEqual([`${UNIT}/reverted`]);
    const [found] = (await machine.observe()).confirmations ?? [];
    expect(found).toMatchObject({ state: 'reverted', token: 2, why: 'reboot' });
  });

  it('is stopped and removed after a first start, and its decision cannot be repeated by an older one', async () => {
    const machine = await createLocalMachine({ shell });
    await leave(machine, launch());
    expect(await machine.revert(UNIT)).toBe(0);
    expect(machine.text('etc', UNIT)).toBeUndefined();
    expect(machine.files('var/units')).toEqual([]);
    expect(tokenOf(machine)).toBe('2');
    expect(eventsOf(machine).at(-1)).toBe(`stopped ${UNIT}`);
    expect(codeOf(await machine.change([changes.launch(UNIT, OLD, 1)]))).toBe('stale');
  });

  it('is reverted at once if it does not come up', async () => {
    const machine = await withOld({ shell });
    const [outcome] = await machine.change([restart(FALLEN)], { onNewLogin: gone });
    expect(outcome?.failure).toMatchObject({
      code: 'unconfirmed',
      reverted: 'failed',
      windowMs: WINDOW_MS,
      cause: { code: 'not-up' },
    });
    expect([machine.text('etc', UNIT), eventsOf(machine).at(-1)]).toEqual([OLD, `start ${UNIT} as old`]);
    expect((await machine.observe()).confirmations).toMatchObject([{ state: 'reverted', why: 'failed' }]);
  });

  it('is not confirmed after its deadline, although its revert has not begun yet', async () => {
    const machine = await withOld({ shell });
    let logins = 0;
    const late = async (): Promise<void> => {
      if (logins++ > 0) return void (await machine.revert(UNIT));
      const file = `var/confirm/${UNIT}/armed`;
      machine.write(file, (machine.text(file) ?? '').replace(/^deadline=.*$/m, 'deadline=1'));
    };
    const [outcome] = await machine.change([restart()], { onNewLogin: late });
    expect(outcome?.failure).toMatchObject({ code: 'unconfirmed', reverted: 'timeout' });
    expect(machine.text('etc', UNIT)).toBe(OLD);
  });

  it('reports that its machine has rebooted, although the operator was there all the time', async () => {
    const machine = await withOld({ shell });
    const reboot = async (): Promise<void> => void (await machine.revert(UNIT));
    const [outcome] = await machine.change([restart()], { onNewLogin: reboot });
    expect(outcome?.failure).toEqual({
      code: 'unconfirmed',
      windowMs: WINDOW_MS,
      cause: undefined,
      reverted: 'reboot',
    });
  });

  it('is not confirmed before its unit is healthy, and is reverted if it is not', async () => {
    const machine = await withOld({ shell });
    const change = restart();
    const health = { unit: UNIT, forMs: 0, command: 'exit 3', withinMs: 100 };
    const steps = change.steps.map((step) => (step.kind === 'arm' ? { ...step, health } : step));
    const [outcome] = await machine.change([{ ...change, steps }]);
    expect(outcome?.failure).toMatchObject({
      code: 'unconfirmed',
      reverted: 'failed',
      cause: { code: 'unhealthy' },
    });
    expect(machine.text('etc', UNIT)).toBe(OLD);
  });

  it('is armed although an earlier revert has failed', async () => {
    const machine = await withOld({ shell });
    machine.tell('failed-revert');
    expect(codeOf(await machine.change([restart()]))).toBeUndefined();
    expect(machine.calls('reset-failed').join()).toContain(`fleet-confirm@${UNIT}.service`);
  });

  it('is not made if its revert cannot be armed', async () => {
    const machine = await withOld({ shell });
    const before = stateOf(machine);
    machine.tell('no-timers');
    expect((await machine.change([restart()], { onNewLogin: gone }))[0]?.failure).toMatchObject({
      code: 'step',
      step: 'arm',
      detail: expect.stringContaining('Connection timed out'),
    });
    expect(stateOf(machine)).toEqual(before);
    expect(machine.files('var/confirm')).toEqual([]);
  });
});

describe('a change to confirm', () => {
  it('is armed before anything is changed, for exactly its window', async () => {
    const machine = await withOld();
    await leave(machine, restart());
    const calls = machine.calls();
    const timer = calls.findIndex((call) => call.startsWith('systemd-run'));
    expect(calls[timer]).toMatch(
      /--unit=fleet-confirm@web@1\.service\.service --on-active=30000ms --on-startup=\d+ms .*AccuracySec=100ms/,
    );
    // The stub of systemd was started 1 s after the kernel.
    const startupMs = Number(/--on-startup=(\d+)ms/.exec(calls[timer] ?? '')?.[1]);
    const deadline = Number(/^deadline=(\d+)$/m.exec(machine.text('var/confirm', UNIT, 'armed') ?? '')?.[1]);
    expect(Math.abs(startupMs + 1000 - deadline * 10)).toBeLessThan(5000);
    expect(timer).toBeLessThan(calls.findIndex((call) => call.startsWith('stop --no-block')));
    expect(machine.text('etc/sysinit.target.wants', `fleet-confirm@${UNIT}.service`)).toContain(
      '/confirm/%i/revert\n',
    );
    const [found] = (await machine.observe()).confirmations ?? [];
    expect(found).toMatchObject({
      unit: UNIT,
      state: 'armed',
      token: 2,
      hash: sha1(NEW),
      windowMs: WINDOW_MS,
    });
  });

  it('stops with its own text when it is reverted', async () => {
    const machine = await withOld();
    await leave(machine, restart());
    await machine.revert(UNIT);
    expect(eventsOf(machine).slice(-3)).toEqual([
      `stop ${UNIT} as new beside new`,
      `stopped ${UNIT}`,
      `start ${UNIT} as old`,
    ]);
  });

  it('of another process that carries out the same decision is neither reverted nor judged', async () => {
    const machine = await withOld();
    await leave(machine, restart());
    const state = stateOf(machine);
    const [outcome] = await machine.change([restart()], { onNewLogin: gone });
    expect(outcome?.failure).toMatchObject({ code: 'awaits-confirmation' });
    expect(stateOf(machine)).toEqual(state);
    expect((await machine.observe()).confirmations).toMatchObject([{ state: 'armed' }]);
  });

  it('excludes any other change until it is confirmed or reverted', async () => {
    const machine = await withOld();
    await leave(machine, restart());
    const state = stateOf(machine);
    for (const other of [
      changes.restart(UNIT, OLD, 3),
      changes.remove(UNIT, 3),
      armed(changes.launch(UNIT, NEW, 3), NEW),
    ]) {
      const [outcome] = await machine.change([other]);
      expect(outcome?.failure).toMatchObject({ code: 'awaits-confirmation' });
      const leftMs = outcome?.failure?.code === 'awaits-confirmation' ? outcome.failure.leftMs : 0;
      expect(leftMs).toBeGreaterThan(WINDOW_MS - 20_000);
    }
    expect(stateOf(machine)).toEqual(state);
    await machine.revert(UNIT);
    expect(codeOf(await machine.change([changes.restart(UNIT, NEW, 3)]))).toBeUndefined();
    expect(machine.files('var/confirm')).toEqual([]);
  });

  it('is not confirmed after its revert has begun, nor by another decision', async () => {
    const machine = await withOld();
    const begin = (): void => machine.write(`var/confirm/${UNIT}/begun`, 'timeout\n');
    let logins = 0;
    const revertLater = async (): Promise<void> => {
      if (logins++ === 0) begin();
      else await machine.revert(UNIT);
    };
    expect((await machine.change([restart()], { onNewLogin: revertLater }))[0]?.failure).toMatchObject({
      code: 'unconfirmed',
      reverted: 'timeout',
    });
    expect(logins).toBe(2);
    expect((await machine.observe()).confirmations).toMatchObject([{ state: 'reverted', why: 'timeout' }]);
  });

  it('is confirmed although its own session was lost, if the unit is up', async () => {
    const machine = await withOld();
    const { session } = machine.connect({ rewrite: (script) => script.replace(/^leave$/m, 'kill -KILL $$') });
    const [outcome] = await session.change([restart()], '5f0c6c1e-0000-4000-8000-000000000001');
    session.close();
    expect(outcome?.failure).toBeUndefined();
    expect([machine.text('etc', UNIT), machine.files('var/confirm')]).toEqual([NEW, []]);
  });

  it('is confirmed when the machine can be reached again', async () => {
    const machine = await withOld();
    let logins = 0;
    const later = (): void => {
      if (logins++ < 2) throw new FleetError('ssh-refused', 'Cannot reach machine "web-1"');
    };
    expect(codeOf(await machine.change([restart()], { onNewLogin: later }))).toBeUndefined();
    expect([logins, machine.files('var/confirm')]).toEqual([3, []]);
  });
});

describe('a revert', () => {
  it('kills a text that does not stop', async () => {
    const machine = await withOld();
    await leave(machine, restart(unitText('stuck', 'ExecStart=/bin/sleep 1000', 'ExecStop=never')));
    await machine.revert(UNIT);
    expect(machine.calls('kill')).toEqual([`kill --kill-who=all --signal=KILL -- ${UNIT}`]);
    expect(eventsOf(machine).at(-1)).toBe(`start ${UNIT} as old`);
  });

  it('is carried out although nothing can be written', async () => {
    const machine = await withOld();
    await leave(machine, restart());
    // The drafts of "begun" and "reverted".
    const draft = machine.path('var/confirm', UNIT, '.draft');
    mkdirSync(draft);
    const over = machine.revert(UNIT);
    await expect.poll(() => eventsOf(machine).at(-1), { timeout: 10_000 }).toBe(`start ${UNIT} as old`);
    rmdirSync(draft);
    expect(await over).toBe(0);
    expect((await machine.observe()).confirmations).toMatchObject([{ state: 'reverted', why: 'reboot' }]);
  });

  it('waits for the lock of the machine', async () => {
    const machine = await withOld();
    await leave(machine, restart());
    const holder = spawn('flock', [machine.path('run/lock'), 'sleep', '1'], { stdio: 'ignore' });
    await new Promise((resolve) => setTimeout(resolve, 300));
    const over = machine.revert(UNIT);
    await once(holder, 'exit');
    expect(machine.text('etc', UNIT)).toBe(NEW);
    expect(await over).toBe(0);
  });

  it('is complete on the disk before the change begins, and disarmed there before anything else of it is removed', async () => {
    const machine = await withOld();
    await machine.change([restart()]);
    const [first, ...later] = syncsOf(machine).filter((each) =>
      /^(?!\.fleet-).*(links|armed|^web)/.test(each),
    );
    const [files = '', state] = first?.split(' | ') ?? [];
    expect(state).toBe('old');
    expect(files.split(' ').toSorted()).toEqual(
      [
        ...['.', '.armed', 'confirm', 'file', 'links', 'launched', 'record', 'revert', 'room'],
        ...[`fleet-confirm@${UNIT}.service`, 'sysinit.target.wants', UNIT],
      ].toSorted(),
    );
    expect(later).toEqual([`${UNIT} | armed | old`, UNIT]);
  });

  it('is disarmed when the old text is on the disk, and not before', async () => {
    const machine = await withOld();
    await leave(machine, restart());
    const before = syncsOf(machine).length;
    await machine.revert(UNIT);
    expect(syncsOf(machine).slice(before)).toEqual([`${UNIT} | armed`, 'all | armed | old', `${UNIT} | old`]);
  });

  it('has space for its notes', async () => {
    const machine = await withOld();
    await leave(machine, restart());
    expect(machine.text('var/confirm', UNIT, 'room')).toHaveLength(65_536);
  });

  it('does not lose its service before its end, which would then time out', async () => {
    const machine = await withOld();
    await leave(machine, restart());
    machine.tell('note-files', `fleet-confirm@${UNIT}.service`);
    await machine.revert(UNIT);
    expect(machine.calls('daemon-reload').at(-1)).toBe('daemon-reload with the file');
    expect(machine.files('etc').filter((file) => file.includes('confirm'))).toEqual([]);
  });

  it('gives its deadline as the reason if that is over', async () => {
    const machine = await withOld();
    await leave(machine, restart());
    const file = `var/confirm/${UNIT}/armed`;
    machine.write(file, (machine.text(file) ?? '').replace(/^deadline=.*$/m, 'deadline=1'));
    expect(machine.text(file)).toContain(`boot=${BOOT_ID}`);
    await machine.revert(UNIT);
    expect((await machine.observe()).confirmations).toMatchObject([{ why: 'timeout' }]);
  });

  it('starts the units again that were stopped with it', async () => {
    const machine = await withOld();
    await machine.change([changes.launch('other.service', OLD, 1)]);
    await leave(machine, restart());
    machine.tell('tied', 'other.service\n');
    await machine.revert(UNIT);
    expect(eventsOf(machine).slice(-2)).toEqual([`start ${UNIT} as old`, 'start other.service as old']);
  });

  it('that is overdue is started by the next change', async () => {
    const machine = await withOld();
    await leave(machine, restart());
    const file = `var/confirm/${UNIT}/armed`;
    machine.write(file, (machine.text(file) ?? '').replace(/^deadline=.*$/m, 'deadline=1'));
    expect(codeOf(await machine.change([changes.note(UNIT, OLD, 3)]))).toBe('awaits-confirmation');
    await expect.poll(() => machine.files('var/confirm'), { timeout: 5000 }).toEqual([`${UNIT}/reverted`]);
    expect(machine.text('etc', UNIT)).toBe(OLD);
  });
});

describe('a machine on which a script is killed before any command', () => {
  it.each<[string, UnitChange, () => Promise<LocalMachine>]>([
    ['a new text', restart(), withOld],
    ['a first start', launch(), withAnother],
  ])('has the old text in the end, wherever the change was killed: %s', async (_name, change, create) => {
    const machine = await create();
    const before = stateOf(machine);
    const states = await machine.snapshots((snapshots) => leave(machine, change, { snapshots }));
    expect(states.length).toBeGreaterThan(10);
    for (const state of states) {
      machine.restore(state);
      const isArmed = machine.text('var/confirm', UNIT, 'armed') !== undefined;
      const status = await machine.revert(UNIT);
      if (isArmed) expect([state, status]).toEqual([state, 0]);
      expect([state, await cleanStateOf(machine)]).toEqual([state, before]);
    }
  });

  it('has the old text in the end, wherever the revert was killed', async () => {
    const machine = await withOld();
    const before = stateOf(machine);
    await leave(machine, restart(unitText('new', '[Install]\nAlias=other.service\nWantedBy=some.target')));
    const states = await machine.snapshots((snapshots) => machine.revert(UNIT, { snapshots }));
    expect(states.length).toBeGreaterThan(15);
    for (const state of states) {
      machine.restore(state);
      // At the very end, nothing is left that would start it again.
      expect([0, undefined]).toContain(await machine.revert(UNIT));
      expect([state, await cleanStateOf(machine)]).toEqual([state, before]);
      expect([state, machine.files('var/confirm')]).toContainEqual(
        expect.arrayContaining([`${UNIT}/reverted`]),
      );
    }
  });

  it('has the new text or the old one, wherever the confirmation was killed', async () => {
    const machine = await withOld();
    const before = stateOf(machine);
    const states = await machine.snapshots((snapshotsOfConfirmation) =>
      machine.change([restart()], { snapshotsOfConfirmation }),
    );
    const after = stateOf(machine);
    expect(states.length).toBeGreaterThan(7);
    const ends = new Set<string>();
    for (const state of states) {
      machine.restore(state);
      await machine.revert(UNIT);
      const isNew = machine.text('etc', UNIT) === NEW;
      ends.add(isNew ? 'new' : 'old');
      expect([state, await cleanStateOf(machine)]).toEqual([state, isNew ? after : before]);
    }
    expect([...ends].toSorted()).toEqual(['new', 'old']);
  });
});

async function withAnother(): Promise<LocalMachine> {
  const machine = await createLocalMachine();
  await machine.change([changes.launch('keep.service', OLD, 1)]);
  return machine;
}

/** The state after the next change of another unit, which removes the files that a script has left when it was killed. */
async function cleanStateOf(machine: LocalMachine): Promise<unknown> {
  if (machine.files('etc').some((file) => /^\.fleet-|^fleet-confirm@/.test(file)))
    await machine.change([changes.remove('other.service', 9)]);
  return stateOf(machine);
}
