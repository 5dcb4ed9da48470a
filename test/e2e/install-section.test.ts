import { afterAll, expect, it } from 'vitest';
import { cluster, inside, onMachines, SUBNET } from '../support/cluster.ts';
import { createOperator, done, service } from './operator.ts';

const SLEEP = 'ExecStart=/bin/sleep 100000';

onMachines('a unit with an [Install] section', () => {
  const operator = createOperator({ machines: ['k1'] });
  const enabled = async (...names: readonly string[]): Promise<readonly string[]> =>
    (await inside('k1', `systemctl is-enabled ${names.join(' ')} 2>&1 || true`)).trim().split('\n');

  afterAll(() => operator.fleetctl('destroy', '*'));

  it('is enabled while it is launched, has its aliases, and is listed once', async () => {
    operator.write(
      'web.service',
      `${service(SLEEP)}[Install]\nWantedBy=multi-user.target\nAlias=www.service\n`,
    );
    operator.write('idle.service', `${service(SLEEP)}[Install]\nWantedBy=multi-user.target\n`);
    await operator.fleetctl('load', 'idle');
    expect(await operator.fleetctl('start', '--dry-run', 'web')).toMatchObject({
      status: 0,
      stdout: expect.stringContaining(
        'k1: record web.service, enable it: www.service multi-user.target.wants/web.service\n',
      ),
    });
    expect(await operator.fleetctl('start', 'web')).toEqual(
      done(`Unit web.service launched on 00000000.../${SUBNET}.1`),
    );
    expect(await enabled('web', 'www', 'idle')).toEqual(['enabled', 'alias', 'disabled']);
    expect(
      await inside(
        'k1',
        'systemctl show -P Id www; systemctl show -P Wants multi-user.target | grep -o web.service',
      ),
    ).toBe('web.service\nweb.service\n');
    expect(await operator.fleetctl('list-units', '--no-legend', '--fields=unit,sub')).toEqual(
      done('idle.service  dead\nweb.service   running'),
    );
    expect(await operator.fleetctl('reconcile')).toEqual(done('Nothing to do'));
  });

  it('starts at boot only if it was launched', async () => {
    await cluster('reboot', 'k1');
    expect(await operator.fleetctl('list-units', '--no-legend', '--fields=unit,sub')).toEqual(
      done('idle.service  dead\nweb.service   running'),
    );
  });

  it('does not take the name of another unit as an alias', async () => {
    operator.write('www.service', service(SLEEP));
    const { status, stderr } = await operator.fleetctl('start', 'www');
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: expect.stringContaining(
        'k1: the machine has a unit of that name that fleet did not install: /etc/systemd/system/web.service',
      ),
    });
    await operator.fleetctl('destroy', 'www');
  });

  it('is not started under a name that a unit of the machine has', async () => {
    operator.write('timer.service', `${service(SLEEP)}[Install]\nAlias=fstrim.service\n`);
    const { status, stderr } = await operator.fleetctl('start', 'timer');
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr:
        `Error: Cannot start unit "timer.service" on machine "k1" (${SUBNET}.1): its Alias=fstrim.service is taken there: /usr/lib/systemd/system/fstrim.service\n` +
        'hint: Remove that Alias= from [Install], or that unit from the machine\n',
    });
  });

  it('causes a warning about units that systemd would enable with it', async () => {
    operator.write('both.service', `${service(SLEEP)}[Install]\nAlso=both.socket web.service\n`);
    expect(await operator.fleetctl('start', 'both')).toMatchObject({
      status: 0,
      stderr:
        'Warning: unit "both.service" has Also=both.socket in [Install], which is not launched\n' +
        'hint: Start it too: fleetctl start both.socket\n',
    });
  });

  it('is disabled when it stops, and leaves no links', async () => {
    await operator.fleetctl('stop', 'web');
    expect(await enabled('web')).toEqual(['disabled']);
    await operator.fleetctl('start', 'web');
    await operator.fleetctl('destroy', '*');
    expect(
      await inside('k1', 'find /etc/systemd/system -name "w*.service" -o -name "both*" -o -name "timer.*"'),
    ).toBe('');
  });
});
