import { join } from 'node:path';
import { expect, it } from 'vitest';
import { CLUSTER_FOLDER, cluster, inside, onMachines, SUBNET } from '../support/cluster.ts';
import { createOperator, done, SLEEPER } from './operator.ts';

/** The user `nobody` of Debian. */
const UNPRIVILEGED = 65_534;

onMachines('a machine whose disk is full', () => {
  const operator = createOperator({ machines: ['k1'] });
  const FILES =
    'ls -A /etc/systemd/system /etc/systemd/system/fleet.target.wants /var/lib/fleet/units | grep -e old -e new -e "^[.]f"; cat /etc/systemd/system/old.service';

  it('accepts no unit, reports the reason, and keeps all of its files intact', async () => {
    operator.write('old.service', SLEEPER);
    operator.write('new.service', `${SLEEPER}${'# long\n'.repeat(20_000)}`);
    await operator.fleetctl('start', 'old');
    const before = await inside('k1', FILES);
    await cluster('fill', 'k1');
    const { status, stdout, stderr } = await operator.fleetctl('start', 'new');
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(
      /^Error: Cannot start unit "new\.service" on machine "k1" \(127\.76\.\d\.1\): could not write the unit file: .*No space left on device"\nhint: Make room there: df -h/,
    );
    expect(await inside('k1', FILES)).toBe(before);
    expect(await operator.fleetctl('start', 'old')).toEqual(
      done(`Unit old.service launched on 00000000.../${SUBNET}.1`),
    );
    expect(await operator.fleetctl('list-units', '--no-legend', '--fields=unit,sub')).toEqual(
      done('new.service  dead\nold.service  running'),
    );
  });

  it('lets units be stopped and destroyed, to make room', async () => {
    expect(await operator.fleetctl('stop', 'old')).toEqual(
      done(`Unit old.service loaded on 00000000.../${SUBNET}.1`),
    );
    expect(
      await operator.fleetctl('list-unit-files', '--no-legend', '--fields=dstate,state', '-o', 'table'),
    ).toEqual(done('launched  inactive\nloaded    loaded'));
    expect(await operator.fleetctl('unload', 'old')).toEqual(done('Unit old.service inactive'));
    expect(
      await inside('k1', 'ls /var/lib/fleet/units; systemctl list-units --all --plain --no-legend "old*"'),
    ).toBe('');
  });

  it('lets a unit be stopped that has an older text, and reports that it keeps it', async () => {
    await cluster('unfill', 'k1');
    await operator.fleetctl('start', 'old');
    await cluster('fill', 'k1');
    operator.write('old.service', `${SLEEPER}${'# long\n'.repeat(20_000)}`);
    expect(await operator.fleetctl('submit', '--replace', 'old')).toMatchObject({ status: 1 });
    const { status, stderr } = await operator.fleetctl('stop', 'old');
    expect([status, stderr]).toEqual([
      1,
      expect.stringMatching(
        /^Error: Cannot update unit "old\.service" on machine "k1" .*: it is stopped, but its new unit file could not be written: .*No space left on device"\nhint: Make room there/,
      ),
    ]);
    expect(await operator.fleetctl('list-units', '--no-legend', '--fields=unit,sub')).toEqual(
      done('new.service  dead\nold.service  dead'),
    );
  });

  it('works again once it has room', async () => {
    await cluster('unfill', 'k1');
    expect(await operator.fleetctl('start', 'new')).toEqual(
      done(`Unit new.service launched on 00000000.../${SUBNET}.1`),
    );
    expect(await operator.fleetctl('destroy', 'new', 'old')).toEqual(
      done('Destroyed new.service\nDestroyed old.service'),
    );
  });
});

onMachines('a registry', () => {
  // The disk of a machine is a file system that can be filled.
  const disk = join(CLUSTER_FOLDER, 'machines/k3/disk');
  const operator = createOperator({ machines: ['k1'], top: { registry: `file:${disk}/registry` } });

  it('on a full disk stays unchanged and readable, and the command reports the full disk', async () => {
    operator.write('old.service', SLEEPER);
    operator.write('new.service', SLEEPER);
    await operator.fleetctl('start', 'old');
    await cluster('fill', 'k3');
    for (const command of [
      ['submit', 'new'],
      ['start', 'new'],
      ['stop', 'old'],
      ['destroy', 'old'],
    ]) {
      const { status, stdout, stderr } = await operator.fleetctl(...command);
      expect({ command, status, stdout }).toEqual({ command, status: 1, stdout: '' });
      expect(stderr).toMatch(
        /^Error: .*registry ".*\/k3\/disk\/registry": .*no space left on device.*\nhint: .*\n$/i,
      );
    }
    expect(await operator.fleetctl('list-units', '--no-legend')).toEqual(
      done(`old.service  00000000.../${SUBNET}.1  active  running`),
    );
    await cluster('unfill', 'k3');
    expect(await operator.fleetctl('destroy', 'old')).toEqual(done('Destroyed old.service'));
  });

  it('without write permission is refused, and no unit is started', async () => {
    operator.configure({ top: { registry: 'file:registry' } });
    await operator.fleetctl('submit', 'old');
    for (const command of [['submit', 'new'], ['start', 'new'], ['list-units']]) {
      const { status, stdout, stderr } = await operator.launch(command, { uid: UNPRIVILEGED }).ended;
      expect({ command, status, stdout }).toEqual({ command, status: 1, stdout: '' });
      expect(stderr).toMatch(/^Error: .*registry ".*\/registry": .*permission denied.*\nhint: .*\n$/i);
    }
  });

  it('that cannot be a folder is refused', async () => {
    operator.configure({ top: { registry: 'file:old.service/registry' } });
    const { status, stdout, stderr } = await operator.fleetctl('start', 'old');
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(
      /^Error: .*registry "HERE\/old\.service\/registry": .*not a directory.*\nhint: .*\n$/i,
    );
  });
});
