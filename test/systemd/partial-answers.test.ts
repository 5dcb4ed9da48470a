import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Observation } from '../../src/cluster/snapshot.ts';
import { observeQuery } from '../../src/systemd/observation.ts';
import { ShowCache } from '../../src/systemd/show-cache.ts';
import { createLocalMachine, type LocalMachine } from '../support/local-machine.ts';
import { SHELLS } from '../support/local-shell.ts';
import { changes, unitText } from './changes.ts';

const RUNS = unitText('runs', 'ExecStart=/bin/sleep 1000');
const NAMES = ['a.service', 'b.service', 'c.service', 'd.service'];

/** A machine on which these units run, and what systemd cannot show of them is read by it only afterwards. */
async function machineWith(shell: string, unshowable: readonly string[] = []): Promise<LocalMachine> {
  const machine = await createLocalMachine({ shell });
  await machine.change(NAMES.map((name) => changes.launch(name, RUNS, 1)));
  for (const name of unshowable) machine.tell(`loaded/${name}`, 'ExecStart=unshowable\n');
  return machine;
}

const states = ({ units }: Observation): readonly string[] =>
  units.map(({ name, state }) => `${name} ${state.active}`).toSorted();

const running = (unknown: readonly string[] = []): readonly string[] =>
  NAMES.map((name) => `${name} ${unknown.includes(name) ? 'unknown' : 'active'}`);

/** A command of a machine that is not what it was; returns the PATH with it. */
function broken(machine: LocalMachine, command: string, script: string): string {
  const folder = machine.path('broken');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, command), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, command), 0o755);
  return `PATH=${folder}:$PATH`;
}

const UNSHOWABLE: readonly (readonly [string, readonly string[]])[] = [
  ['in the middle', ['b.service']],
  ['first', ['a.service']],
  ['last', ['d.service']],
  ['first, and next to each other', ['a.service', 'b.service']],
  ['everything', NAMES],
];
const AWAY = [5, 1, 2, 9];

describe.each(SHELLS)('with %s', (shell) => {
  /** In the other shells, one case executes the same commands. */
  const some = shell === '/bin/sh' ? Number.POSITIVE_INFINITY : 1;

  it.each(UNSHOWABLE.slice(0, some))(
    'a unit that cannot be shown is unknown, and no other one: %s',
    async (_, unshowable) => {
      const machine = await machineWith(shell, unshowable);
      const observation = await machine.observe();
      expect(states(observation)).toEqual(running(unshowable));
      const unknown = observation.units.filter(({ name }) => unshowable.includes(name));
      for (const { record, digest, links, state } of unknown) {
        expect(record?.target).toBe('launched');
        expect([digest, links]).toEqual([record?.digest, [expect.stringContaining('fleet.target.wants/')]]);
        expect(state.loadError).toBe(
          'Failed to get properties: Invalid argument (systemctl is-active: active)',
        );
      }
    },
  );

  it.each(AWAY.slice(0, some))(
    'an answer is complete after a systemd that was away for %d calls',
    async (calls) => {
      const machine = await machineWith(shell);
      machine.tell('away', String(calls));
      expect(states(await machine.observe())).toEqual(running());
    },
  );

  it('a look that compares with what was shown is so, too', async () => {
    const machine = await machineWith(shell, ['b.service']);
    const { session, shell: login } = machine.connect();
    machine.tell('away', '3');
    const look = { names: [], digests: true, shown: new ShowCache() };
    expect(states(await session.ask(observeQuery(look)))).toEqual(running(['b.service']));
    machine.tell('loaded/b.service', RUNS);
    expect(states(await session.ask(observeQuery(look)))).toEqual(running());
    session.close();
    await login.close();
  });
});

describe('a machine', () => {
  it('with a template knows whether its file is there, and does not ask systemd', async () => {
    const machine = await machineWith('/bin/sh');
    machine.write(
      'var/units/echo@.service',
      'unit=echo@.service\ntoken=1\nhash=h\ndigest=d\ntarget=loaded\n',
    );
    const template = async (): Promise<unknown> =>
      (await machine.observe()).units.find(({ name }) => name === 'echo@.service');
    const state = { active: 'inactive', sub: 'dead' };
    expect(await template()).toMatchObject({ state: { ...state, load: 'not-found', fragment: '' } });
    machine.write('etc/echo@.service', RUNS);
    expect(await template()).toMatchObject({
      state: { ...state, load: 'loaded', fragment: machine.path('etc/echo@.service') },
      record: { target: 'loaded' },
      digest: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(machine.calls('show').join()).not.toContain('echo@.service');
  });

  it('has a clock where digests are asked for', async () => {
    const machine = await createLocalMachine();
    const { clock = 0 } = await machine.observe();
    expect(Math.abs(clock - Date.now())).toBeLessThan(5000);
    expect(clock % 1000).toBe(0);
  });

  it.each([
    ['systemctl says nothing and ends well', 'systemctl', 'exit 0', 'unknown'],
    ['systemctl shows no state', 'systemctl', 'echo Id=a.service', 'unknown'],
  ])('whose %s has units in an unknown state', async (_, command, script, active) => {
    const machine = await machineWith('/bin/sh');
    const { units } = await machine.observe(['e.service'], { setup: broken(machine, command, script) });
    expect(units.map(({ name, state }) => `${name} ${state.active}`).toSorted()).toEqual(
      NAMES.map((name) => `${name} ${active}`),
    );
  });

  it.each([
    ['records', 'cat', 'the records of fleet cannot be read'],
    ['unit files', 'sha256sum', 'the digests of its unit files cannot be read'],
    ['folder of records', 'ls', 'the records of fleet cannot be read'],
  ])('that cannot read its %s is not a machine without units', async (_, command, why) => {
    const machine = command === 'ls' ? await createLocalMachine() : await machineWith('/bin/sh');
    if (command === 'ls') mkdirSync(machine.path('var/units'), { recursive: true });
    const setup = broken(machine, command, 'echo "Input/output error" >&2; exit 1');
    await expect(machine.observe([], { setup })).rejects.toMatchObject({
      code: 'remote-script',
      message: `Cannot use machine "web-1": ${why}: "Input/output error"`,
    });
  });

  it('is asked for no colours; systemd 247 has two variables for them', async () => {
    const machine = await machineWith('/bin/sh');
    const setup = broken(machine, 'cat', 'echo "$SYSTEMD_COLORS$SYSTEMD_LOG_COLOR" >&2; exit 1');
    await expect(machine.observe([], { setup })).rejects.toThrow(': "00"');
  });

  it('from which a record is removed during the observation has the others', async () => {
    const machine = await machineWith('/bin/sh');
    const setup = broken(machine, 'cat', `rm -f "$STUB/../var/units/a.service"; exec /bin/cat "$@"`);
    const { units } = await machine.observe([], { setup });
    expect(units.filter(({ record }) => record !== undefined).map(({ name }) => name)).toEqual(
      NAMES.slice(1),
    );
  });

  it('of which a unit file is a folder has the digests of the others', async () => {
    const machine = await machineWith('/bin/sh');
    machine.remove('etc/a.service');
    mkdirSync(machine.path('etc/a.service'));
    const digests = (await machine.observe()).units.map(({ name, digest }) => [name, digest !== undefined]);
    expect(digests.toSorted()).toEqual(NAMES.map((name) => [name, name !== 'a.service']));
  });

  it('passes no variables of the login environment to its tools', async () => {
    const machine = await createLocalMachine();
    const seen = machine.path('seen');
    const path = broken(machine, 'sha256sum', `env >${seen}; exec /usr/bin/sha256sum "$@"`);
    await machine.change([changes.launch('a.service', RUNS, 1)]);
    const odd = 'POSIXLY_CORRECT=1 SYSTEMD_OFFLINE=1 SYSTEMD_UNIT_PATH=/x CDPATH=/usr QUOTING_STYLE=c';
    await machine.observe([], { setup: `${path}; export ${odd}` });
    expect(machine.text('seen')).not.toMatch(/POSIXLY|OFFLINE|UNIT_PATH|CDPATH|QUOTING/);
  });
});
