import { expect, it } from 'vitest';
import { cluster, inside, onMachines, SUBNET, until } from '../support/cluster.ts';
import { createOperator, done, type Outcome, SLEEPER, service } from './operator.ts';

const MANY = Array.from({ length: 20 }, (_, index) => `many@${index}.service`);

onMachines('a change', () => {
  const operator = createOperator({ machines: ['k1'] });

  it('removes a unit only when nothing starts it again, and names what does', async () => {
    const [upheld, there, upholder] = ['upheld.service', 'there.service', 'upholder.service'];
    for (const unit of [upheld, there]) operator.write(unit, SLEEPER);
    operator.write(upholder, `[Unit]\nUpholds=${upheld} ${there}\n\n${SLEEPER}`);
    expect((await operator.fleetctl('start', upheld, there)).status).toBe(0);
    // Units of the machine that fleet does not manage.
    await inside(
      'k1',
      `cd /run/systemd/system
      printf '[Unit]\\nUpholds=${upheld}\\n[Service]\\nExecStart=/bin/sleep 1000\\n' >keeper.service
      printf '[Path]\\nPathExists=/etc/passwd\\n' >there.path
      systemctl daemon-reload; systemctl start keeper.service there.path`,
    );
    for (const [verb, unit, cause, other] of [
      ['destroy', upheld, 'keeper.service upholds it (Upholds=)', 'keeper.service'],
      ['stop', there, 'there.path triggers it', 'there.path'],
    ] as const) {
      const { status, stderr } = await operator.fleetctl(verb, unit);
      expect({ status, stderr }).toEqual({
        status: 1,
        stderr: `Error: Cannot ${verb} unit "${unit}" on machine "k1" (${SUBNET}.1): it was stopped and started again: ${cause}\nhint: Stop ${other} first\n`,
      });
    }
    expect(await inside('k1', `ls /var/lib/fleet/units; systemctl is-active ${upheld}`)).toBe(
      `${there}\n${upheld}\nactive\n`,
    );
    await inside('k1', 'systemctl stop keeper.service there.path; rm /run/systemd/system/keeper.service');
    expect((await operator.fleetctl('start', upholder)).status).toBe(0);
    expect((await operator.fleetctl('destroy', upheld, there, upholder)).stderr).toBe('');
    expect(await inside('k1', `systemctl is-active ${upheld} ${there} || true`)).toBe('inactive\n'.repeat(2));
  });

  it('reports what systemd refused, and the processes that a stop left running', async () => {
    operator.write('refusing.service', `[Unit]\nRefuseManualStop=yes\n${SLEEPER}`);
    operator.write(
      'parent.service',
      service('KillMode=process\nExecStart=/bin/sh -c "sleep 20 & exec sleep 100000"'),
    );
    await operator.fleetctl('start', 'refusing.service', 'parent.service');
    const { status, stderr } = await operator.fleetctl('destroy', 'refusing.service', 'parent.service');
    expect(status).toBe(1);
    expect(stderr).toContain(
      '\n  Failed to stop refusing.service: Operation refused, unit refusing.service may be',
    );
    expect(stderr).toContain('hint: It has RefuseManualStop=yes');
    expect(stderr).toContain(
      `Warning: unit "parent.service" was stopped on machine "k1" (${SUBNET}.1), and 1 process of it still runs: see its KillMode=`,
    );
    await inside('k1', 'systemctl kill --signal=KILL refusing.service');
    await until('k1', '! systemctl is-active --quiet refusing.service');
    expect(await operator.fleetctl('destroy', 'refusing.service')).toEqual(
      done('Destroyed refusing.service'),
    );
  });

  it('reports a start that waits for another unit differently from a failed start', async () => {
    await inside(
      'k1',
      `printf '[Service]\\nType=oneshot\\nExecStart=/bin/sleep 100\\n' >/run/systemd/system/slow.service
      systemctl daemon-reload; systemctl start --no-block slow.service`,
    );
    operator.write('waits.service', `[Unit]\nAfter=slow.service\n${SLEEPER}`);
    const { status, stderr } = await operator.fleetctl('start', '--timeout', '1s', 'waits.service');
    expect([status, stderr]).toEqual([
      1,
      expect.stringContaining(
        'its start job waits in systemd for slow.service/start\nhint: It continues there',
      ),
    ]);
    await inside('k1', 'systemctl kill slow.service');
    await until('k1', 'systemctl is-active --quiet waits.service');
    await operator.fleetctl('destroy', 'waits.service');
  });

  it('does not count earlier starts, and accepts names that begin with a dash', async () => {
    operator.write(
      'often.service',
      `[Unit]\nStartLimitIntervalSec=1h\nStartLimitBurst=2\n${SLEEPER}[Install]\nWantedBy=-.slice\n`,
    );
    operator.write('-dash.service', `${SLEEPER}[Install]\nAlias=-dish.service\n`);
    for (let turn = 0; turn < 3; turn++) {
      expect((await operator.fleetctl('start', 'often.service', './-dash.service')).stderr).toBe('');
      expect((await operator.fleetctl('stop', 'often.service', '--', '-dash.service')).stderr).toBe('');
    }
    await operator.fleetctl('destroy', 'often.service', '--', '-dash.service');
    expect(await inside('k1', 'cd /etc/systemd/system; ls -d ./-* || true')).toBe('');
  });

  it('is verified for each unit while systemd re-executes itself repeatedly', async () => {
    // A machine that cannot be observed is not changed, so that command is repeated.
    const insist = async (...words: readonly string[]): Promise<Outcome> => {
      const outcome = await operator.fleetctl(...words);
      return outcome.status === 5 ? insist(...words) : outcome;
    };
    const counted = `systemctl list-units --plain --no-legend 'many@*' | grep -c ' running ' || true`;
    await inside(
      'k1',
      `systemd-run --collect --unit=reexec --property=RuntimeMaxSec=60 /bin/sh -c 'while sleep 1; do systemctl daemon-reexec; done'`,
    );
    operator.write('many@.service', SLEEPER);
    const started = await insist('start', ...MANY);
    operator.write('many@.service', `${SLEEPER}# new\n`);
    const replaced = await insist('start', '--replace', ...MANY);
    const stopped = await insist('stop', 'many@*');
    const destroyed = await insist('destroy', 'many@*');
    await until('k1', 'systemctl stop reexec.service || ! systemctl is-active --quiet reexec.service');
    expect([started, replaced, stopped, destroyed].map(({ status }) => status)).toEqual([0, 0, 0, 0]);
    expect(await inside('k1', counted)).toBe('0\n');
  }, 300_000);

  it('starts units at boot that are ordered after boot targets, also on a machine of an older fleet', async () => {
    const targets = ['multi-user', 'default', 'graphical'];
    for (const target of targets)
      operator.write(`after-${target}.service`, `[Unit]\nAfter=${target}.target\n${SLEEPER}`);
    const names = targets.map((target) => `after-${target}.service`);
    expect((await operator.fleetctl('start', ...names)).status).toBe(0);
    await inside(
      'k1',
      `printf '[Unit]\\nDescription=Units started by fleet\\n' >/etc/systemd/system/fleet.target`,
    );
    expect((await operator.fleetctl('reconcile')).status).toBe(0);
    for (let boot = 0; boot < 3; boot++) {
      await cluster('reboot', 'k1');
      expect(await inside('k1', `systemctl is-active fleet.target ${names.join(' ')} || true`)).toBe(
        'active\n'.repeat(4),
      );
    }
    await operator.fleetctl('destroy', ...names);
  });
});
