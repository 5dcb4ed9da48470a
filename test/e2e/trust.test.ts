import { afterAll, expect, it } from 'vitest';
import { cluster, inside, onMachines } from '../support/cluster.ts';
import { recruit } from './fleetd.ts';
import { hire } from './operator.ts';
import { SLEEPER, service } from './units.ts';

/** Writes a unit and a record of it with that token there, as fleet would, and starts it. */
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
  const operator = hire({ top: { agent_ttl: '3s' } });
  const start = recruit(operator);
  const idOf = async (machine: string): Promise<string> =>
    (await inside(machine, 'cat /etc/machine-id')).trim();
  const own = new Map<string, string>();

  afterAll(async () => {
    for (const [machine, id] of own) await inside(machine, `echo ${id} >/etc/machine-id`);
  });

  it('does not get what is pinned to a machine that is off by taking its id', async () => {
    for (const machine of ['k1', 'k2', 'k3']) own.set(machine, await idOf(machine));
    operator.write('pinned.service', service('ExecStart=/bin/sleep 100000', `MachineID=${own.get('k2')}`));
    operator.write('free.service', service('ExecStart=/bin/sleep 100000', 'MachineMetadata=role=none'));
    operator.write('agent.service', service('ExecStart=/bin/sleep 100000', 'Global=true'));
    expect(await operator.fleetctl('start', 'pinned', 'agent')).toMatchObject({ status: 0, stderr: '' });
    const fleetd = start();
    await fleetd.said('leads');
    await inside('k3', `echo ${own.get('k2')} >/etc/machine-id`);
    const both = await operator.fleetctl('list-machines');
    expect(both.stderr).toContain('Machine "k3" has the machine id of machine "k2"');
    expect(both.stderr).toContain('fleetctl machines accept k3');
    await cluster('kill', 'k2');
    await fleetd.said('machine-lost', { machine: 'k2' }, 30_000);
    const lost = await fleetd.said('machine-lost', { machine: 'k3' }, 30_000);
    expect(lost.message).toContain('cannot be used: Machine "k3" has the machine id of machine "k2"');
    // Several times agent_ttl.
    await new Promise((resolve) => setTimeout(resolve, 10_000));
    expect(await operator.fleetctl('reconcile')).toMatchObject({ status: 5 });
    expect(
      await inside('k3', 'systemctl is-active pinned.service || true; ls /var/lib/fleet/units || true'),
    ).toBe('inactive\nagent.service\n');
    expect(await operator.fleetctl('machines', 'accept', 'k3')).toMatchObject({ status: 2 });
    await inside('k3', `echo ${own.get('k3')} >/etc/machine-id`);
    await cluster('start', 'k2');
    expect(await operator.fleetctl('reconcile')).toMatchObject({ status: 0 });
    await fleetd.end();
  });

  it('is used again with another id when an operator accepts that', async () => {
    const other = `${own.get('k3')?.slice(0, 30)}00`;
    await inside('k3', `echo ${other} >/etc/machine-id`);
    const refused = await operator.fleetctl('reconcile');
    expect(refused.stderr).toContain('the registry has 00000000-0000-0000-0000-000000000000 for it');
    expect(await operator.fleetctl('machines', 'accept', 'k3')).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('Machine k3 accepted: it has id'),
    });
    expect(await operator.fleetctl('reconcile')).toMatchObject({ status: 0 });
    await inside('k3', `echo ${own.get('k3')} >/etc/machine-id`);
    expect((await operator.fleetctl('machines', 'accept', 'k3')).status).toBe(0);
  });

  it('stops no change elsewhere with a token that no registry gives', async () => {
    await inside('k1', 'sed -i s/^token=.*/token=9007199254740993/ /var/lib/fleet/units/agent.service');
    operator.write('web.service', SLEEPER);
    const { status, stdout, stderr } = await operator.fleetctl('start', 'web');
    expect([status, stdout]).toEqual([0, expect.stringMatching(/^Unit web\.service launched on/)]);
    expect(stderr).not.toContain('recover');
    const listed = await operator.fleetctl('list-machines');
    expect(listed.stderr).toContain('Cannot use machine "k1": it has noted token 9007199254740992');
  });

  it('is excluded by one command when it is ahead alone', async () => {
    await inside('k1', 'sed -i s/^token=.*/token=5000/ /var/lib/fleet/units/agent.service');
    const refused = await operator.fleetctl('stop', 'web');
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain('machine "k1" has seen revision 5000');
    expect(refused.stderr).not.toContain('recover');
    expect(await operator.fleetctl('machines', 'distrust', 'k1')).toMatchObject({ status: 0 });
    expect(await operator.fleetctl('stop', 'web')).toMatchObject({ status: 0 });
    await inside('k1', 'rm /var/lib/fleet/units/agent.service');
    expect(await operator.fleetctl('machines', 'accept', 'k1')).toMatchObject({ status: 0 });
  });
});

export { forge };
