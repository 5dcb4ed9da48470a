import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { cluster, inside, insideAll, MACHINES, onMachines } from '../support/cluster.ts';
import { createOperator, done, SLEEPER, service } from './operator.ts';

/** Content that shell handling could change: blank lines, trailing blanks, quotes, backslashes, non-ASCII letters. */
const STRANGE = `# naïve 'quotes' "of" \\n \`all\` $kinds %% — 日本\t \n${SLEEPER}ExecReload=/bin/echo \\\n  more \n\n\n`;

onMachines('recover', () => {
  const operator = createOperator();
  const list = ['list-unit-files', '--full', '--fields=unit,hash,dstate,state,tmachine'];
  const invocations = (): Promise<readonly string[]> =>
    insideAll(
      MACHINES,
      "systemctl show --property=InvocationID --value 'strange.service' 'web@*' agent.service",
    );

  it('rebuilds a deleted registry while units keep running', async () => {
    operator.write('strange.service', STRANGE);
    operator.write('loaded.service', SLEEPER.trimEnd());
    operator.write('web@.service', service('ExecStart=/bin/sleep 100000', 'Conflicts=web@*.service'));
    operator.write('agent.service', service('ExecStart=/bin/sleep 100000', 'Global=true'));
    for (let turn = 0; turn < 3; turn++) {
      expect((await operator.fleetctl('start', 'strange', 'agent')).status).toBe(0);
      expect((await operator.fleetctl('destroy', 'strange', 'agent')).status).toBe(0);
    }
    expect((await operator.fleetctl('start', 'strange', 'agent', 'web@1', 'web@2', 'web@3')).status).toBe(0);
    expect((await operator.fleetctl('load', 'loaded')).status).toBe(0);
    const before = { list: await operator.fleetctl(...list), runs: await invocations() };

    rmSync(join(operator.folder, 'registry'), { recursive: true });
    expect((await operator.fleetctl('list-unit-files', '--no-legend')).stdout).toBe('');
    const trust = ['recover', '--trust', 'k1,k2', '--trust', 'k3'];
    const dryRun = await operator.fleetctl(...trust, '--dry-run');
    expect(dryRun.status).toBe(0);
    expect(dryRun.stdout).toContain('Would recover unit agent.service: launched on 3 machines\n');
    const { status, stdout, stderr } = await operator.fleetctl(...trust);
    expect(status).toBe(0);
    expect(stdout).toBe(dryRun.stdout.replaceAll('Would recover', 'Recovered'));
    expect(stdout.split('\n')).toHaveLength(8);
    expect(stderr).toContain(
      'hint: Templates, and units that were on no machine, have to be submitted again',
    );

    expect(await operator.fleetctl(...list)).toEqual(before.list);
    expect((await operator.fleetctl('cat', 'strange')).stdout).toBe(STRANGE);
    expect((await operator.fleetctl('cat', 'loaded')).stdout).toBe(SLEEPER.trimEnd());
    expect((await operator.fleetctl('reconcile')).status).toBe(0);
    expect(await operator.fleetctl('reconcile')).toEqual(done('Nothing to do'));
    expect(await invocations()).toEqual(before.runs);
  });

  it('leaves a registry that every command can use', async () => {
    expect(await operator.fleetctl('start', 'loaded')).toMatchObject({ status: 0, stderr: '' });
    expect((await operator.fleetctl('destroy', 'web@*')).status).toBe(0);
    const web = ['web@1', 'web@2', 'web@3'];
    expect(await operator.fleetctl('start', ...web)).toMatchObject({ status: 0, stderr: '' });
  });

  it('is refused when a registry exists, and while a machine is unreachable', async () => {
    const refused = await operator.fleetctl('recover');
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain('Error: Cannot recover the registry: it exists and is not empty');
    rmSync(join(operator.folder, 'registry'), { recursive: true });
    await cluster('kill', 'k3');
    const incomplete = await operator.fleetctl('recover');
    expect(incomplete.status).toBe(5);
    expect(incomplete.stderr).toContain('Error: Cannot recover the registry: all machines have to answer');
    await cluster('start', 'k3');
    expect((await operator.fleetctl('recover', '--accept=*')).status).toBe(0);
  });

  it('takes the later of two decisions, and reconcile removes the other copy', async () => {
    const units = await insideAll(MACHINES, 'ls /var/lib/fleet/units');
    const home = MACHINES.find((_, index) => units[index]?.includes('web@1.service')) ?? '';
    const other = MACHINES.find((name) => name !== home) ?? '';
    const [text, record] = await Promise.all([
      inside(home, 'base64 -w 0 /etc/systemd/system/web@1.service'),
      inside(home, 'cat /var/lib/fleet/units/web@1.service'),
    ]);
    const older = Buffer.from(record.replace(/token=\d+/, 'token=1')).toString('base64');
    await inside(
      other,
      `echo ${text} | base64 -d >/etc/systemd/system/web@1.service
      echo ${older} | base64 -d >/var/lib/fleet/units/web@1.service
      systemctl daemon-reload; systemctl start web@1.service`,
    );
    rmSync(join(operator.folder, 'registry'), { recursive: true });
    const { status, stderr } = await operator.fleetctl('recover', '--accept', '*');
    expect(status).toBe(0);
    expect(stderr).toContain(`Warning: unit "web@1.service" is also on machine "${other}"`);
    const pass = await operator.fleetctl('reconcile');
    expect(pass.status).toBe(0);
    expect(pass.stdout).toContain(`${other}: remove web@1.service\n`);
    expect(await inside(other, 'systemctl is-active web@1.service || true')).toBe('inactive\n');
    expect(await inside(home, 'systemctl is-active web@1.service')).toBe('active\n');
  });
});
