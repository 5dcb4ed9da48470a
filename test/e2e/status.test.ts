import { afterAll, beforeAll, expect, it } from 'vitest';
import { cluster, onMachines } from '../support/cluster.ts';
import { createOperator, SLEEPER, service } from './operator.ts';

onMachines('status', () => {
  const operator = createOperator({ metadata: { k1: 'name=k1', k2: 'name=k2' } });

  beforeAll(async () => {
    operator.write('all.service', service('ExecStart=/bin/sleep 100000', 'Global=true'));
    operator.write('one.service', `${SLEEPER}\n[X-Fleet]\nMachineMetadata=name=k1\n`);
    operator.write('bad.service', service('ExecStart=/bin/false', 'MachineMetadata=name=k2'));
    await operator.fleetctl('start', 'all', 'one', 'bad');
  });
  afterAll(() => cluster('up', '3'));

  it('of one unit on one machine prints exactly what systemctl prints there', async () => {
    const { status, stdout, stderr } = await operator.fleetctl('status', 'one');
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^● one\.service\n {5}Loaded: loaded \(\/etc\/systemd\/system\/one\.service;/);
    expect(stdout).toMatch(/\n {5}Active: active \(running\) since /);
    expect(stdout).toMatch(/ k1 systemd\[1\]: Started one\.service/);
  });

  it('of a global unit prints every machine, and --machine selects one', async () => {
    const all = await operator.fleetctl('status', 'all', '-n', '0');
    expect([all.status, all.stderr]).toEqual([0, '']);
    expect(all.stdout.match(/^\[.*\]$/gm)).toEqual([
      '[k1 all.service]',
      '[k2 all.service]',
      '[k3 all.service]',
    ]);
    expect(all.stdout.match(/Active: active \(running\)/g)).toHaveLength(3);
    const one = await operator.fleetctl('status', 'all', '-n', '0', '--machine', 'k2');
    expect([one.status, one.stdout.startsWith('● all.service\n')]).toEqual([0, true]);
  });

  it('exits with the status of systemctl, and a missing unit hides no other', async () => {
    const down = await operator.fleetctl('status', 'one', 'bad');
    expect([down.status, down.stderr]).toEqual([
      3,
      expect.stringMatching(
        /^Warning: unit "bad.service" is held: text \w{7} failed on k2: exit status 1\nhint: Give it another text: .*\n$/,
      ),
    ]);
    expect(down.stdout).toMatch(
      /\[k2 bad\.service\]\n× bad\.service\n[\s\S]*Active: failed \(Result: exit-code\)/,
    );
    const missing = await operator.fleetctl('status', 'nope', 'o*');
    expect([missing.status, missing.stdout.startsWith('● one.service\n')]).toEqual([4, true]);
    expect(missing.stderr).toMatch(/^Error: No such unit: "nope\.service"\n/);
  });

  it('prints JSON for programs', async () => {
    const { status, stdout } = await operator.fleetctl('status', 'all', 'bad', '-o', 'json');
    expect(status).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({
      statuses: [
        { unit: 'all.service', machine: { name: 'k1' }, active: 'active', sub: 'running' },
        { unit: 'all.service', machine: { name: 'k2' }, active: 'active', sub: 'running' },
        { unit: 'all.service', machine: { name: 'k3' }, active: 'active', sub: 'running' },
        {
          unit: 'bad.service',
          machine: { name: 'k2' },
          active: 'failed',
          result: 'exit-code',
          exitStatus: 1,
        },
      ],
      unreachable: [],
    });
  });

  it('names the unreachable machine, and shows the others', async () => {
    await cluster('kill', 'k3');
    const all = await operator.fleetctl('status', 'all', '-n', '0');
    expect(all.status).toBe(5);
    expect(all.stdout.match(/^\[.*\]$/gm)).toEqual(['[k1 all.service]', '[k2 all.service]']);
    expect(all.stderr).toMatch(/^Warning: Cannot reach machine "k3" /);
    expect(await operator.fleetctl('status', 'one', '-n', '0')).toMatchObject({ status: 0, stderr: '' });
  });
});
