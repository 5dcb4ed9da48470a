import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { cluster, inside, onMachines } from '../support/cluster.ts';
import { fleetdStarter } from './fleetd.ts';
import { createOperator, done, SLEEPER } from './operator.ts';

const TOP = { registry: 'machines', agent_ttl: '5s' };

onMachines('a registry on the machines', () => {
  const alice = createOperator({ top: TOP });
  const bob = createOperator({ top: TOP });

  it('is created by the first change, and another operator sees it', async () => {
    expect(await bob.fleetctl('registry')).toEqual(done('Registry machines: empty'));
    alice.write('web@.service', SLEEPER);
    expect((await alice.fleetctl('start', 'web@1', 'web@2')).status).toBe(0);
    // They are observed before the registry has their names, and again afterwards.
    expect((await alice.fleetctl('start', 'web@*')).stderr).toBe('');
    const { stdout } = await bob.fleetctl('list-unit-files', '--fields=unit,dstate', '--no-legend');
    expect(stdout).toMatch(/web@1\.service +launched\nweb@2\.service +launched\n/);
    expect(await inside('k1', 'stat -c "%U %a" /var/lib/fleet/registry')).toBe('root 700\n');
  });

  for (const [what, how, back] of [
    ['power loss', 'kill', 'start'],
    ['a hang', 'hang', 'resume'],
    ['a cut', 'cut', 'heal'],
  ] as const) {
    it(`is read and changed during ${what} of a voter, which has everything afterwards`, async () => {
      await cluster(how, 'k1');
      try {
        const unit = `web@during-${how}`;
        expect((await bob.fleetctl('submit', `${alice.folder}/web@.service`)).status).toBe(0);
        expect((await alice.fleetctl('start', unit)).stdout).toContain(`Unit ${unit}.service launched`);
        const { stdout } = await bob.fleetctl('list-unit-files', '--fields=unit', '--no-legend');
        expect(stdout).toContain(unit);
      } finally {
        await cluster(back, 'k1');
      }
      await alice.fleetctl('start', `web@after-${how}`);
      expect((await bob.fleetctl('registry')).stdout.match(/ current /g)).toHaveLength(3);
    });
  }

  it('gives a voter that lost its disk, or got an old one back, a new copy', async () => {
    await inside('k2', 'cp -a /var/lib/fleet/registry /root/backup');
    await alice.fleetctl('start', 'web@5');
    await inside('k2', 'rm -r /var/lib/fleet/registry; cp -a /root/backup /var/lib/fleet/registry');
    expect((await bob.fleetctl('registry')).stdout).toMatch(/^k2 +lost /m);
    expect((await bob.fleetctl('cat', 'web@5.service')).status).toBe(0);
    expect((await alice.fleetctl('start', 'web@6')).stderr).toContain(
      'k2 had lost its copy of the registry, and has it again',
    );
    expect((await bob.fleetctl('registry')).stdout.match(/ current /g)).toHaveLength(3);
  });

  it('cannot be changed without a majority, names the voters that are missing, and stops no unit', async () => {
    await Promise.all([cluster('cut', 'k1'), cluster('cut', 'k3')]);
    try {
      const { status, stderr } = await alice.fleetctl('start', 'web@7');
      expect(status).toBe(5);
      expect(stderr).toMatch(/these voters do not answer: k1, k3|these voters do not answer: k3, k1/);
      const listed = await bob.fleetctl('list-units', '--fields=unit,active', '--no-legend');
      expect(listed.stderr).toContain('the list shows only the units that machines have');
      expect(listed.stdout).toMatch(/^web@\S+ +active$/m);
    } finally {
      await Promise.all([cluster('heal', 'k1'), cluster('heal', 'k3')]);
    }
    expect((await bob.fleetctl('list-units', '--fields=active', '--no-legend')).stdout).not.toMatch(
      /inactive|failed/,
    );
  });

  const start = fleetdStarter(alice);
  it('wakes a fleetd soon after a change, and has one leader', async () => {
    const fleetd = start();
    await expect.poll(() => fleetd.leads).toBe(true);
    // The waits of fleetd continue with the other voters.
    await cluster('kill', 'k3');
    await bob.fleetctl('submit', `${alice.folder}/web@.service`);
    await bob.fleetctl('start', '--no-block', 'web@8');
    const listed = async (): Promise<string> => (await bob.fleetctl('list-units', '--no-legend')).stdout;
    await expect.poll(listed, { interval: 300 }).toMatch(/^web@8\.service .* active /m);
    await cluster('start', 'k3');
    const second = start();
    await sleep(3000);
    expect([fleetd.leads, second.leads]).toEqual([true, false]);
  });
});
