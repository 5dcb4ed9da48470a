import { existsSync, readlinkSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { UnitChange } from '../../src/plan/step.ts';
import { observeQuery } from '../../src/systemd/observation.ts';
import { CLUSTER, createLocalMachine, type LocalMachine, MACHINE_ID } from '../support/local-machine.ts';
import { SHELLS } from '../support/local-shell.ts';
import { changes, recordOf, unitText } from './changes.ts';
import { pass } from './pass.ts';

const WEB = 'web.service';
const OLD = unitText('old', 'ExecStart=/bin/sleep 1000', 'ExecStop=three-looks');
const NEW = unitText('new');

/** What stands in `etc` beside unit files once something starts at boot. */
const BOOT = ['fleet.target', 'multi-user.target.wants/fleet.target'];

describe.each(SHELLS)('a machine with %s', (shell) => {
  const create = (): Promise<LocalMachine> => createLocalMachine({ shell, setup: 'export LC_ALL=C.UTF-8' });

  it('that is empty says what it is, and is left as it was', async () => {
    const machine = await create();
    const observation = await machine.observe([WEB]);
    expect(observation).toMatchObject({ id: MACHINE_ID, cluster: undefined });
    expect(observation.bootId).toMatch(/^[0-9a-f-]{36}$/);
    expect(observation.uptimeSeconds).toBeGreaterThan(0);
    expect(observation.units).toEqual([]);
    expect([machine.files('etc'), machine.text('var/cluster')]).toEqual([[], undefined]);
  });

  it('sends no request to systemd when none is needed', async () => {
    const machine = await create();
    expect((await machine.observe()).units).toEqual([]);
    expect(machine.calls()).toEqual([]);
  });

  it('says how busy it is when it is asked', async () => {
    const query = observeQuery({ names: [], digests: false, vitals: true });
    const { vitals } = await (await create()).ask(query);
    expect(vitals).toEqual({
      systemd: '252',
      loadAverage: [expect.any(Number), expect.any(Number), expect.any(Number)],
      memory: { totalBytes: expect.any(Number), availableBytes: expect.any(Number) },
    });
    expect(vitals?.memory?.availableBytes).toBeLessThan(vitals?.memory?.totalBytes ?? 0);
  });

  it('gets a unit: file, record, start now and at boot, one daemon-reload', async () => {
    const machine = await create();
    const [outcome] = await machine.change([changes.launch(WEB, OLD, 7)]);
    expect(outcome).toMatchObject({
      unit: WEB,
      machine: 'web-1',
      state: { active: 'active' },
      failure: undefined,
    });
    expect(machine.text('etc', WEB)).toBe(OLD);
    expect(machine.files('etc')).toEqual([
      ...BOOT.slice(0, 1),
      `fleet.target.wants/${WEB}`,
      ...BOOT.slice(1),
      WEB,
    ]);
    expect(readlinkSync(machine.path('etc/fleet.target.wants', WEB))).toBe(`../${WEB}`);
    expect(readlinkSync(machine.path('etc/multi-user.target.wants/fleet.target'))).toBe('../fleet.target');
    expect(machine.text('var/cluster')).toBe(`${CLUSTER}\n`);
    expect(machine.calls('daemon-reload')).toHaveLength(1);
    const { cluster, units } = await machine.observe();
    expect(cluster).toBe(CLUSTER);
    const record = recordOf(WEB, OLD, 7, 'launched');
    expect(units).toMatchObject([{ name: WEB, record, digest: record.digest, state: { active: 'active' } }]);
  });

  it('loads a unit without starting it, now or at boot', async () => {
    const machine = await create();
    await machine.change([changes.load(WEB, OLD, 1)]);
    expect([machine.files('etc'), machine.events()]).toEqual([[WEB], []]);
    expect((await machine.observe()).units[0]?.record?.target).toBe('loaded');
  });

  it('stops a unit, waits for it, and does not start it at boot any more', async () => {
    const machine = await create();
    await machine.change([changes.launch(WEB, OLD, 1)]);
    const [outcome] = await machine.change([changes.stop(WEB, OLD, 2)]);
    expect(outcome).toMatchObject({ state: { active: 'inactive' }, failure: undefined });
    expect(machine.files('etc')).toEqual([...BOOT, WEB]);
    expect((await machine.observe()).units[0]?.record).toEqual(recordOf(WEB, OLD, 2, 'loaded'));
  });

  it('restarts a unit with another text: the old text stops, the new one starts', async () => {
    const machine = await create();
    await machine.change([changes.launch(WEB, OLD, 1)]);
    const [outcome] = await machine.change([changes.restart(WEB, NEW, 2)]);
    expect(outcome?.failure).toBeUndefined();
    expect(machine.text('etc', WEB)).toBe(NEW);
    expect(machine.events().slice(1)).toEqual([
      `stop ${WEB} as old beside old`,
      `stopped ${WEB}`,
      `start ${WEB} as new`,
    ]);
  });

  it('gets its text also where another process has started it since it was looked at', async () => {
    const machine = await create();
    await machine.change([changes.launch(WEB, OLD, 5)]);
    const [outcome] = await machine.change([changes.launch(WEB, NEW, 6)]);
    expect(outcome?.failure).toBeUndefined();
    expect(machine.text('etc', WEB)).toBe(NEW);
    const events = machine.events().slice(-3);
    expect(events[0]).toMatch(/^stop web.service as old/);
    expect(events.at(-1)).toMatch(/^start(ed)? web.service/);
    // The same decision again is carried out already.
    const before = machine.events().length;
    await machine.change([changes.launch(WEB, NEW, 6)]);
    expect(
      machine
        .events()
        .slice(before)
        .filter((event) => event.startsWith('stop')),
    ).toEqual([]);
  });

  it('removes a unit after it has stopped, and keeps nothing but the token', async () => {
    const machine = await create();
    await machine.change([changes.launch(WEB, OLD, 1)]);
    const [outcome] = await machine.change([changes.remove(WEB, 2)]);
    expect(outcome).toMatchObject({ unit: WEB, state: undefined, failure: undefined });
    expect(machine.events().slice(1)).toEqual([`stop ${WEB} as old beside old`, `stopped ${WEB}`]);
    expect(machine.files('etc')).toEqual(BOOT);
    expect(machine.files('var')).toEqual(['cluster', `removed/${WEB}`]);
    expect(machine.text('var/removed', WEB)).toBe('token=2\n');
    expect((await machine.observe([WEB])).units).toEqual([]);
  });

  it('takes a unit again that was removed', async () => {
    const machine = await create();
    for (const change of [changes.launch(WEB, OLD, 1), changes.remove(WEB, 2), changes.launch(WEB, NEW, 3)]) {
      expect((await machine.change([change]))[0]?.failure).toBeUndefined();
    }
    expect(machine.files('var')).toEqual(['cluster', `removed/${WEB}`, `units/${WEB}`]);
  });

  it('keeps what failed apart from what did not', async () => {
    const machine = await create();
    machine.tell('journal/bad.service', 'größer 🚢\n\nlast\n');
    const outcomes = await machine.change([
      changes.launch('bad.service', unitText('bad', 'ExecStart=/bin/false'), 1),
      changes.launch('good.service', NEW, 1),
      changes.launch('none.service', unitText('none', 'ExecStart=/nonexistent'), 1),
      changes.launch('once.service', unitText('once', 'Type=oneshot'), 1),
    ]);
    expect(outcomes.map(({ failure }) => failure?.code)).toEqual(['not-up', undefined, 'not-up', undefined]);
    expect(outcomes[0]?.failure).toMatchObject({
      state: { active: 'failed' },
      journal: ['größer 🚢', 'last'],
    });
    expect(outcomes[2]?.failure).toMatchObject({
      detail: 'Failed to start none.service: Unit none.service has a bad unit file setting.',
      journal: [],
    });
  });
});

describe('a change', () => {
  it('reloads once for any number of units', async () => {
    const machine = await createLocalMachine();
    await machine.change([changes.launch('a.service', OLD, 1), changes.load('b.service', OLD, 1)]);
    expect(machine.calls('daemon-reload')).toHaveLength(1);
    await machine.change([
      changes.restart('a.service', NEW, 2),
      changes.remove('b.service', 2),
      changes.launch('c.service', NEW, 2),
    ]);
    expect(machine.calls('daemon-reload')).toHaveLength(2);
  });

  it('takes as many processes for twelve units as for four', async () => {
    const processes = async (count: number): Promise<readonly number[]> => {
      const machine = await createLocalMachine();
      const names = Array.from({ length: count }, (_, index) => `web@${index}.service`);
      const passes = [
        names.map((name) => changes.launch(name, OLD, 1)),
        names.map((name) => changes.stop(name, OLD, 2)),
        names.map((name) => changes.start(name, OLD, 3)),
        names.map((name) => changes.remove(name, 4)),
      ];
      const counts: number[] = [];
      for (const all of passes) {
        const outcomes = await machine.change(all, { killAt: Number.MAX_SAFE_INTEGER });
        expect(outcomes.filter(({ failure }) => failure !== undefined)).toEqual([]);
        counts.push((machine.text('stub/processes') ?? '').split('\n').length - 1);
        machine.forget('processes');
      }
      return counts;
    };
    const [few, many] = [await processes(4), await processes(12)];
    for (const [index, count] of many.entries()) expect([index, count]).toEqual([index, few[index]]);
  });

  it('keeps the tokens of many removed units on a full disk', async () => {
    const machine = await createLocalMachine();
    const names = ['a.service', 'b.service', 'c.service'];
    await machine.change(names.map((name) => changes.launch(name, OLD, 1)));
    const [spare, full] = ['save "$L/tmp/$$/$1"', '{ : >"$L/tmp/$$/$1"; false; } && save "$L/tmp/$$/$1"'];
    const rewrite = (script: string): string => script.replace(spare, () => full);
    const outcomes = await machine.change(
      names.map((name) => changes.remove(name, 2)),
      { rewrite },
    );
    expect(outcomes.map(({ failure }) => failure)).toEqual([undefined, undefined, undefined]);
    for (const name of names) expect(machine.text('var/removed', name)).toBe('token=2\n');
    expect(machine.files('var/tmp')).toEqual([]);
  });

  it('does not wait for a stop that takes no time', async () => {
    const machine = await createLocalMachine();
    await machine.change([changes.launch(WEB, NEW, 1)]);
    await machine.change([changes.stop(WEB, NEW, 2)]);
    expect(machine.calls('list-jobs')).toEqual([]);
    await machine.change([changes.start(WEB, NEW, 3)]);
    await machine.change([changes.remove(WEB, 4)]);
    expect(machine.calls('list-jobs')).toEqual([]);
  });

  it('reloads nothing when no file changed', async () => {
    const machine = await createLocalMachine();
    await machine.change([changes.launch(WEB, OLD, 1)]);
    await machine.change([changes.stop(WEB, OLD, 2)]);
    await machine.change([changes.start(WEB, OLD, 3)]);
    await machine.change([changes.note(WEB, OLD, 4)]);
    expect(machine.calls('daemon-reload')).toHaveLength(1);
    expect(machine.events().filter((event) => event.startsWith('start'))).toHaveLength(2);
  });

  it('starts nothing by an old text when systemd cannot reload, and the next pass makes up for it', async () => {
    const machine = await createLocalMachine();
    await machine.change([changes.launch(WEB, OLD, 1)]);
    machine.tell('refuse-reload');
    const failed = await machine.change([changes.restart(WEB, NEW, 2), changes.launch('b.service', NEW, 2)]);
    const failure = { code: 'step', step: 'reload', detail: 'Failed to reload daemon: Connection timed out' };
    expect(failed.map((outcome) => outcome.failure)).toEqual([failure, failure]);
    expect(machine.events().at(-1)).toBe(`stopped ${WEB}`);
    machine.forget('refuse-reload');
    const [outcome] = await machine.change([changes.start(WEB, NEW, 2)]);
    expect(outcome?.failure).toBeUndefined();
    expect(machine.events().at(-1)).toBe(`start ${WEB} as new`);
  });

  it('has earlier starts forgotten before each start, or its start limit would count them', async () => {
    const machine = await createLocalMachine();
    await machine.change([changes.launch(WEB, NEW, 1)]);
    await machine.change([changes.stop(WEB, NEW, 2)]);
    await machine.change([changes.start(WEB, NEW, 3)]);
    expect(machine.calls('reset-failed')).toEqual([`reset-failed -- ${WEB}`, `reset-failed -- ${WEB}`]);
  });

  it('continues when systemd re-executes itself during it', async () => {
    const machine = await createLocalMachine();
    await machine.change([changes.launch(WEB, OLD, 1), changes.launch('b.service', OLD, 1)]);
    machine.tell('reexec');
    const outcomes = await machine.change([changes.remove(WEB, 2), changes.restart('b.service', NEW, 2)]);
    expect(outcomes.map(({ failure }) => failure)).toEqual([undefined, undefined]);
    expect(machine.events().filter((event) => event.startsWith('stopped'))).toHaveLength(2);
  });

  it('removes the upholders of a unit before it stops it, and the empty folder', async () => {
    const machine = await createLocalMachine();
    const upheld = `${NEW}[Install]\nUpheldBy=app.target\n`;
    const launched = { name: WEB, text: upheld, target: 'launched', token: 1 } as const;
    await pass(machine, [launched]);
    expect(machine.files('etc')).toContain(`app.target.upholds/${WEB}`);
    const [stopped] = await pass(machine, [{ ...launched, target: 'loaded', token: 2 }]);
    expect([stopped?.failure, stopped?.state?.active]).toEqual([undefined, 'inactive']);
    expect(existsSync(machine.path('etc/app.target.upholds'))).toBe(false);
    await pass(machine, [{ ...launched, token: 3 }]);
    const [replaced] = await pass(machine, [{ ...launched, text: `${upheld}# new\n`, token: 4 }]);
    expect([replaced?.failure, machine.files('etc')]).toEqual([
      undefined,
      expect.arrayContaining([`app.target.upholds/${WEB}`]),
    ]);
    const [gone] = await pass(machine, [{ ...launched, target: 'inactive', token: 5 }]);
    expect([gone?.failure, machine.events().filter((event) => event.startsWith('again'))]).toEqual([
      undefined,
      [],
    ]);
  });

  it('of a unit that something else starts again changes nothing, and names it', async () => {
    const machine = await createLocalMachine();
    await machine.change([changes.launch(WEB, OLD, 1), changes.launch('app.target', NEW, 1)]);
    machine.tell('upheld', `${WEB}\n`);
    const [outcome] = await machine.change([changes.remove(WEB, 2)]);
    expect(outcome?.failure).toMatchObject({
      code: 'not-down',
      again: true,
      causes: [{ relation: 'UpheldBy', unit: 'app.target' }],
    });
    expect([machine.text('etc', WEB), machine.text('var/units', WEB)]).toEqual([OLD, expect.anything()]);
  });

  it('of a unit that something else starts again is a restart where it gets a new text', async () => {
    const machine = await createLocalMachine();
    await machine.change([changes.launch(WEB, OLD, 1), changes.launch('app.target', NEW, 1)]);
    machine.tell('upheld', `${WEB}\n`);
    const [outcome] = await machine.change([changes.restart(WEB, NEW, 2)]);
    expect([outcome?.failure, outcome?.state?.active]).toEqual([undefined, 'active']);
    expect(machine.text('etc', WEB)).toBe(NEW);
    expect(machine.calls('restart')).toEqual([`restart --no-block -- ${WEB}`]);
  });

  it('installs a new text of a unit that runs without a stop when none is asked for', async () => {
    const machine = await createLocalMachine();
    await machine.change([changes.launch(WEB, NEW, 1)]);
    const [outcome] = await machine.change([changes.load(WEB, OLD, 2)]);
    expect([outcome?.failure, outcome?.state?.active]).toEqual([undefined, 'active']);
    expect([machine.text('etc', WEB), machine.calls('daemon-reload').length]).toEqual([OLD, 2]);
    expect(machine.calls('stop')).toEqual([]);
  });

  it('watches a unit that another one has started, and touches nothing', async () => {
    const machine = await createLocalMachine();
    await machine.change([changes.launch(WEB, NEW, 1)]);
    const watch: UnitChange = { unit: WEB, token: 1, steps: [{ kind: 'watch' }], obstacle: undefined };
    expect((await machine.change([watch]))[0]?.failure).toBeUndefined();
    await machine.change([changes.stop(WEB, NEW, 2)]);
    expect((await machine.change([{ ...watch, token: 2 }]))[0]?.failure).toMatchObject({ code: 'not-up' });
    expect(machine.events()).toHaveLength(3);
  });

  it('stops and starts a unit whose text stays', async () => {
    const machine = await createLocalMachine();
    await machine.change([changes.launch(WEB, NEW, 1)]);
    const again: UnitChange = {
      unit: WEB,
      token: 1,
      steps: [{ kind: 'stop' }, { kind: 'start' }],
      obstacle: undefined,
    };
    expect((await machine.change([again]))[0]?.failure).toBeUndefined();
    expect(machine.events().slice(-2)).toEqual([`stopped ${WEB}`, `start ${WEB} as new`]);
  });

  it('of a template installs its file, and stops the instances that fleet did not install', async () => {
    const machine = await createLocalMachine();
    const template = 'echo@.service';
    await machine.change([changes.load(template, NEW, 1), changes.launch('echo@own.service', NEW, 1)]);
    machine.tell('loaded/echo@7.service', NEW);
    machine.tell('active/echo@7.service', 'active=active sub=running result=success invocation=x looks=0');
    const [outcome] = await machine.change([changes.remove(template, 2)]);
    expect(outcome?.failure).toBeUndefined();
    expect(machine.calls('stop')).toEqual(['stop --no-block -- echo@7.service']);
    expect(machine.calls('show').filter((call) => call.includes(template))).toEqual([]);
    expect(machine.files('etc')).not.toContain(template);
  });

  it('of a unit that will not stop leaves its file, and says so', async () => {
    const machine = await createLocalMachine();
    const stubborn = unitText('stubborn', 'ExecStart=/bin/sleep 1000', 'ExecStop=never');
    await machine.change([changes.launch(WEB, stubborn, 1), changes.launch('b.service', OLD, 1)]);
    const outcomes = await machine.change([changes.remove(WEB, 2), changes.remove('b.service', 2)]);
    expect(outcomes.map(({ failure }) => failure)).toEqual([
      { code: 'not-down', state: 'active running', again: false, causes: [], detail: '', journal: [] },
      undefined,
    ]);
    expect(machine.text('etc', WEB)).toBe(stubborn);
    expect((await machine.observe()).units).toMatchObject([{ name: WEB, record: { token: 2 } }]);
  });

  it('that has an obstacle is reported and not sent', async () => {
    const machine = await createLocalMachine();
    const obstacle = { code: 'foreign', path: '/usr/lib/systemd/system/ssh.service' } as const;
    const change = { unit: 'ssh.service', token: 1, steps: [], obstacle };
    const alone = await machine.change([change]);
    expect(alone).toEqual([{ unit: 'ssh.service', machine: 'web-1', state: undefined, failure: obstacle }]);
    expect(machine.text('var/cluster')).toBeUndefined();
    const outcomes = await machine.change([change, changes.launch(WEB, NEW, 1)]);
    expect(outcomes.map(({ failure }) => failure)).toEqual([obstacle, undefined]);
  });

  it('runs in one process, that of a POSIX shell in the C locale', async () => {
    const machine = await createLocalMachine();
    const { session, shell } = machine.connect();
    await session.ask(observeQuery({ names: [WEB], digests: true }));
    await session.change([changes.launch(WEB, NEW, 1)], CLUSTER);
    await session.ask(observeQuery({ names: [], digests: false }));
    session.close();
    await shell.close();
    expect(shell.commands).toEqual([expect.stringMatching(/^exec \/bin\/sh -c 'exec env -i LC_ALL=C /)]);
  });

  it('leaves unit files that anybody can read, whatever the umask of the login shell', async () => {
    const machine = await createLocalMachine({ setup: 'umask 077' });
    await machine.change([changes.launch(WEB, NEW, 1)]);
    for (const file of [`etc/${WEB}`, 'etc/fleet.target'])
      expect([file, machine.mode(file)]).toEqual([file, 0o644]);
  });
});

describe('an observation', () => {
  it('detects a file that was edited, and one that was removed', async () => {
    const machine = await createLocalMachine();
    await machine.change([changes.load('a.service', OLD, 1), changes.load('b.service', OLD, 1)]);
    machine.write('etc/a.service', NEW);
    machine.remove('etc/b.service');
    const { units } = await machine.observe();
    expect(units.map(({ name, digest }) => [name, digest])).toEqual([
      ['a.service', recordOf('a.service', NEW, 1, 'loaded').digest],
      ['b.service', undefined],
    ]);
  });

  it('needs no newline at the end of /etc/machine-id', async () => {
    const machine = await createLocalMachine();
    machine.tell('machine-id', MACHINE_ID);
    expect((await machine.observe()).id).toBe(MACHINE_ID);
  });

  it('sees units whose names start with a dash', async () => {
    const machine = await createLocalMachine();
    const names = ['-.mount', '-odd.service'];
    await machine.change(names.map((name) => changes.load(name, OLD, 1)));
    const { units } = await machine.observe();
    expect(units.map(({ name, record, digest }) => [name, record?.unit, digest === record?.digest])).toEqual(
      names.map((name) => [name, name, true]),
    );
  });

  it('fails with the words of systemctl when it cannot reach systemd', async () => {
    const machine = await createLocalMachine();
    machine.tell('out-of-order');
    await expect(machine.observe([WEB])).rejects.toThrow(
      'Cannot use machine "web-1": systemctl show failed: "Failed to connect to bus: Connection refused"',
    );
  });
});
