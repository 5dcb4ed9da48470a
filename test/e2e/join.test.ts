import { afterAll, expect, it } from 'vitest';
import {
  addressOf,
  cluster,
  hostKeyOf,
  IDENTITY_FILE,
  KNOWN_HOSTS_FILE,
  onMachines,
} from '../support/cluster.ts';
import { createOperator, Operator, type Outcome, SLEEPER } from './operator.ts';

const TOP = { registry: 'machines' };
const UNITS = ['list-units', '--no-legend', '--fields=unit,machine,active'];

onMachines('a cluster with its registry on the machines', () => {
  const alice = createOperator({ top: TOP, metadata: { k1: 'role=web' } });
  const carol = createOperator({ machines: ['k1'], top: TOP });
  const bob = new Operator();
  afterAll(() => bob.remove());
  const join = (known: string, ...words: readonly string[]): Promise<Outcome> =>
    bob.fleetctl(
      ...['join', '--ssh-identity-file', IDENTITY_FILE, '--known-hosts-file', known, '--ssh-timeout=5s'],
      ...words,
    );

  it('cannot be joined before it exists, nor over a machine with another key', async () => {
    bob.write('unknown', '');
    const wrong = bob.write('wrong', `${addressOf('k1')} ${hostKeyOf('k2')}\n`);
    const empty = await join(KNOWN_HOSTS_FILE, `root@${addressOf('k1')}`);
    expect([empty.status, empty.stdout]).toEqual([1, '']);
    expect(empty.stderr).toContain('the machine has no registry');
    const changed = await join(wrong, `root@${addressOf('k1')}`);
    expect([changed.status, changed.stderr]).toEqual([
      5,
      expect.stringContaining('its host key has changed'),
    ]);
    const unknown = await join('unknown', `root@${addressOf('k1')}`);
    expect([unknown.status, unknown.stderr]).toEqual([
      5,
      expect.stringContaining('its host key is not known'),
    ]);
    const away = await join(KNOWN_HOSTS_FILE, `root@${addressOf('k9')}`);
    expect([away.status, away.stderr]).toEqual([5, expect.stringContaining('Cannot reach machine')]);
    const none = await bob.fleetctl(
      ...['join', '--known-hosts-file', KNOWN_HOSTS_FILE, '--ssh-timeout=5s', `root@${addressOf('k1')}`],
    );
    expect([none.status, none.stderr]).toEqual([5, expect.stringContaining('--ssh-identity-file')]);
    expect(() => bob.read('fleet.conf')).toThrow();
  });

  it('is joined with one command, which shows the second operator what the first one sees', async () => {
    alice.write('web@.service', SLEEPER);
    await alice.fleetctl('start', 'web@1', 'web@2');
    const shown = await join(KNOWN_HOSTS_FILE, '--dry-run', `root@${addressOf('k1')}`);
    expect(() => bob.read('fleet.conf')).toThrow();
    const joined = await join(KNOWN_HOSTS_FILE, `root@${addressOf('k1')}`);
    expect(joined).toEqual({
      status: 0,
      stdout: expect.stringMatching(/^Joined cluster 0+-\S+: machines 3, units 2\nWrote HERE\/fleet.conf\n$/),
      stderr: '',
    });
    expect(bob.read('fleet.conf')).toBe(shown.stdout);
    expect(await bob.fleetctl(...UNITS)).toEqual(await alice.fleetctl(...UNITS));
    expect(await bob.fleetctl('reconcile', '--dry-run')).toMatchObject({ status: 0, stderr: '' });
    const again = await join(KNOWN_HOSTS_FILE, `root@${addressOf('k1')}`);
    expect([again.status, again.stderr]).toEqual([
      2,
      expect.stringContaining('There is a configuration already: HERE/fleet.conf'),
    ]);
    expect(await join(KNOWN_HOSTS_FILE, '--dry-run', `root@${addressOf('k1')}`)).toEqual(shown);
  });

  it('is used with a fleet.conf that has only one machine, while another voter is away', async () => {
    const { stdout } = await alice.fleetctl(...UNITS);
    await cluster('kill', 'k2');
    try {
      expect((await carol.fleetctl('list-unit-files', '--no-legend', '--fields=unit')).stdout).toContain(
        'web@1',
      );
    } finally {
      await cluster('start', 'k2');
    }
    expect(await carol.fleetctl(...UNITS)).toEqual({ status: 0, stdout, stderr: '' });
  });

  it('keeps a voter that is renamed', async () => {
    expect(await alice.fleetctl('machines', 'rename', 'k1', 'front')).toMatchObject({ status: 0 });
    expect((await alice.fleetctl('registry')).stdout).toMatch(/^front +current /m);
    expect(await alice.fleetctl('reconcile')).toMatchObject({ status: 0 });
    expect((await alice.fleetctl('registry')).stdout).toMatch(/^front +current /m);
    for (const operator of [bob, carol]) {
      const { status, stdout } = await operator.fleetctl('list-machines', '--fields=name', '--no-legend');
      expect([status, stdout.split('\n').toSorted()]).toEqual([0, ['', 'front', 'k2', 'k3']]);
    }
  });
});
