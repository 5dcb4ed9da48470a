import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import {
  add,
  addressOf,
  cluster,
  hostKeyOf,
  IDENTITY_FILE,
  inside,
  insideAll,
  KNOWN_HOSTS_FILE,
  onMachines,
} from '../support/cluster.ts';
import { eventually, fleetdStarter } from './fleetd.ts';
import { createOperator, Operator, type Outcome, SLEEPER } from './operator.ts';

onMachines('the voters of a registry', () => {
  const machines = ['k1', 'k2', 'k3', 'k4'];
  const operator = createOperator({
    machines,
    // A voter is replaced after ten times agent_ttl.
    top: { registry: 'machines', agent_ttl: '3s', listen: 'none' },
    ssh: { connect_timeout: '2s' },
  });
  beforeAll(() => add('k4'));
  afterAll(() => cluster('kill', 'k4'));

  const states = async (): Promise<string> => {
    const { stdout } = await operator.fleetctl('registry', '--no-legend');
    return [...stdout.matchAll(/^(k\d) +(\S+)/gm)]
      .map(([, name, state]) => `${name} ${state}`)
      .sort((a, b) => (a < b ? -1 : 1))
      .join(', ');
  };
  /** A change ends when a majority has it, so one voter of a busy box can be behind until the next change. */
  const voters = async (): Promise<string> => (await states()).replace(' behind', ' current');

  it('leave a machine that is drained', async () => {
    operator.write('web@.service', SLEEPER);
    expect((await operator.fleetctl('start', 'web@1', 'web@2')).status).toBe(0);
    expect(await voters()).toBe('k1 current, k2 current, k3 current');
    const { stderr } = await operator.fleetctl('drain', 'k1');
    expect(stderr).toContain('k4 is now a voter of the registry instead of k1');
    expect(await voters()).toBe('k2 current, k3 current, k4 current');
    expect((await operator.fleetctl('events')).stdout).toContain(
      'k4 is now a voter of the registry instead of k1',
    );
    // A former voter is not needed any more.
    await inside('k1', 'rm -r /var/lib/fleet/registry');
    expect((await operator.fleetctl('list-unit-files', '--fields=unit', '--no-legend')).stdout).toContain(
      'web@2',
    );
    expect((await operator.fleetctl('uncordon', 'k1')).status).toBe(0);
    expect((await operator.fleetctl('reconcile')).status).toBe(0);
    expect(await voters()).toBe('k2 current, k3 current, k4 current');
  });

  it('are found by "join" over a machine that is none, which only tells where they are', async () => {
    await operator.fleetctl('start', 'web@joined');
    expect(await inside('k1', 'cat /var/lib/fleet/voters')).toMatch(/^k[234] \S+ k[234] \S+ k[234] \S+\n$/);
    const bob = new Operator();
    onTestFinished(() => bob.remove());
    const words = (known: string): readonly string[] => [
      ...['join', '--ssh-identity-file', IDENTITY_FILE, '--known-hosts-file', known, '--ssh-timeout=5s'],
      `root@${addressOf('k1')}`,
    ];
    const join = (known: string): Promise<Outcome> => bob.fleetctl(...words(known));
    const known = bob.write('known', `${addressOf('k1')} ${hostKeyOf('k1')}\n`);
    const unknown = await join(known);
    expect(unknown.status).toBe(1);
    expect(
      unknown.stderr.match(/cannot reach machine "k[234]" \S+: its host key is not known/g),
    ).toHaveLength(3);
    expect(unknown.stderr).toContain('--strict-host-key-checking=accept-new');
    const joined = await join(KNOWN_HOSTS_FILE);
    expect([joined.status, joined.stdout]).toEqual([
      0,
      expect.stringMatching(/^Joined cluster \S+: machines 4, units 3\nWrote HERE\/fleet.conf\n$/),
    ]);
    expect(await bob.fleetctl('list-unit-files')).toEqual(await operator.fleetctl('list-unit-files'));
    // A fleet.conf without any voter creates no second registry of the cluster.
    const carol = new Operator();
    onTestFinished(() => carol.remove());
    carol.configure({ machines: ['k1'], top: { registry: 'machines' } });
    for (const words of [['registry'], ['recover', '--yes', '--trust', 'k1'], ['stop', 'web@joined']]) {
      const { status, stderr } = await carol.fleetctl(...words);
      expect([words, status, stderr]).toEqual([
        words,
        5,
        expect.stringContaining('voters that fleet.conf lacks: k1.'),
      ]);
      expect(stderr).toMatch(/"fleetctl join --config FILE USER@\S+"/);
    }
    expect(await inside('k1', 'ls /var/lib/fleet/registry/*.register 2>&1 || true')).toContain(
      'No such file',
    );
    // A machine that claims to be of a cluster whose registry is elsewhere.
    await inside('k1', 'cd /var/lib/fleet; cp cluster kept; echo other >cluster');
    const lying = await bob.fleetctl('--config', 'other.conf', ...words(KNOWN_HOSTS_FILE));
    await inside('k1', 'cd /var/lib/fleet; mv kept cluster');
    expect(lying.status).toBe(1);
    expect(lying.stderr).toContain('has the registry of another cluster');
    expect((await operator.fleetctl('destroy', 'web@joined')).status).toBe(0);
  });

  const start = fleetdStarter(operator);
  it('are replaced by fleetd when one is lost, without a command', async () => {
    expect((await operator.fleetctl('machines', 'distrust', 'k1')).status).toBe(0);
    const fleetd = start();
    await eventually(
      () => fleetd.leads,
      20_000,
      () => fleetd.text,
    );
    // The leader lock was created without the machine that is distrusted.
    const locks = await insideAll(
      ['k1', 'k2'],
      'ls /var/lib/fleet/registry/leader.register 2>/dev/null || true',
    );
    expect(locks).toEqual(['', '/var/lib/fleet/registry/leader.register\n']);
    expect((await operator.fleetctl('machines', 'accept', 'k1')).status).toBe(0);
    await cluster('kill', 'k2');
    try {
      const { message } = await fleetd.logged('voters', {}, 80_000);
      expect(message).toBe('k1 is now a voter of the registry instead of k2');
      // The loss of a second one is survived now.
      await cluster('cut', 'k3');
      expect((await operator.fleetctl('cat', 'web@1.service')).status).toBe(0);
    } finally {
      await cluster('heal', 'k3');
      await cluster('start', 'k2');
    }
    // A voter that was away gets what it lacks when fleetd stores that it is back.
    await expect.poll(states, { interval: 500 }).toBe('k1 current, k3 current, k4 current');
    await fleetd.end();
  });

  it('continue without a majority that is lost, after a confirmation, and report it when it returns', async () => {
    const fleetd = start();
    const leads = (): Promise<unknown> =>
      eventually(
        () => fleetd.leads,
        30_000,
        () => fleetd.text,
      );
    await leads();
    await Promise.all([cluster('kill', 'k3'), cluster('kill', 'k4')]);
    await fleetd.logged('election-failed', {}, 30_000);
    const status = await operator.fleetctl('registry');
    expect([status.status, status.stdout]).toEqual([5, expect.stringMatching(/^k3 +unreachable/m)]);
    const refused = await operator.fleetctl('recover');
    expect([refused.status, refused.stderr]).toEqual([2, expect.stringContaining('fleetctl recover --yes')]);
    expect(refused.stderr).toMatch(/cannot be read: (k3, k4|k4, k3)\n.* on k1; its last event was at /);
    const recovered = await operator.fleetctl('recover', '--yes');
    expect(recovered.stdout).toMatch(/^Rebuilt the registry without .*\nVoters: k1\n/);
    expect(recovered.stderr).toContain('hint: The registry has 1 of 3 voters.');
    const again = await operator.fleetctl('recover', '--yes');
    expect([again.status, again.stderr]).toEqual([1, expect.stringContaining('nothing was changed')]);
    expect(await voters()).toMatch(/^k1 current/);
    await leads();
    await fleetd.end();
    expect((await operator.fleetctl('start', 'web@3')).stdout).toContain('Unit web@3.service launched');
    await Promise.all([cluster('start', 'k3'), cluster('start', 'k4')]);
    const { stdout, stderr } = await operator.fleetctl('registry');
    expect(stdout.match(/ former /g)).toHaveLength(3);
    // All that they have is in the recovered one.
    expect(stderr).toBe('');
    const other = new Operator();
    onTestFinished(() => other.remove());
    other.configure({ machines: ['k3', 'k4'], top: { registry: 'machines' } });
    expect((await other.fleetctl('registry', '--no-legend')).stdout).toMatch(/^k1 +current/m);
    expect((await other.fleetctl('cat', 'web@3.service')).status).toBe(0);
    expect((await operator.fleetctl('cat', 'web@3.service')).status).toBe(0);
    expect((await operator.fleetctl('reconcile')).status).toBe(0);
    expect((await voters()).match(/current/g)).toHaveLength(3);
  });

  it('leave a machine that is removed as lost, without another command', async () => {
    const [lost = ''] = (await voters()).split(' ');
    await cluster('kill', lost);
    try {
      const { status, stderr } = await operator.fleetctl('machines', 'remove', lost, '--lost');
      expect([status, stderr]).toEqual([
        0,
        expect.stringMatching(`^k\\d is now a voter of the registry instead of ${lost}\n`),
      ]);
      expect(await voters()).toMatch(/^k\d current, k\d current, k\d current$/);
    } finally {
      await cluster('start', lost);
    }
  });
});

onMachines('a registry on one of two machines', () => {
  const operator = createOperator({ machines: ['k1', 'k2'], top: { registry: 'machines', listen: 'none' } });

  it('stays when that machine is removed, or the machine stays', async () => {
    operator.write('web.service', SLEEPER);
    expect((await operator.fleetctl('submit', 'web')).status).toBe(0);
    expect((await operator.fleetctl('registry')).stdout).toMatch(/^k1 +current/m);
    await cluster('kill', 'k2');
    try {
      const refused = await operator.fleetctl('machines', 'remove', 'k1');
      expect([refused.status, refused.stderr]).toEqual([
        1,
        expect.stringContaining('Cannot remove machine "k1": it stores the registry'),
      ]);
    } finally {
      await cluster('start', 'k2');
    }
    const { status, stderr } = await operator.fleetctl('machines', 'remove', 'k1');
    expect([status, stderr]).toEqual([
      0,
      expect.stringContaining('k2 is now a voter of the registry instead of k1'),
    ]);
    await cluster('kill', 'k1');
    try {
      expect((await operator.fleetctl('cat', 'web.service')).status).toBe(0);
    } finally {
      await cluster('start', 'k1');
    }
  });
});
