import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { cluster, inside, insideAll, MACHINES, onMachines } from '../support/cluster.ts';
import { fleetdStarter } from './fleetd.ts';
import { createOperator, done, SLEEPER } from './operator.ts';

const SETTINGS = { top: { registry: 'machines', agent_ttl: '5s' }, ssh: { connect_timeout: '2s' } };

onMachines('a registry on the machines', () => {
  const alice = createOperator(SETTINGS);
  const bob = createOperator(SETTINGS);

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

  it('gives a voter whose disk was set back a new copy, and does not count it before', async () => {
    // Links keep the file itself, as a snapshot of the disk does.
    await inside('k2', 'rm -rf /root/backup; cp -al /var/lib/fleet/registry /root/backup');
    for (const unit of ['web@set', 'web@back']) await alice.fleetctl('start', unit);
    await inside('k2', 'rm -r /var/lib/fleet/registry; mv /root/backup /var/lib/fleet/registry');
    for (const each of [alice, bob]) expect((await each.fleetctl('registry')).stdout).toMatch(/^k2 +lost /m);
    expect((await alice.fleetctl('start', 'web@9')).stderr).toContain(
      'k2 had lost its copy of the registry, and has it again',
    );
    expect((await bob.fleetctl('registry')).stdout.match(/ current /g)).toHaveLength(3);
  });

  it('continues with copies if all voters have one, and keeps the units that only machines have', async () => {
    const each = (script: string): Promise<unknown> => insideAll(MACHINES, script);
    await each('rm -rf /root/backup; cp -a /var/lib/fleet/registry /root/backup');
    alice.write('later.service', SLEEPER);
    expect((await alice.fleetctl('start', 'later')).status).toBe(0);
    await each('rm -r /var/lib/fleet/registry; cp -a /root/backup /var/lib/fleet/registry');
    const refused = await alice.fleetctl('list-unit-files');
    expect([refused.status, refused.stderr]).toEqual([
      5,
      expect.stringMatching(/damaged, or copies: k1, k2, k3\n.*fleetctl recover/),
    ]);
    const { status, stdout, stderr } = await alice.fleetctl('recover', '--yes');
    expect([status, stdout]).toEqual([0, expect.stringMatching(/\nVoters: k1, k2, k3\n$/)]);
    expect(stderr).toContain('which are taken from their machines: later.service\n');
    expect((await alice.fleetctl('registry')).stdout.match(/ current /g)).toHaveLength(3);
    expect((await alice.fleetctl('reconcile')).stdout).not.toContain('later.service');
    expect((await alice.fleetctl('recover', '--accept', 'later')).status).toBe(0);
    const listed = await bob.fleetctl('list-units', '--fields=unit,active', '--no-legend');
    expect(listed.stdout).toMatch(/^later\.service +active$/m);
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
