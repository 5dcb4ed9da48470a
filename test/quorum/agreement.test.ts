import { describe, expect, it } from 'vitest';
import { agreementOf, type Holding } from '../../src/quorum/agreement.ts';
import type { Head } from '../../src/quorum/head.ts';
import { inNextEra, type Membership } from '../../src/quorum/membership.ts';
import type { Change } from '../../src/store/store.ts';
import { ModelVoters, memoryCache, openOn } from './model-voters.ts';

/** A machine has the state of its name. */
const membership = (epoch: number, ...names: readonly string[]): Membership => ({
  epoch,
  voters: names.map((name) => ({ machine: name, state: name })),
});

const held = (machine: string, of: Membership, cluster = 'ours'): Holding => {
  const head: Head = { membership: of, cluster, revision: 1, segments: [], commits: [] };
  return { machine, state: machine, head };
};

const THREE = membership(4, 'a', 'b', 'c');
const LATER = inNextEra(0, [{ machine: 'd', state: 'd' }], 1);

describe('the registry that machines have', () => {
  it.each<readonly [string, readonly Holding[], unknown]>([
    ['none', [], { kind: 'none' }],
    ['that of all', ['a', 'b', 'c'].map((name) => held(name, THREE)), { support: 3, isConfirmed: true }],
    ['that of one of three voters', [held('a', THREE)], { support: 1, isConfirmed: false }],
    [
      'not that of one machine with a higher epoch',
      [held('d', membership(99, 'd'), 'theirs'), held('a', THREE), held('b', THREE)],
      { support: 2, isConfirmed: true, head: { cluster: 'ours' } },
    ],
    [
      'not that of one machine with a higher epoch of the same cluster',
      [held('d', membership(99, 'd')), held('a', THREE), held('b', THREE)],
      { isConfirmed: true, head: { membership: { epoch: 4 } } },
    ],
    [
      'not one in which a machine names others',
      [held('d', membership(99, 'a', 'b', 'd'), 'theirs'), held('a', THREE), held('b', THREE)],
      { head: { cluster: 'ours' } },
    ],
    [
      'that of the later voters',
      [held('a', THREE), held('b', membership(5, 'b', 'c', 'd')), held('c', membership(5, 'b', 'c', 'd'))],
      { isConfirmed: true, head: { membership: { epoch: 5 } } },
    ],
    [
      'disputed, if as many machines have another one',
      [held('d', membership(99, 'd'), 'theirs'), held('a', THREE)],
      { kind: 'disputed', holders: [['d'], ['a']] },
    ],
    ['that of a later era', [held('d', LATER), held('a', THREE)], { head: { membership: LATER } }],
    [
      'that of a later era, also if a majority of the voters before is back',
      [held('d', LATER), held('a', THREE), held('b', THREE)],
      { head: { membership: LATER } },
    ],
    [
      'that of a voter before one that is none',
      [held('d', membership(5, 'e')), held('a', THREE)],
      { support: 1, head: { membership: THREE } },
    ],
    [
      'that of a machine that is no voter of it, if no voter is left',
      [held('d', THREE)],
      { support: 1, isConfirmed: false, head: { membership: THREE } },
    ],
  ])('is %s', (_, holdings, expected) => {
    expect(agreementOf(holdings)).toMatchObject(expected as object);
    const kind = (agreed: ReturnType<typeof agreementOf>): string => agreed.kind;
    expect(kind(agreementOf(holdings.toReversed()))).toBe(kind(agreementOf(holdings)));
  });
});

describe('a store on machines of which one has another registry', () => {
  const put = (key: string): Change => ({ kind: 'put', key, value: '1', ifRevision: 0 });
  const open = (voters: ModelVoters, names: readonly string[], cache = memoryCache()) =>
    openOn(voters, names, { machinesIn: () => NAMES, cache });
  const keysOf = async (voters: ModelVoters, names: readonly string[]) => {
    const { records } = await open(voters, names).list('');
    return records.map(({ key }) => key);
  };
  const NAMES = ['a', 'b', 'c', 'd'];

  /** A cluster on all machines, of which `alone` then creates a separate one, and claims a higher epoch. */
  const forged = async (alone: string): Promise<ModelVoters> => {
    const voters = new ModelVoters();
    await open(voters, NAMES).commit([put('ours')]);
    voters.disks.delete(alone);
    await open(voters, [alone]).commit([put('theirs')]);
    const disk = voters.disks.get(alone);
    const accepted = disk?.stored.accepted;
    if (disk === undefined || accepted === undefined) throw new Error('no registry was created');
    const value = accepted.value.replace('"epoch":1', '"epoch":99');
    expect(value).not.toBe(accepted.value);
    disk.stored = { ...disk.stored, accepted: { ...accepted, value } };
    return voters;
  };

  it.each(NAMES)('reads that of the others, and leaves that of %s as it is', async (alone) => {
    const voters = await forged(alone);
    const before = structuredClone(voters.disks.get(alone));
    for (const names of [NAMES, NAMES.toReversed()]) expect(await keysOf(voters, names)).toEqual(['ours']);
    const store = open(voters, NAMES);
    await store.commit([put('more')]);
    const candidates = NAMES.map((machine) => ({
      ...({ machine, answers: true, condition: 'good', mark: machine === alone ? true : undefined } as const),
    }));
    await store.tend(candidates);
    expect(await keysOf(voters, NAMES)).toEqual(['more', 'ours']);
    expect(voters.disks.get(alone)).toEqual(before);
  });

  it('reads none while it cannot tell, and names the machines', async () => {
    const voters = await forged('d');
    voters.down.add('b').add('c');
    await expect(open(voters, NAMES).list('')).rejects.toThrow(
      'Cannot tell which registry is that of the cluster: these machines have different ones: a; d',
    );
  });

  it('asks the machines that the registry names, if those of fleet.conf are others', async () => {
    const voters = await forged('d');
    await expect(open(voters, ['d']).list('')).rejects.toThrow('different ones: a and b and c; d');
    expect(await keysOf(voters, ['a', 'b'])).toEqual(['ours']);
    voters.down.add('a').add('b').add('c');
    await expect(open(voters, ['d']).list('')).rejects.toThrow(
      'Cannot tell whether the registry is that of the cluster: only d has it; these do not answer: a, b, c',
    );
    voters.down.delete('b');
    voters.refusing.set('b', 'ssh-host-key');
    await expect(open(voters, ['d']).list('')).rejects.toMatchObject({
      message: expect.stringContaining('these do not answer: a, c; cannot reach b: ssh-host-key'),
      hint: 'Repair ssh-host-key',
    });
  });

  it('asks them also if a registry that this user knows names them only now', async () => {
    const voters = await forged('d');
    const cache = memoryCache();
    const alone = () =>
      openOn(voters, ['d'], {
        cache,
        machinesIn: ({ records }) => (records.some(({ key }) => key === 'more') ? NAMES : ['d']),
      });
    await alone().list('');
    await alone().commit([put('more')]);
    await expect(alone().list('')).rejects.toThrow('different ones: a and b and c; d');
  });

  it('counts for the process that has created it, when it names more machines', async () => {
    const voters = new ModelVoters();
    const first = openOn(voters, ['a', 'b', 'c'], {
      machinesIn: ({ records }) => (records.length > 1 ? NAMES : NAMES.slice(0, 3)),
    });
    await first.commit([put('ours')]);
    await open(voters, NAMES).commit([put('more')]);
    expect((await first.list('')).records.map(({ key }) => key)).toEqual(['more', 'ours']);
  });

  it('needs as many machines as are a majority of its voters, unless all answer or this user knows it', async () => {
    const voters = await forged('d');
    const cache = memoryCache();
    expect(await open(voters, NAMES, cache).list('')).toMatchObject({ records: [{ key: 'ours' }] });
    voters.down.add('a').add('b').add('c');
    for (const known of [memoryCache(), cache])
      await expect(open(voters, NAMES, known).list('')).rejects.toThrow('only d has it');

    const rebuilt = new ModelVoters();
    rebuilt.down.add('b');
    await open(rebuilt, ['a'], cache).commit([put('alone')]);
    const other = memoryCache();
    await expect(open(rebuilt, ['a', 'b', 'c'], other).list('')).rejects.toThrow('only a has it');
    expect(await open(rebuilt, ['a', 'b', 'c'], cache).list('')).toMatchObject({
      records: [{ key: 'alone' }],
    });
    rebuilt.down.clear();
    expect(await open(rebuilt, ['a', 'b', 'c'], other).list('')).toMatchObject({
      records: [{ key: 'alone' }],
    });
  });

  it('makes no voter of a machine of another cluster', async () => {
    const voters = new ModelVoters();
    for (const name of NAMES.slice(0, 3)) voters.owners.set(name, 'ours');
    await open(voters, NAMES).commit([put('ours')]);
    voters.owners.set('d', 'theirs');
    const candidates = NAMES.map((machine) => ({
      ...({
        machine,
        answers: true,
        condition: machine === 'a' ? 'drained' : 'good',
        mark: undefined,
      } as const),
    }));
    expect(await open(voters, NAMES).tend(candidates)).toEqual([]);
    voters.owners.delete('d');
    expect(await open(voters, NAMES).tend(candidates)).toEqual([{ gone: ['a'], come: ['d'] }]);
  });
});
