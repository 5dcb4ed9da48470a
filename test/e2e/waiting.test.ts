import { expect, it } from 'vitest';
import { onMachines, SUBNET, until } from '../support/cluster.ts';
import { createOperator, done, PROGRAM, SLEEPER, service } from './operator.ts';
import { hasTerminals, Terminal } from './terminal.ts';

const slow = (seconds: number): string =>
  service(`Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sleep ${seconds}`);

onMachines('a slow start', () => {
  const operator = createOperator({ machines: ['k1', 'k2'] });

  it.skipIf(!hasTerminals)(
    'shows the unit that it waits for on a terminal, and erases that line',
    async () => {
      operator.write('slow.service', slow(2));
      const terminal = new Terminal([PROGRAM, 'start', 'slow'], {
        cwd: operator.folder,
        env: { ...operator.environment, TERM: 'xterm' },
      });
      await terminal.shows(/Waiting for k1 to start slow\.service {2}\d+s\r\n/);
      expect(await terminal.ended).toEqual({ status: 0, restored: true });
      // One line up, to its beginning, and clear the rest: then the result follows.
      const last = terminal.screen.split('\x1b[1A\r\x1b[J').at(-1);
      expect(last).toMatch(/^Unit slow\.service launched on \S+\r\n$/);
      await operator.fleetctl('destroy', 'slow');
    },
  );

  it('prints one line about waiting in a log, and none with --quiet', async () => {
    operator.write('slow.service', slow(4));
    const wait = 'Waiting for k1 to start slow.service\n';
    expect((await operator.launch(['start', 'slow']).ended).stderr).toBe(wait);
    expect(await operator.launch(['destroy', '-q', 'slow']).ended).toMatchObject(done());
  });

  it('is not waited for with --no-block', async () => {
    operator.write('slow.service', slow(60));
    const triggered = done(`Triggered unit slow.service start on 00000000.../${SUBNET}.1`);
    expect(await operator.fleetctl('start', '--no-block', 'slow')).toEqual(triggered);
    await until('k1', 'systemctl is-active slow | grep -q activating');
    await operator.fleetctl('destroy', 'slow');
  });

  it('is waited for at most --timeout, and continues', async () => {
    operator.write('slow.service', slow(60));
    operator.write('quick.service', SLEEPER);
    const { status, stdout, stderr } = await operator.fleetctl('start', '--timeout=1s', 'quick', 'slow');
    expect({ status, stdout }).toEqual({
      status: 1,
      stdout: `Unit quick.service launched on 00000000.../${SUBNET}.1\n`,
    });
    expect(stderr).toContain('it is still starting: activating (start)\n');
    await until('k2', 'systemctl is-active slow | grep -q activating');
    await operator.fleetctl('destroy', 'slow', 'quick');
  });
});
