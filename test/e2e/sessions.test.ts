import { afterAll, beforeAll, expect, it } from 'vitest';
import { insideAll, onMachines } from '../support/cluster.ts';
import { hire } from './operator.ts';
import { SLEEPER, service } from './units.ts';

const MACHINES = ['k1', 'k2', 'k3'];

onMachines('the SSH server of each machine', () => {
  const operator = hire();

  // Only then does it tell of sessions, and not of connections alone.
  beforeAll(async () => {
    await insideAll(MACHINES, 'echo LogLevel VERBOSE >>/etc/ssh/sshd_config; systemctl reload sshd');
    operator.write('web@.service', SLEEPER);
    operator.write('agent.service', service('ExecStart=/bin/sleep 100000', 'Global=true'));
    operator.write('dies.service', service('ExecStart=/bin/false'));
  });
  afterAll(() => insideAll(MACHINES, "sed -i '/^LogLevel/d' /etc/ssh/sshd_config; systemctl reload sshd"));

  it.each([
    ['list-machines'],
    ['list-units'],
    ['list-unit-files'],
    ['load web@1 web@2 web@3 web@4 agent'],
    ['start web@1 web@2 web@3 web@4 agent'],
    ['start web@1 web@2 web@3 web@4 agent'],
    ['start dies'],
    ['stop web@1 agent'],
    ['unload web@1 agent'],
    ['destroy web@1 web@2 web@3 web@4 agent dies'],
  ])('sees one connection and one session for: %s', async (command) => {
    const before = await logins();
    await operator.fleetctl(...command.split(' '));
    expect(await logins()).toEqual(
      before.map(({ connections, sessions }) => ({ connections: connections + 1, sessions: sessions + 1 })),
    );
  });

  it.each([['cat web@.service'], ['destroy no-such-unit'], ['version'], ['help start']])(
    'sees nothing of: %s',
    async (command) => {
      const before = await logins();
      await operator.fleetctl(...command.split(' '));
      expect(await logins()).toEqual(before);
    },
  );
});

/** How often somebody has logged in on each machine so far, and how many sessions were started. */
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
