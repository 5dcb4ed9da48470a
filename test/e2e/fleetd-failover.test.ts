import { afterAll, beforeAll, expect, it } from 'vitest';
import { add, cluster, inside, machinesRunning, onMachines } from '../support/cluster.ts';
import { eventually, type Fleetd, fleetdStarter } from './fleetd.ts';
import { createOperator, SLEEPER, service } from './operator.ts';

/** The expected actions take a second or two; a busy box may need longer. */
const DEADLINE_MS = 30_000;
const MACHINES = ['k1', 'k2', 'k3', 'k4', 'k5'];
/** Each of these machines fails in a different way; k5 keeps working. */
const FAILING = ['k1', 'k2', 'k3', 'k4'];
const UNITS = ['web@1.service', 'web@2.service', 'web@3.service', 'web@4.service'];

onMachines('fleetd', () => {
  const settings = { top: { agent_ttl: '5s', cut_off: '90%' }, ssh: { connect_timeout: '2s' } };
  const operator = createOperator({ machines: MACHINES, ...settings });
  const start = fleetdStarter(operator);
  let fleetd: Fleetd;

  /** Waits until a unit has processes on exactly these machines. */
  const runsOn = (unit: string, machines: readonly string[]): Promise<true> =>
    eventually(
      () => `${machinesRunning(unit, MACHINES)}` === `${machines}`,
      DEADLINE_MS,
      () => `${unit} on ${machines}: it is on ${machinesRunning(unit, MACHINES)}\n${fleetd.text}`,
    );
  const homes = (): readonly string[] => UNITS.map((unit) => `${machinesRunning(unit, MACHINES)}`);

  beforeAll(async () => {
    operator.write('web@.service', SLEEPER);
    operator.write('agent.service', service('ExecStart=/bin/sleep 100000', 'Global=true'));
    // The fifth machine starts later.
    await add('k4');
    fleetd = start();
    await fleetd.logged('machine-lost', { machine: 'k5' });
  });
  // Machines are never removed from the test cluster, only switched off.
  afterAll(() => cluster('kill', 'k4', 'k5'));

  it('does not interfere with commands that start units', async () => {
    expect(await operator.fleetctl('start', '--ssh-timeout=20s', ...UNITS)).toMatchObject({
      status: 0,
      stderr: '',
    });
    expect(homes()).toEqual(FAILING);
    expect(await operator.fleetctl('start', 'agent')).toMatchObject({ status: 5 });
  });

  it('starts global units on a machine that was added', async () => {
    await cluster('up', '5');
    await runsOn('agent.service', MACHINES);
  });

  it('starts a unit that was stopped by hand', async () => {
    await inside('k1', 'systemctl stop web@1');
    await runsOn('web@1.service', ['k1']);
  });

  it('moves units off machines that lost power, hang, are cut off or refuse logins', async () => {
    // A machine that has just become reachable gets no units; k5 has just started.
    await fleetd.logged('machine-back', { machine: 'k5' });
    await Promise.all([
      cluster('kill', 'k1'),
      cluster('hang', 'k2'),
      cluster('cut', 'k3'),
      inside('k4', 'systemctl kill --signal=KILL sshd; systemctl stop sshd'),
    ]);
    for (const [index, unit] of UNITS.entries()) {
      await fleetd.logged('move', { unit, from: `k${index + 1}` });
      await fleetd.logged('done', { unit, machine: 'k5' });
    }
    // Copies on machines that cannot be reached keep running; fencing prevents that.
    expect(homes()).toEqual(['k5', 'k2,k5', 'k3,k5', 'k4,k5']);
  });

  it('stops the second copies when the machines are back', async () => {
    await cluster('resume', 'k2');
    await cluster('heal', 'k3');
    await inside('k4', 'systemctl start sshd');
    await cluster('start', 'k1');
    for (const unit of UNITS) await runsOn(unit, ['k5']);
    await runsOn('agent.service', MACHINES);
    const { stdout } = await operator.fleetctl('list-unit-files', '--no-legend', '--fields=unit,tmachine');
    expect(stdout.match(/127\.76\.\d\.5/g)).toHaveLength(UNITS.length);
  });

  it('keeps the old configuration when the new fleet.conf is invalid', async () => {
    operator.write('fleet.conf', `${operator.read('fleet.conf')}\nnonsense = 1\n`);
    fleetd.signal('SIGHUP');
    await eventually(
      () => fleetd.log.some(({ message }) => message.includes('nonsense')),
      DEADLINE_MS,
      () => fleetd.text,
    );
    await inside('k5', 'systemctl stop web@1');
    await runsOn('web@1.service', ['k5']);
  });

  it('leaves units on a machine that is missing from fleet.conf, and moves them off a removed one', async () => {
    operator.configure({ machines: MACHINES.slice(0, 4), ...settings });
    fleetd.signal('SIGHUP');
    const removed = await operator.fleetctl('machines', 'remove', 'k5', '--lost');
    expect(removed.status).toBe(0);
    for (const [index, unit] of UNITS.entries()) {
      await eventually(
        () => machinesRunning(unit, MACHINES.slice(0, 4)).length === 1,
        DEADLINE_MS,
        () => `${unit} ${index} elsewhere\n${fleetd.text}`,
      );
    }
  });

  it('stops no unit when it ends', async () => {
    const before = homes();
    expect(await fleetd.end()).toBe(0);
    expect(homes()).toEqual(before);
  });
});
