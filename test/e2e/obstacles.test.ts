import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { inside, onMachines, SUBNET, until } from '../support/cluster.ts';
import { fleetdStarter } from './fleetd.ts';
import { createOperator, done, SLEEPER, service } from './operator.ts';

const LAUNCHED = done(`Unit web.service launched on 00000000.../${SUBNET}.1`);

onMachines('another user of a machine', () => {
  const operator = createOperator({ machines: ['k1'] });
  const lockAs = (user: string): string =>
    `setpriv --reuid=${user} --regid=${user} --clear-groups flock -n /run/fleet/lock`;

  it('is reported as the holder of a lock that version 0.1.0 left open, and cannot take it again', async () => {
    operator.write('web.service', SLEEPER);
    await operator.fleetctl('start', 'web');
    await inside('k1', 'chmod 755 /run/fleet /var/lib/fleet /var/lib/fleet/*/; chmod 644 /run/fleet/lock');
    await inside('k1', `systemd-run --quiet --unit=holder -- ${lockAs('plain')} sleep infinity`);
    await until('k1', '! flock -n /run/fleet/lock true');
    const { status, stderr } = await operator.fleetctl('stop', 'web', '--timeout=1s');
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /: process \d+ \((flock|sleep)\) of user "plain" holds the lock of the machine\nhint: Terminate it there: kill \d+\n$/,
    );
    await inside('k1', `kill ${/kill (\d+)/.exec(stderr)?.[1]}; systemctl stop holder || true`);
    expect(await operator.fleetctl('start', 'web')).toEqual(LAUNCHED);
    await expect(inside('k1', `${lockAs('plain')} true`)).rejects.toThrow(/Permission denied/);
    expect(
      await inside('k1', 'stat -c "%a %n" /run/fleet /run/fleet/lock /var/lib/fleet /var/lib/fleet/units'),
    ).toBe('700 /run/fleet\n600 /run/fleet/lock\n700 /var/lib/fleet\n700 /var/lib/fleet/units\n');
  });

  it('can read unit files, so systemd prints no permission warning', async () => {
    expect(
      await inside('k1', 'stat -c %a /etc/systemd/system/web.service /etc/systemd/system/fleet.target'),
    ).toBe('644\n644\n');
  });
});

onMachines('a folder in place of a unit file', () => {
  const operator = createOperator({ machines: ['k1'] });

  it('is reported before any unit is stopped', async () => {
    operator.write('web.service', SLEEPER);
    await operator.fleetctl('start', 'web');
    const pid = await inside('k1', 'systemctl show -P MainPID web');
    await inside('k1', 'cd /etc/systemd/system && mv web.service web.old && mkdir web.service');
    operator.write('web.service', `${SLEEPER}# another text\n`);
    const { status, stderr } = await operator.fleetctl('start', '--replace', 'web');
    expect(status).toBe(1);
    expect(stderr).toContain(
      ': something is in the way: "/etc/systemd/system/web.service is a directory"\nhint: Move it away there: mv /etc/systemd/system/web.service /var/tmp/; and run the command again\n',
    );
    expect(await inside('k1', 'systemctl show -P MainPID web; ls /etc/systemd/system/web.service')).toBe(pid);
    await inside('k1', 'cd /etc/systemd/system && rmdir web.service && mv web.old web.service');
    expect(await operator.fleetctl('start', 'web')).toEqual(LAUNCHED);
  });
});

onMachines('a folder in place of a record', () => {
  const operator = createOperator({ machines: ['k1'] });

  it('concerns the unit with its name alone', async () => {
    operator.write('web.service', SLEEPER);
    await operator.fleetctl('start', 'web');
    await inside('k1', 'mkdir /var/lib/fleet/units/old.service');
    expect(await operator.fleetctl('list-units', '--no-legend', '--fields=unit,sub')).toMatchObject({
      status: 0,
      stdout: 'old.service  unknown\nweb.service  running\n',
      stderr: expect.stringContaining('its record /var/lib/fleet/units/old.service is damaged'),
    });
    expect(await operator.fleetctl('stop', 'web')).toMatchObject({ status: 0, stderr: '' });
    await inside('k1', 'rmdir /var/lib/fleet/units/old.service');
    expect(await operator.fleetctl('start', 'web')).toEqual(LAUNCHED);
  });

  it('is removed by the fix of doctor, and the next pass writes the record again', async () => {
    const record = '/var/lib/fleet/units/web.service';
    await inside('k1', `rm ${record} && mkdir ${record} && touch ${record}/kept`);
    expect((await operator.fleetctl('stop', 'web')).stderr).toContain(
      `: something is in the way: "${record} is a directory"\nhint: Move it away there: mv ${record} /var/tmp/; and run the command again\n`,
    );
    const { stdout } = await operator.fleetctl('doctor');
    expect(stdout).toContain(`  fix: run "mv ${record} /var/tmp/" there, and then: fleetctl reconcile\n`);
    await inside('k1', `${/run "(.*)" there/.exec(stdout)?.[1]} && ls /var/tmp/web.service/kept`);
    expect(await operator.fleetctl('reconcile')).toMatchObject({ status: 0, stderr: '' });
    expect(await operator.fleetctl('stop', 'web')).toMatchObject({ status: 0, stderr: '' });
  });
});

onMachines('a unit file that cannot be changed', () => {
  const operator = createOperator({ machines: ['k1'] });

  it('is reported before its unit is stopped', async () => {
    operator.write('web.service', SLEEPER);
    await operator.fleetctl('start', 'web');
    const pid = await inside(
      'k1',
      'systemctl show -P MainPID web; chattr +i /etc/systemd/system/web.service',
    );
    operator.write('web.service', `${SLEEPER}# another text\n`);
    const { status, stderr } = await operator.fleetctl('start', '--replace', 'web');
    expect([status, stderr]).toEqual([
      1,
      `Error: Cannot start unit "web.service" on machine "k1" (${SUBNET}.1): could not write the unit file: "/etc/systemd/system/web.service: Operation not permitted"\nhint: If "lsattr -d /etc/systemd/system/web.service" there shows the attribute i, it is immutable, and "chattr -i /etc/systemd/system/web.service" ends that\n`,
    ]);
    expect(await inside('k1', 'systemctl show -P MainPID web')).toBe(pid);
    await inside('k1', 'chattr -i /etc/systemd/system/web.service');
    expect(await operator.fleetctl('reconcile')).toMatchObject({ status: 0, stderr: '' });
  });

  it.each(['/etc/systemd/system', '/var/lib/fleet/units'])(
    'for a command is an immutable folder, too, and is no read-only file system: %s',
    async (folder) => {
      await inside('k1', `chattr +i ${folder}`);
      const { status, stderr } = await operator.fleetctl('stop', 'web');
      await inside('k1', `chattr -i ${folder}`);
      expect([status, stderr]).toEqual([
        1,
        expect.stringContaining(
          `: "${folder}: Operation not permitted"\nhint: If "lsattr -d ${folder}" there`,
        ),
      ]);
    },
  );
});

onMachines('a drop-in that fleet did not write', () => {
  const operator = createOperator({ machines: ['k1'] });

  it('is reported by reconcile and by doctor, and kept', async () => {
    operator.write('web.service', SLEEPER);
    await operator.fleetctl('start', 'web');
    const folder = '/etc/systemd/system/web.service.d';
    await inside(
      'k1',
      `mkdir ${folder}; printf '[Service]\\nNice=5\\n' >${folder}/x.conf; systemctl daemon-reload`,
    );
    const { status, stderr } = await operator.fleetctl('reconcile');
    expect([status, stderr]).toEqual([
      0,
      expect.stringContaining(`drop-ins that fleet did not write: ${folder}/x.conf\n`),
    ]);
    expect((await operator.fleetctl('doctor')).stdout).toContain('web.service: a drop-in changes it');
    await inside('k1', `rm -r ${folder}; systemctl daemon-reload`);
  });
});

onMachines('a failed start', () => {
  const operator = createOperator({ machines: ['k1'] });

  it('prints the journal of that start only, and is not tried again without --retry', async () => {
    operator.write('bad.service', service("ExecStart=/bin/sh -c 'echo run $$(cat /run/n); exit 1'"));
    for (const run of ['1', '2']) {
      await inside('k1', `echo ${run} >/run/n`);
      const { status, stderr } = await operator.fleetctl('start', '--retry', 'bad');
      expect([status, stderr.match(/run \d/g)]).toEqual([1, [`run ${run}`]]);
    }
    const run = 'systemctl show -P InvocationID bad';
    const before = await inside('k1', run);
    for (const command of [['start', 'bad'], ['reconcile']])
      expect((await operator.fleetctl(...command)).stderr).toContain('failed on k1: exit status 1');
    expect(await inside('k1', run)).toBe(before);
  });
});

onMachines('a systemctl that hangs', () => {
  const operator = createOperator({ machines: ['k1'], top: { agent_ttl: '3s' } });
  const start = fleetdStarter(operator);
  const HUNG = 'cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\\0" " " | grep -o "sleep [9]8765" | wc -l';
  const count = async (): Promise<number> => Number(await inside('k1', HUNG));

  it('does not accumulate under fleetd, and is ended soon after it', async () => {
    operator.write('web.service', SLEEPER);
    expect(await operator.fleetctl('start', 'web')).toEqual(LAUNCHED);
    const fleetd = start();
    await fleetd.logged('leads');
    const fake = '/run/systemctl';
    await inside('k1', `printf '#!/bin/sh\\nexec sleep 98765\\n' >${fake}; chmod 755 ${fake}`);
    await inside('k1', `mount --bind ${fake} /usr/bin/systemctl`);
    try {
      await expect.poll(count).toBeGreaterThan(0);
      await sleep(10_000);
      // A poll hangs for two seconds here, and the next one starts a second after it.
      expect(await count()).toBeLessThan(6);
      await fleetd.end();
      await expect.poll(count, { timeout: 10_000 }).toBe(0);
    } finally {
      await inside('k1', 'umount /usr/bin/systemctl');
    }
  });
});
