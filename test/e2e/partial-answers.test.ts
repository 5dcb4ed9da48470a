import { afterAll, beforeAll, expect, it } from 'vitest';
import { inside, onMachines } from '../support/cluster.ts';
import { createOperator, SLEEPER, service } from './operator.ts';

/** systemd unescapes the text before it runs it: the byte is not UTF-8, so no D-Bus reply can contain it. */
const UNSHOWABLE = service(String.raw`ExecStart=/bin/sh -c "sleep 100000; echo Z\xfcrich"`);
const GOOD = ['b.service', 'd.service'];
const BAD = ['a.service', 'c.service', 'e.service'];
const MANY = Array.from({ length: 25 }, (_, index) => `many@${index + 10}.service`);
const LISTS = 5;

onMachines('observing a machine whose systemd answers only in part', () => {
  const operator = createOperator({ machines: ['k1'] });

  beforeAll(async () => {
    for (const name of GOOD) operator.write(name, SLEEPER);
    for (const name of BAD) operator.write(name, UNSHOWABLE);
    operator.write('many@.service', SLEEPER);
    // Only bash sources it, and it prints the same in every shell that sshd starts.
    await inside('k1', 'echo "export POSIXLY_CORRECT=1 SYSTEMD_OFFLINE=1" >/root/.bashrc');
    const started = await operator.fleetctl('start', ...GOOD, ...MANY);
    expect([started.status, started.stderr]).toEqual([0, '']);
  });
  afterAll(async () => {
    const units = [...BAD, ...GOOD, ...MANY].map((unit) => `'${unit}'`).join(' ');
    await inside(
      'k1',
      `rm -f /root/.bashrc /run/reexec; systemctl stop ${units}; cd /etc/systemd/system && rm -f ${units}; cd /var/lib/fleet/units && rm -f ${units}; systemctl daemon-reload`,
    );
  });

  const rows = (stdout: string): readonly string[] => stdout.split('\n').filter((line) => line !== '');
  const list = (...words: readonly string[]) =>
    operator.fleetctl('list-units', '--no-legend', '--fields', 'unit,active', ...words);

  it('reports the true state of a running unit, or none, while systemd re-executes itself repeatedly', async () => {
    await inside(
      'k1',
      'touch /run/reexec; (while [ -e /run/reexec ]; do systemctl daemon-reexec; sleep 0.5; done) >/dev/null 2>&1 &',
    );
    const states = new Set<string>();
    try {
      for (let index = 0; index < LISTS; index++) {
        const { stdout } = await list();
        const units = rows(stdout).map((row) => row.split(/ +/));
        expect(units.map(([unit]) => unit)).toEqual([...GOOD, ...MANY]);
        for (const [, active = ''] of units) states.add(active);
      }
    } finally {
      await inside('k1', 'rm -f /run/reexec');
    }
    states.delete('unknown');
    expect([...states]).toEqual(['active']);
  });

  it('reports only the unit that systemd cannot show as unknown, wherever it is in the list', async () => {
    await operator.fleetctl('load', ...BAD);
    await inside('k1', `systemctl start ${BAD.join(' ')}`);
    const { status, stdout, stderr } = await list();
    const wanted = [...BAD, ...GOOD]
      .sort()
      .map((unit) => `${unit} ${BAD.includes(unit) ? 'unknown' : 'active'}`);
    expect(status).toBe(0);
    expect(
      rows(stdout)
        .map((row) => row.replaceAll(/ +/g, ' '))
        .slice(0, 5),
    ).toEqual(wanted);
    expect(rows(stderr)).toEqual(
      BAD.map(
        (unit) =>
          `Warning: the state of unit "${unit}" on machine "k1" is unknown: Failed to get properties: Invalid argument (systemctl is-active: active)`,
      ),
    );
    const files = await operator.fleetctl('list-unit-files', '--no-legend', '--fields', 'unit,state');
    for (const unit of BAD) expect(files.stdout).toMatch(new RegExp(`^${unit} +unknown$`, 'm'));
    for (const unit of GOOD) expect(files.stdout).toMatch(new RegExp(`^${unit} +launched$`, 'm'));
    const doctor = await operator.fleetctl('doctor');
    expect([doctor.status, doctor.stdout]).toEqual([1, expect.stringContaining('a.service: Failed to get')]);
  });

  it('reads the journal of a machine whose login prints 1.5 MB', async () => {
    await inside('k1', `echo 'head -c 1500000 /dev/zero | tr "\\0" x; echo oops >&2' >/root/.bashrc`);
    const { status, stdout, stderr } = await operator.fleetctl('journal', 'b');
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toContain('Started b.service');
  });
});
