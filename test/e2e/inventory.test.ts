import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { createRegistry } from '../../src/registry/registry.ts';
import { openFileStore } from '../../src/store/file.ts';
import { add, addressOf, cluster, inside, onMachines } from '../support/cluster.ts';
import { fleetdStarter } from './fleetd.ts';
import { createOperator, type Operator, service } from './operator.ts';

const WEB = service('ExecStart=/bin/sleep 100000', 'MachineMetadata=role=web');
const UNITS = ['list-units', '--no-legend', '--fields=unit,machine,active'];

/** The units with their machines. */
async function unitsOf(operator: Operator): Promise<string> {
  return (await operator.fleetctl(...UNITS)).stdout;
}

function runOf(machine: string): Promise<string> {
  return inside(machine, 'systemctl show -p InvocationID,NRestarts web.service');
}

onMachines('the machines of a cluster', () => {
  const alice = createOperator({ metadata: { k1: 'role=web' } });
  const bob = createOperator();
  const top = (): Record<string, string> => ({ registry: `file:${alice.folder}/registry` });

  beforeAll(async () => {
    alice.write('web.service', WEB);
    await alice.fleetctl('start', 'web');
  });

  it('are those of the registry for an operator with an outdated fleet.conf, which moves nothing', async () => {
    bob.configure({ machines: ['k2', 'k3'], metadata: { k3: 'role=web' }, top: top() });
    const run = await runOf('k1');
    const { stdout, stderr } = await bob.fleetctl(...UNITS);
    expect(stdout).toBe(await unitsOf(alice));
    expect(stdout).toContain(addressOf('k1'));
    expect(stderr).toBe(
      'Note: machine "k3" is used with the values of the registry: metadata -, not role=web\n' +
        'hint: To store the values of fleet.conf: fleetctl machines apply k3; otherwise correct fleet.conf\n',
    );
    expect(await bob.fleetctl('reconcile')).toMatchObject({ status: 0, stderr });
    expect(await bob.fleetctl('start', 'web')).toMatchObject({ status: 0 });
    expect(await runOf('k1')).toBe(run);
  });

  it('are those of a registry of version 0.1.0, and the first change adds the addresses', async () => {
    const store = openFileStore(join(alice.folder, 'registry'));
    const registry = createRegistry(store, { clock: Date, author: 'test' });
    const old = await registry.update((view) =>
      [...view.machines].map(([name, known]) => ({
        kind: 'put-machine',
        name,
        known: { ...known, address: undefined, metadata: undefined },
      })),
    );
    const run = await runOf('k1');
    // Bob does not have k1, and nothing says where it is.
    const { stdout, stderr } = await bob.fleetctl('reconcile');
    expect(stdout).not.toContain('web.service');
    expect(stderr).toContain('Machine "k1" has no address in the registry, and is not in this fleet.conf');
    expect(await alice.fleetctl('list-machines')).toMatchObject({ status: 0, stderr: '' });
    expect((await registry.load()).machines.get('k1')).toEqual(old.machines.get('k1'));
    expect(await alice.fleetctl('cordon', 'k2')).toMatchObject({ status: 0, stderr: '' });
    const k1 = (await registry.load()).machines.get('k1');
    expect(k1).toMatchObject({ address: addressOf('k1'), metadata: { role: 'web' } });
    await store.close();
    expect(await unitsOf(bob)).toBe(await unitsOf(alice));
    expect(await runOf('k1')).toBe(run);
  });

  it('can be renamed while their units run', async () => {
    const run = await runOf('k1');
    const renamed = await alice.fleetctl('machines', 'rename', 'k1', 'front');
    expect(renamed).toMatchObject({ status: 0, stdout: 'Machine k1 renamed to front in HERE/fleet.conf\n' });
    expect(alice.read('fleet.conf')).toContain('[machine.front]\n');
    for (const operator of [alice, bob]) {
      expect(await operator.fleetctl('reconcile')).toMatchObject({ status: 0 });
      expect((await operator.fleetctl('list-machines', '--fields=name')).stdout).toMatch(/^front$/m);
    }
    expect(await runOf('k1')).toBe(run);
  });

  const start = fleetdStarter(alice);
  it('are followed by a running fleetd', async () => {
    const fleetd = start();
    await fleetd.logged('leads');
    await add('k4');
    await alice.fleetctl(
      'submit',
      alice.write('more.service', service('ExecStart=/bin/sleep 100000', 'MachineMetadata=role=more')),
    );
    await alice.fleetctl('start', '--no-block', '--endpoint=none', 'more');
    const added = await bob.fleetctl('machines', 'add', 'k4', addressOf('k4'), '--metadata', 'role=more');
    expect(added).toMatchObject({ status: 0, stdout: 'Machine k4 added to HERE/fleet.conf\n' });
    await expect
      .poll(() => inside('k4', 'systemctl is-active more || true'), { timeout: 20_000 })
      .toBe('active\n');
    await bob.fleetctl('machines', 'set', 'k2', 'metadata+=role=more,zone=a');
    await bob.fleetctl('machines', 'set', 'k4', 'metadata-=role');
    await bob.fleetctl('uncordon', 'k2');
    await expect
      .poll(() => inside('k2', 'systemctl is-active more || true'), { timeout: 20_000 })
      .toBe('active\n');
    expect(await bob.fleetctl('machines', 'remove', 'k4', '--drain')).toMatchObject({ status: 0 });
    const names = async (): Promise<string> =>
      (await alice.fleetctl('list-machines', '--fields=name')).stdout;
    await expect.poll(names).not.toContain('k4');
    await fleetd.end();
    await cluster('kill', 'k4');
  });
});
