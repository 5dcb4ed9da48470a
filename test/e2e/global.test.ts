import { afterAll, expect, it } from 'vitest';
import { add, cluster, onMachines, SUBNET } from '../support/cluster.ts';
import { done, failed, hire } from './operator.ts';
import { service } from './units.ts';

onMachines('a global unit', () => {
  const operator = hire();
  // The cluster shrinks by switching off: later tests must not meet the fourth machine.
  afterAll(() => cluster('kill', 'k4'));

  it('runs on every machine', async () => {
    operator.write('agent.service', service('ExecStart=/bin/sleep 100000', 'Global=yes'));
    expect(await operator.fleetctl('start', 'agent')).toEqual(
      done('Unit agent.service launched on 3 of 3 machines'),
    );
  });

  it('lacks a machine that was added to fleet.conf, until it is started again', async () => {
    await add('k4');
    operator.configure({ machines: ['k1', 'k2', 'k3', 'k4'] });
    const coverage = ['list-unit-files', '--fields=unit,dstate,state,tmachine', '--no-legend'];
    expect(await operator.fleetctl(...coverage)).toEqual(done('agent.service  launched  launched  3 of 4'));
    expect(await operator.fleetctl('start', 'agent')).toEqual(
      done('Unit agent.service launched on 4 of 4 machines'),
    );
    expect(await operator.fleetctl(...coverage)).toEqual(done('agent.service  launched  launched  4 of 4'));
    expect(await operator.fleetctl('list-units', '--no-legend')).toEqual(
      done(`
        agent.service  00000000.../${SUBNET}.1  active  running
        agent.service  00000000.../${SUBNET}.2  active  running
        agent.service  00000000.../${SUBNET}.3  active  running
        agent.service  00000000.../${SUBNET}.4  active  running
      `),
    );
  });

  it('is stopped, unloaded and destroyed everywhere', async () => {
    expect(await operator.fleetctl('stop', 'agent')).toEqual(
      done('Unit agent.service loaded on 4 of 4 machines'),
    );
    expect(await operator.fleetctl('list-units', '--no-legend', '--fields=unit,active,sub')).toEqual(
      done('agent.service  inactive  dead\n'.repeat(4)),
    );
    expect(await operator.fleetctl('unload', 'agent')).toEqual(done('Unit agent.service inactive'));
    expect(await operator.fleetctl('list-units', '--no-legend')).toEqual(done());
    expect(await operator.fleetctl('destroy', 'agent')).toEqual(done('Destroyed agent.service'));
  });

  it('runs where its metadata lets it, and fits no machine without it', async () => {
    operator.configure({ metadata: { k1: 'disk=ssd', k3: 'disk=ssd' } });
    operator.write(
      'ssd.service',
      service('ExecStart=/bin/sleep 100000', 'Global=true\nMachineMetadata=disk=ssd'),
    );
    expect(await operator.fleetctl('start', 'ssd')).toEqual(
      done('Unit ssd.service launched on 2 of 2 machines'),
    );
    operator.write(
      'tape.service',
      service('ExecStart=/bin/sleep 100000', 'Global=true\nMachineMetadata=disk=tape'),
    );
    expect(await operator.fleetctl('start', 'tape')).toEqual(
      failed(
        1,
        `
        Error: Cannot place unit "tape.service": no machine fits
          k1: MachineMetadata= asks for disk=tape, it has disk=ssd
          k2: MachineMetadata= asks for disk=tape, it has no disk
          k3: MachineMetadata= asks for disk=tape, it has disk=ssd
        hint: It stays launched in the registry; run the command again when a machine fits
        `,
      ),
    );
  });
});
