import { afterAll, expect, it } from 'vitest';
import { add, cluster, onMachines, SUBNET } from '../support/cluster.ts';
import { createOperator, done, failed, SLEEPER, service } from './operator.ts';

onMachines('a global unit', () => {
  const operator = createOperator();
  // Machines are never removed from the test cluster, so the fourth one is switched off for later tests.
  afterAll(() => cluster('kill', 'k4'));

  it('runs on every machine', async () => {
    operator.write('agent.service', service('ExecStart=/bin/sleep 100000', 'Global=yes'));
    expect(await operator.fleetctl('start', 'agent')).toEqual(
      done('Unit agent.service launched on 3 of 3 machines'),
    );
  });

  it('runs on a machine that was added to fleet.conf only after another start', async () => {
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

  it('is stopped, unloaded and destroyed on every machine', async () => {
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

  it('runs on the machines with its metadata, and is refused when there is none', async () => {
    operator.configure({ metadata: { k1: 'disk=ssd', k3: 'disk=ssd' } });
    await operator.fleetctl('machines', 'apply');
    await operator.fleetctl('machines', 'remove', 'k4');
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
          k1: MachineMetadata= requires disk=tape, and the machine has disk=ssd
          k2: MachineMetadata= requires disk=tape, and the machine has no disk
          k3: MachineMetadata= requires disk=tape, and the machine has disk=ssd
        hint: It stays launched in the registry; run the command again when a machine fits
        `,
      ),
    );
  });
});

onMachines('a unit with Replaces=', () => {
  const operator = createOperator();

  it('gets the machine of the old unit, which is started elsewhere first', async () => {
    for (const name of ['a', 'b', 'c']) operator.write(`${name}.service`, SLEEPER);
    expect((await operator.fleetctl('start', 'a', 'b', 'c')).status).toBe(0);
    operator.write('new.service', service('ExecStart=/bin/sleep 100000', 'Replaces=b.service'));
    expect(await operator.fleetctl('start', 'new')).toEqual(
      done(`
        Unit b.service launched on 00000000.../${SUBNET}.1
        Unit new.service launched on 00000000.../${SUBNET}.2
      `),
    );
    expect(await operator.fleetctl('list-unit-files', '--no-legend', '--fields=unit,dstate,state')).toEqual(
      done(`
        a.service    launched  launched
        b.service    launched  launched
        c.service    launched  launched
        new.service  launched  launched
      `),
    );
    expect(await operator.fleetctl('reconcile')).toEqual(done('Nothing to do'));
  });

  it('is refused when units replace each other in a cycle', async () => {
    operator.write('x.service', service('ExecStart=/bin/sleep 100000', 'Replaces=y.service'));
    operator.write('y.service', service('ExecStart=/bin/sleep 100000', 'Replaces=x.service'));
    const { status, stderr } = await operator.fleetctl('start', 'x', 'y');
    expect(status).toBe(1);
    expect(stderr).toContain('Cannot use unit "y.service": it replaces itself, by way of "x.service"');
  });
});

onMachines('explain', () => {
  const operator = createOperator({ metadata: { k2: 'role=db' } });

  it('gives the reason for the placement of a unit, and changes nothing', async () => {
    operator.write('db.service', service('ExecStart=/bin/sleep 100000', 'MachineMetadata=role=db'));
    const before = await operator.fleetctl('explain', 'db.service');
    expect(before.stdout).toBe(
      `Unit db.service would go to "k2" (${SUBNET}.2), which has no other standard unit
Runner-up: none, no other machine fits
No event would make it move
MACHINE  UNITS  FITS  RULE             REASON
k2       0      yes   -                -
k1       0      no    MachineMetadata  MachineMetadata= requires role=db, and the machine has no role
k3       0      no    MachineMetadata  MachineMetadata= requires role=db, and the machine has no role
`,
    );
    expect((await operator.fleetctl('list-unit-files', '--no-legend')).stdout).toBe('');
    await operator.fleetctl('start', 'db.service');
    const after = await operator.fleetctl('explain', 'db');
    expect(after.stdout).toContain(
      `Unit db.service is on "k2" (${SUBNET}.2), which has no other standard unit\n`,
    );
  });

  it('recognises a unit of the same name that fleet does not manage', async () => {
    operator.write('sshd.service', SLEEPER);
    const { stdout } = await operator.fleetctl('explain', 'sshd.service', '-o', 'json');
    const value = JSON.parse(stdout) as {
      decision: string;
      machines: { rules: { rule: string; holds: boolean }[] }[];
    };
    expect(value.decision).toBe('nowhere');
    for (const { rules } of value.machines) {
      expect(rules.filter(({ holds }) => !holds).map(({ rule }) => rule)).toEqual(['ForeignUnit']);
    }
  });
});
