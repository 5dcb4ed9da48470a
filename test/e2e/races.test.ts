import { expect, it } from 'vitest';
import { compareText } from '../../src/base/text.ts';
import { inside, insideAll, MACHINES, onMachines, until } from '../support/cluster.ts';
import { createOperator, type Operator, SLEEPER, service } from './operator.ts';

onMachines('two fleetctl at the same moment', () => {
  const operator = createOperator();

  it('start fifty units each: no unit is lost or runs twice, and all are spread evenly', async () => {
    operator.write('a@.service', SLEEPER);
    operator.write('b@.service', SLEEPER);
    const names = [instances('a', 50), instances('b', 50)];
    const outcomes = await Promise.all(names.map((each) => operator.fleetctl('start', ...each)));
    for (const [index, { status, stdout, stderr }] of outcomes.entries()) {
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(unitsOf(stdout)).toEqual(names[index]?.toSorted(compareText));
    }
    expect(await running(operator)).toEqual(names.flat().toSorted(compareText));
    const perMachine = await insideAll(MACHINES, 'pgrep -fc "^/bin/sleep 100000"');
    expect(perMachine.map(Number).toSorted((a, b) => a - b)).toEqual([33, 33, 34]);
  });

  it('start the same fifty units: each runs once, and both commands succeed', async () => {
    const names = instances('a', 50);
    const outcomes = await Promise.all([1, 2].map(() => operator.fleetctl('start', ...names)));
    for (const { status, stdout } of outcomes) {
      expect(status).toBe(0);
      expect(unitsOf(stdout)).toEqual(names.toSorted(compareText));
    }
  });

  it('destroy fifty units each: nothing is left', async () => {
    const outcomes = await Promise.all(
      ['a', 'b'].map((prefix) => operator.fleetctl('destroy', ...instances(prefix, 50))),
    );
    expect(outcomes.map(({ status, stderr }) => ({ status, stderr }))).toEqual(
      Array(2).fill({ status: 0, stderr: '' }),
    );
    expect(await running(operator)).toEqual([]);
    const left = 'pgrep -fc "^/bin/sleep 100000" || true; ls /etc/systemd/system | grep -c "@[0-9]" || true';
    expect(await insideAll(MACHINES, left)).toEqual(Array(3).fill('0\n0\n'));
  });

  it('start conflicting units: one runs on each machine, and the others are refused with the reason', async () => {
    const alone = service('ExecStart=/bin/sleep 100000', 'Conflicts=only-*.service');
    const names = [1, 2].map((half) => [1, 2, 3, 4, 5].map((each) => `only-${half}${each}.service`));
    for (const name of names.flat()) operator.write(name, alone);
    const outcomes = await Promise.all(names.map((each) => operator.fleetctl('start', ...each)));
    const placed = outcomes.flatMap(({ stdout }) => unitsOf(stdout));
    expect(placed).toHaveLength(3);
    expect(await running(operator)).toEqual(placed.toSorted(compareText));
    expect(await insideAll(MACHINES, 'systemctl list-units --plain --no-legend "only-*" | wc -l')).toEqual(
      Array(3).fill('1\n'),
    );
    const refused = outcomes.flatMap(({ stderr }) => stderr.match(/^Error: Cannot place unit/gm) ?? []);
    expect(refused).toHaveLength(7);
  });

  it('start and destroy the same units: each unit ends in one of the two states', async () => {
    operator.write('c@.service', SLEEPER);
    const names = instances('c', 20);
    await Promise.all([operator.fleetctl('start', ...names), operator.fleetctl('destroy', ...names)]);
    // After one more pass, machines and registry agree on the last decision.
    const wanted = (await operator.fleetctl('list-unit-files', '--no-legend', '--fields=unit,dstate')).stdout;
    const launched = [...wanted.matchAll(/^(c@\d+\.service) +launched$/gm)].map(([, name = '']) => name);
    if (launched.length > 0) await operator.fleetctl('start', ...launched);
    expect((await running(operator)).filter((name) => name.startsWith('c@'))).toEqual(
      launched.toSorted(compareText),
    );
  });

  it('change a unit that stops: the newer decision wins, and the older command reports that', async () => {
    const stop = 'ExecStop=/bin/sh -c "until [ -e /run/may-stop ]; do sleep 0.1; done"';
    operator.write('slow.service', service(`ExecStart=/bin/sleep 100000\n${stop}`));
    const { stdout: launched } = await operator.fleetctl('start', 'slow');
    const machine = `k${/127\.76\.\d\.(\d)\n$/.exec(launched)?.[1]}`;
    const destroy = operator.launch(['destroy', 'slow']);
    await until(machine, 'systemctl is-active slow | grep -q deactivating');
    const record = (): Promise<string> => inside(machine, 'cat /var/lib/fleet/units/slow.service');
    const older = await record();
    const start = operator.fleetctl('start', 'slow');
    await expect.poll(record).not.toBe(older);
    await inside(machine, 'touch /run/may-stop');
    expect(await start).toMatchObject({ status: 0, stderr: '' });
    const { status, stdout, stderr } = await destroy.ended;
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(
      /^Error: Unit "slow.service" was started by root@\S+ \d+s ago; its target state is launched\n/m,
    );
    expect(await running(operator)).toContain('slow.service');
    expect(await inside(machine, 'systemctl is-active slow')).toBe('active\n');
  });

  it('change a unit that starts: the older command reports who overruled it, and the new target state', async () => {
    const slow = (seconds: number): string =>
      service(
        `ExecStartPre=/bin/sh -c "until [ -e /run/may-start ]; do sleep 0.1; done"\nExecStart=/bin/sleep ${seconds}`,
      );
    operator.write('late.service', slow(100_000));
    const start = operator.launch(['start', 'late']);
    const machine = await whereItStarts('late.service');
    expect(await operator.fleetctl('stop', 'late')).toMatchObject({ status: 0, stderr: '' });
    expect(await start.ended).toMatchObject({
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(
        /^Error: Unit "late.service" was stopped by root@\S+ \d+s ago; its target state is loaded\nhint: /m,
      ),
    });

    operator.write('late.service', slow(200_000));
    const older = operator.launch(['start', 'late', '--replace']);
    await until(machine, 'systemctl is-active late.service | grep -q activating');
    operator.write('late.service', slow(300_000));
    const newer = operator.fleetctl('start', 'late', '--replace');
    await until(machine, 'grep -q 300000 /etc/systemd/system/late.service');
    await inside(machine, 'touch /run/may-start');
    expect(await newer).toMatchObject({ status: 0, stderr: '' });
    expect(await older.ended).toMatchObject({
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(
        /^Error: Unit "late.service" got another text, [0-9a-f]{7}, by root@\S+ \d+s ago; its target state is launched\n/m,
      ),
    });
    const { stdout } = await operator.fleetctl('history', 'late', '--no-legend', '--fields=result');
    expect(stdout).toBe('good\nuntried\nuntried\n');
  });
});

/** Waits until a unit is being started, and returns its machine. */
async function whereItStarts(unit: string): Promise<string> {
  let found: string | undefined;
  await expect
    .poll(
      async () => {
        const states = await insideAll(MACHINES, `systemctl is-active ${unit} || true`);
        found = MACHINES[states.indexOf('activating\n')];
        return found;
      },
      { timeout: 20_000 },
    )
    .toBeDefined();
  return found ?? '';
}

function instances(prefix: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}@${index + 1}.service`);
}

/** The names of the units that fleetctl reports as launched. */
function unitsOf(stdout: string): readonly string[] {
  return [...stdout.matchAll(/^Unit (\S+) launched on /gm)]
    .map(([, name = '']) => name)
    .toSorted(compareText);
}

/** The names of running units, once for every machine on which they run. */
async function running(operator: Operator): Promise<readonly string[]> {
  const { stdout } = await operator.fleetctl('list-units', '--no-legend', '--fields=unit,sub');
  return [...stdout.matchAll(/^(\S+) +running$/gm)].map(([, name = '']) => name).toSorted(compareText);
}
