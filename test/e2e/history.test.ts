import { expect, it } from 'vitest';
import { inside, onMachines } from '../support/cluster.ts';
import { done, failed, hire } from './operator.ts';
import { service } from './units.ts';

const OLD = service('ExecStart=/bin/sleep 111111');
const NEW = service('ExecStart=/bin/sleep 222222');
const BAD = service('ExecStart=/bin/sh -c "exit 7"');

onMachines('history and rollback', () => {
  const operator = hire();
  const running = (unit: string) =>
    inside('k1', `systemctl show --value --property=ExecMainPID,SubState ${unit}`);
  const textOn = (unit: string) => inside('k1', `cat /etc/systemd/system/${unit}`);

  it('puts right what a bad replace broke, and both are remembered', async () => {
    operator.write('web.service', OLD);
    await operator.fleetctl('start', 'web');
    operator.write('web.service', BAD);
    expect((await operator.fleetctl('start', 'web', '--replace')).status).toBe(1);

    expect(await operator.fleetctl('rollback', 'web')).toEqual(
      done('Unit web.service gets the text 9be842c\nUnit web.service launched on 00000000.../127.76.0.1'),
    );
    expect(await textOn('web.service')).toBe(OLD);
    expect(await running('web.service')).toContain('running');
    const { stdout } = await operator.fleetctl('history', 'web', '-o', 'json');
    const { history } = JSON.parse(stdout) as { history: { hash: string; by: string; current: boolean }[] };
    expect(history.map(({ current }) => current)).toEqual([true, false, false]);
    expect(history[0]?.hash).toBe(history[2]?.hash);
    expect(history[0]?.by).toMatch(/^root@/);
  });

  it('shows with -v how a file differs that is not taken', async () => {
    const outcome = await operator.fleetctl('load', 'web', '-v');
    expect(outcome.stderr).toContain(
      'hint: Add --replace to use the file\n--- registry:web.service\n+++ HERE/web.service\n',
    );
    expect(outcome.stderr).toContain('-ExecStart=/bin/sleep 111111\n+ExecStart=/bin/sh -c "exit 7"\n');
  });

  it('restarts nothing whose text is the same already', async () => {
    const before = await running('web.service');
    const { stdout } = await operator.fleetctl('history', 'web', '--no-legend', '--fields=hash,current');
    const [hash = ''] = stdout.split(' ');
    expect((await operator.fleetctl('rollback', 'web', '--to', hash)).status).toBe(0);
    expect(await running('web.service')).toBe(before);
  });

  it('only says with --dry-run what it would do', async () => {
    expect(await operator.fleetctl('rollback', 'web', '--dry-run')).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('k1: write the unit file of web.service'),
    });
    expect(await textOn('web.service')).toBe(OLD);
  });

  it('takes the instances of a template along', async () => {
    operator.write('app@.service', OLD);
    await operator.fleetctl('start', 'app@1');
    await operator.fleetctl('submit', 'app@.service');
    operator.write('app@.service', NEW);
    await operator.fleetctl('submit', 'app@.service', '--replace');
    expect((await operator.fleetctl('rollback', 'app@.service')).status).toBe(0);
    const { stdout } = await operator.fleetctl('cat', 'app@1');
    expect(stdout).toBe(OLD);
  });

  it('keeps the history of a unit that was destroyed, which cannot be rolled back', async () => {
    await operator.fleetctl('destroy', 'web');
    const { status, stdout } = await operator.fleetctl('history', 'web', '--no-legend', '--fields=current');
    expect({ status, stdout }).toEqual({ status: 0, stdout: '-\n-\n-\n' });
    expect(await operator.fleetctl('rollback', 'web')).toEqual(
      failed(
        4,
        `
        Error: Cannot roll back unit "web.service": it was destroyed
        hint: Submit it again: fleetctl submit web.service
        `,
      ),
    );
  });
});
