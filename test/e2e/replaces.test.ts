import { expect, it } from 'vitest';
import { onMachines, SUBNET } from '../support/cluster.ts';
import { done, hire } from './operator.ts';
import { SLEEPER, service } from './units.ts';

onMachines('a unit with Replaces=', () => {
  const operator = hire();

  it('takes the machine of the old unit, which is up elsewhere first', async () => {
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

  it('is refused in a circle', async () => {
    operator.write('x.service', service('ExecStart=/bin/sleep 100000', 'Replaces=y.service'));
    operator.write('y.service', service('ExecStart=/bin/sleep 100000', 'Replaces=x.service'));
    const { status, stderr } = await operator.fleetctl('start', 'x', 'y');
    expect(status).toBe(1);
    expect(stderr).toContain('Cannot use unit "y.service": it replaces itself, by way of "x.service"');
  });
});
