import { afterAll, beforeAll, expect, it } from 'vitest';
import { add, cluster, inside, onMachines } from '../support/cluster.ts';
import { whereRuns } from '../support/sight.ts';
import { eventually, type Fleetd, recruit } from './fleetd.ts';
import { hire } from './operator.ts';
import { SLEEPER, service } from './units.ts';

/** What takes a second or two; a busy box may need longer. */
const PATIENCE_MS = 15_000;
const MACHINES = ['k1', 'k2', 'k3', 'k4', 'k5'];
/** Each of these loses its unit in another way; k5 is well. */
const TROUBLED = ['k1', 'k2', 'k3', 'k4'];
const UNITS = ['web@1.service', 'web@2.service', 'web@3.service', 'web@4.service'];

onMachines('fleetd', () => {
  const settings = { top: { agent_ttl: '5s', cut_off: '90%' } };
  const operator = hire({ machines: MACHINES, ...settings });
  const start = recruit(operator);
  let fleetd: Fleetd;

  /** Waits until a unit has processes on these machines and no others. */
  const runsOn = (unit: string, machines: readonly string[]): Promise<true> =>
    eventually(
      () => `${whereRuns(unit, MACHINES)}` === `${machines}`,
      PATIENCE_MS,
      () => `${unit} on ${machines}: it is on ${whereRuns(unit, MACHINES)}\n${fleetd.text}`,
    );
  const homes = (): readonly string[] => UNITS.map((unit) => `${whereRuns(unit, MACHINES)}`);

  beforeAll(async () => {
    operator.write('web@.service', SLEEPER);
    operator.write('agent.service', service('ExecStart=/bin/sleep 100000', 'Global=true'));
    // The fifth machine comes later.
    await add('k4');
    fleetd = start();
    await fleetd.said('machine-lost', { machine: 'k5' });
  });
  // The cluster shrinks by switching off.
  afterAll(() => cluster('kill', 'k4', 'k5'));

  it('lets commands start units that it starts, too', async () => {
    expect(await operator.fleetctl('start', ...UNITS)).toMatchObject({ status: 0, stderr: '' });
    expect(homes()).toEqual(TROUBLED);
    expect(await operator.fleetctl('start', 'agent')).toMatchObject({ status: 5 });
  });

  it('brings global units to a machine that comes', async () => {
    await cluster('up', '5');
    await runsOn('agent.service', MACHINES);
  });

  it('starts what somebody stopped by hand', async () => {
    await inside('k1', 'systemctl stop web@1');
    await runsOn('web@1.service', ['k1']);
  });

  it('moves units off machines that lost power, hang, are cut off or let nobody in', async () => {
    // A machine that came back a moment ago is given nothing; k5 has just come.
    await fleetd.said('machine-back', { machine: 'k5' });
    await Promise.all([
      cluster('kill', 'k1'),
      cluster('hang', 'k2'),
      cluster('cut', 'k3'),
      inside('k4', 'systemctl kill --signal=KILL sshd; systemctl stop sshd'),
    ]);
    for (const [index, unit] of UNITS.entries()) {
      await fleetd.said('move', { unit, from: `k${index + 1}` });
      await fleetd.said('done', { unit, machine: 'k5' });
    }
    // What cannot be stopped goes on: for that there is fencing.
    expect(homes()).toEqual(['k5', 'k2,k5', 'k3,k5', 'k4,k5']);
  });

  it('leaves one copy of each when they are back', async () => {
    await cluster('resume', 'k2');
    await cluster('heal', 'k3');
    await inside('k4', 'systemctl start sshd');
    await cluster('start', 'k1');
    for (const unit of UNITS) await runsOn(unit, ['k5']);
    await runsOn('agent.service', MACHINES);
    const { stdout } = await operator.fleetctl('list-unit-files', '--no-legend', '--fields=unit,tmachine');
    expect(stdout.match(/127\.76\.\d\.5/g)).toHaveLength(UNITS.length);
  });

  it('goes on with its old fleet.conf when the new one is broken', async () => {
    operator.write('fleet.conf', `${operator.read('fleet.conf')}\nnonsense = 1\n`);
    fleetd.signal('SIGHUP');
    await eventually(
      () => fleetd.log.some(({ message }) => message.includes('nonsense')),
      PATIENCE_MS,
      () => fleetd.text,
    );
    await inside('k5', 'systemctl stop web@1');
    await runsOn('web@1.service', ['k5']);
  });

  it('leaves units on a machine that left fleet.conf, and takes them off one that was removed', async () => {
    operator.configure({ machines: MACHINES.slice(0, 4), ...settings });
    fleetd.signal('SIGHUP');
    const removed = await operator.fleetctl('machines', 'remove', 'k5');
    expect(removed.status).toBe(0);
    for (const [index, unit] of UNITS.entries()) {
      await eventually(
        () => whereRuns(unit, MACHINES.slice(0, 4)).length === 1,
        PATIENCE_MS,
        () => `${unit} ${index} elsewhere\n${fleetd.text}`,
      );
    }
  });

  it('stops nothing when it ends', async () => {
    const before = homes();
    expect(await fleetd.end()).toBe(0);
    expect(homes()).toEqual(before);
  });
});
