import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { IDENTITY_FILE, insideAll, MACHINES, onMachines } from '../support/cluster.ts';
import { createOperator, done, failed, PROGRAM, SLEEPER, service } from './operator.ts';
import { hasTerminals, Terminal } from './terminal.ts';

onMachines('the number of SSH connections and sessions', () => {
  const operator = createOperator();

  // At this log level sshd also logs sessions.
  beforeAll(async () => {
    await insideAll(MACHINES, 'echo LogLevel VERBOSE >>/etc/ssh/sshd_config; systemctl reload sshd');
    operator.write('web@.service', SLEEPER);
    operator.write('agent.service', service('ExecStart=/bin/sleep 100000', 'Global=true'));
    operator.write('dies.service', service('ExecStart=/bin/false'));
    operator.write('units/app@.service', service('ExecStart=/bin/sleep 100000', 'Instances=4'));
  });
  afterAll(() => insideAll(MACHINES, "sed -i '/^LogLevel/d' /etc/ssh/sshd_config; systemctl reload sshd"));

  it.each([
    ['list-machines'],
    ['list-units'],
    ['list-unit-files'],
    ['load web@1 web@2 web@3 web@4 agent'],
    ['start web@1 web@2 web@3 web@4 agent'],
    ['start web@1 web@2 web@3 web@4 agent'],
    ['stop web@1 agent'],
    ['unload web@1 agent'],
    ['destroy web@1 web@2 web@3 web@4 agent'],
    ['apply units --yes'],
    ['plan units'],
  ])('is one on each machine for: %s', async (command) => {
    const before = await logins();
    await operator.fleetctl(...command.split(' '));
    expect(await logins()).toEqual(
      before.map(({ connections, sessions }) => ({ connections: connections + 1, sessions: sessions + 1 })),
    );
  });

  it('is one on each machine for a start that fails, after which its text is held in a second session', async () => {
    const before = await logins();
    await operator.fleetctl('start', 'dies');
    expect(await logins()).toEqual(
      before.map(({ connections, sessions }) => ({ connections: connections + 1, sessions: sessions + 2 })),
    );
  });

  it.each([['cat web@.service'], ['destroy no-such-unit'], ['version'], ['help start']])(
    'is zero for: %s',
    async (command) => {
      const before = await logins();
      await operator.fleetctl(...command.split(' '));
      expect(await logins()).toEqual(before);
    },
  );
});

/** The number of connections and sessions of each machine so far. */
async function logins() {
  const logs = await insideAll(
    MACHINES,
    'journalctl --quiet --sync; journalctl --quiet --output=cat --unit=sshd',
  );
  return logs.map((log) => ({
    connections: log.match(/^Accepted publickey /gm)?.length ?? 0,
    sessions: log.match(/^Starting session: /gm)?.length ?? 0,
  }));
}

onMachines('transport = openssh', () => {
  const operator = createOperator({ ssh: { transport: 'openssh' } });

  it('behaves like the built-in client, and leaves no process', async () => {
    operator.write('web@.service', SLEEPER);
    expect(await operator.fleetctl('start', 'web@1', 'web@2')).toMatchObject({ status: 0 });
    expect((await operator.fleetctl('list-units', '--no-legend', '--fields=unit,sub')).stdout).toBe(
      'web@1.service  running\nweb@2.service  running\n',
    );
    expect(await operator.fleetctl('ssh', 'k1', 'echo out; echo err >&2; exit 7')).toEqual(
      failed(7, 'err\n', 'out\n'),
    );
    expect(await operator.fleetctl('destroy', 'web@1', 'web@2')).toEqual(
      done('Destroyed web@1.service\nDestroyed web@2.service\n'),
    );
    expect(String(spawnSync('pgrep', ['-f', `ssh .*${IDENTITY_FILE}`]).stdout)).toBe('');
  });

  it.skipIf(!hasTerminals)('hands the terminal to an interactive login', async () => {
    const terminal = new Terminal([PROGRAM, 'ssh', 'k1'], {
      cwd: operator.folder,
      env: { ...operator.environment, TERM: 'xterm-256color' },
    });
    terminal.type('echo "$TERM" at $(stty size) on $(hostname)\r');
    await terminal.shows(/xterm-256color at 40 100 on k1/);
    terminal.resize();
    terminal.type('sleep 0.3; echo now $(stty size)\r');
    await terminal.shows(/now 50 132/);
    terminal.type('exit 9\r');
    expect(await terminal.ended).toEqual({ status: 9, restored: true });
  });
});
