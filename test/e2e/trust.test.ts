import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, it } from 'vitest';
import { cluster, inside, insideAll, MACHINES, onMachines, SUBNET } from '../support/cluster.ts';
import { fleetdStarter } from './fleetd.ts';
import { createOperator, SLEEPER, service } from './operator.ts';

/** Writes a unit and a record with that token to a machine, as fleet would, and starts the unit. */
function forge(machine: string, unit: string, token: string, text: string): Promise<string> {
  const encoded = Buffer.from(text).toString('base64');
  return inside(
    machine,
    `cd /etc/systemd/system && echo ${encoded} | base64 -d >${unit}
    digest=$(sha256sum ${unit}) && digest=\${digest%% *}
    hash=$(sha1sum ${unit}) && hash=\${hash%% *}
    printf 'unit=%s\\ntoken=%s\\nhash=%s\\ndigest=%s\\ntarget=launched\\n' ${unit} ${token} $hash $digest >/var/lib/fleet/units/${unit}
    systemctl daemon-reload; systemctl start ${unit}`,
  );
}

onMachines('a hostile machine', () => {
  const operator = createOperator({ top: { agent_ttl: '5s' } });
  const start = fleetdStarter(operator);
  const idOf = async (machine: string): Promise<string> =>
    (await inside(machine, 'cat /etc/machine-id')).trim();
  const own = new Map<string, string>();

  afterAll(async () => {
    for (const [machine, id] of own) await inside(machine, `echo ${id} >/etc/machine-id`);
  });

  it('does not get units that are pinned to a stopped machine by copying its id', async () => {
    for (const machine of MACHINES) own.set(machine, await idOf(machine));
    operator.write('pinned.service', service('ExecStart=/bin/sleep 100000', `MachineID=${own.get('k2')}`));
    operator.write('agent.service', service('ExecStart=/bin/sleep 100000', 'Global=true'));
    expect(await operator.fleetctl('start', 'pinned', 'agent')).toMatchObject({ status: 0, stderr: '' });
    const fleetd = start();
    await fleetd.logged('leads');
    await inside('k3', `echo ${own.get('k2')} >/etc/machine-id`);
    const both = await operator.fleetctl('list-machines');
    expect(both.stderr).toContain('Machine "k3" has the machine id of machine "k2"');
    expect(both.stderr).toContain('fleetctl machines accept k3');
    await cluster('kill', 'k2');
    try {
      await fleetd.logged('machine-lost', { machine: 'k2', reason: 'ssh-refused' }, 30_000);
      const lost = { machine: 'k3', reason: 'machine-untrusted' };
      expect((await fleetd.logged('machine-lost', lost, 30_000)).message).toContain(
        'cannot be used: Machine "k3" has the machine id of machine "k2"',
      );
      // Twice agent_ttl.
      await sleep(10_000);
      expect(await operator.fleetctl('reconcile')).toMatchObject({ status: 5 });
      const there = 'systemctl is-active pinned.service || true; ls /var/lib/fleet/units || true';
      expect(await inside('k3', there)).toBe('inactive\nagent.service\n');
    } finally {
      await cluster('start', 'k2');
    }
    expect(await operator.fleetctl('machines', 'accept', 'k3')).toMatchObject({ status: 2 });
    await inside('k3', `echo ${own.get('k3')} >/etc/machine-id`);
    expect(await operator.fleetctl('reconcile')).toMatchObject({ status: 0, stderr: '' });
    await fleetd.end();
  });

  it('is used with a new id once an operator accepts it', async () => {
    const other = `${own.get('k3')?.slice(0, 30)}00`;
    await inside('k3', `echo ${other} >/etc/machine-id`);
    const refused = await operator.fleetctl('reconcile');
    expect(refused.stderr).toContain('the registry has 00000000-0000-0000-0000-000000000000 for it');
    expect(await operator.fleetctl('machines', 'accept', 'k3')).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('Machine k3 accepted: it has id'),
    });
    expect(await operator.fleetctl('reconcile')).toMatchObject({ status: 0, stderr: '' });
    await inside('k3', `echo ${own.get('k3')} >/etc/machine-id`);
    expect((await operator.fleetctl('machines', 'accept', 'k3')).status).toBe(0);
  });

  it('prevents no change elsewhere with a token that no registry assigned', async () => {
    await inside('k1', 'sed -i s/^token=.*/token=9007199254740993/ /var/lib/fleet/units/agent.service');
    operator.write('web.service', SLEEPER);
    const { status, stdout, stderr } = await operator.fleetctl('start', 'web');
    expect([status, stdout]).toEqual([0, expect.stringMatching(/^Unit web\.service launched on/)]);
    expect(stderr).not.toContain('recover');
    const listed = await operator.fleetctl('list-machines');
    expect(listed.stderr).toContain('Cannot use machine "k1"');
  });

  it('is excluded by one command when only its records are ahead', async () => {
    await inside('k1', 'sed -i s/^token=.*/token=5000/ /var/lib/fleet/units/agent.service');
    const refused = await operator.fleetctl('stop', 'web');
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain('machine "k1" has seen revision 5000');
    expect(refused.stderr).not.toContain('recover');
    expect(await operator.fleetctl('machines', 'distrust', 'k1')).toMatchObject({ status: 0, stderr: '' });
    expect(await operator.fleetctl('stop', 'web')).toMatchObject({ status: 0, stderr: '' });
    await inside('k1', 'rm /var/lib/fleet/units/agent.service');
    expect(await operator.fleetctl('machines', 'accept', 'k1')).toMatchObject({ status: 0, stderr: '' });
  });

  it('gets no unit onto other machines through recover', async () => {
    const highest = await inside(
      'k2',
      'cat /var/lib/fleet/units/* | sed -n s/token=//p | sort -n | tail -n 1',
    );
    const evil = service('ExecStart=/bin/sleep 100001', 'Global=true');
    await forge('k1', 'evil.service', `${Number(highest) + 10}`, evil);
    rmSync(join(operator.folder, 'registry'), { recursive: true });
    const recovered = await operator.fleetctl('recover', '--trust', 'k2,k3');
    expect(recovered.stdout).toContain(
      'Recovered unit evil.service: launched on 1 machine, unconfirmed: one machine has it ("k1")\n',
    );
    expect(recovered.stdout).toContain(
      `Recovered unit pinned.service: launched on 00000000.../${SUBNET}.2\n`,
    );
    const pass = await operator.fleetctl('reconcile');
    expect(pass.stderr).toContain('unit "evil.service" is left unchanged');
    const runs = 'systemctl is-active evil.service || true';
    expect(await insideAll(MACHINES, runs)).toEqual(['active\n', 'inactive\n', 'inactive\n']);
    expect((await operator.fleetctl('cat', 'evil')).stdout).toBe(evil);
    expect(await operator.fleetctl('recover', '--reject', 'evil')).toMatchObject({ status: 0 });
    expect((await operator.fleetctl('reconcile')).stdout).toContain('k1: remove evil.service\n');
    expect(await insideAll(MACHINES, runs)).toEqual(Array(3).fill('inactive\n'));
  });

  it('cannot replace the units of fleet itself', async () => {
    for (const name of ['fleet-lease.service', 'fleet.target']) {
      operator.write(name, SLEEPER);
      for (const verb of ['start', 'destroy']) expect((await operator.fleetctl(verb, name)).status).toBe(2);
    }
    operator.write('alias.service', `${SLEEPER}[Install]\nAlias=fleet-lease.service\n`);
    expect(await operator.fleetctl('start', 'alias')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('is the name of a unit of fleet itself'),
    });
  });
});
