import { expect, it } from 'vitest';
import { onMachines, SUBNET } from '../support/cluster.ts';
import { hire } from './operator.ts';
import { SLEEPER, service } from './units.ts';

onMachines('explain', () => {
  const operator = hire({ metadata: { k2: 'role=db' } });

  it('tells why a unit is where it is, and changes nothing', async () => {
    operator.write('db.service', service('ExecStart=/bin/sleep 100000', 'MachineMetadata=role=db'));
    const before = await operator.fleetctl('explain', 'db.service');
    expect(before.stdout).toBe(
      `Unit db.service would go to "k2" (${SUBNET}.2), which has no other unit
Runner-up: none, no other machine fits
Nothing would make it move
MACHINE  UNITS  FITS  RULE             REASON
k2       0      yes   -                -
k1       0      no    MachineMetadata  MachineMetadata= asks for role=db, it has no role
k3       0      no    MachineMetadata  MachineMetadata= asks for role=db, it has no role
`,
    );
    expect((await operator.fleetctl('list-unit-files', '--no-legend')).stdout).toBe('');
    await operator.fleetctl('start', 'db.service');
    const after = await operator.fleetctl('explain', 'db');
    expect(after.stdout).toContain(`Unit db.service is on "k2" (${SUBNET}.2), which has no other unit\n`);
  });

  it('knows a unit of that name that is not of fleet', async () => {
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
