import { describe, expect, it } from 'vitest';
import { parseHead } from '../../src/quorum/head.ts';
import { type AcceptedRounds, Progress } from '../../src/quorum/progress.ts';
import type { QuorumStore } from '../../src/quorum/store.ts';
import type { Change } from '../../src/store/store.ts';
import { type Disk, ModelVoters, openOn } from './model-voters.ts';

const MACHINES = ['m1', 'm2', 'm3', 'm4'];

const put = (key: string): Change => ({ kind: 'put', key, value: '1', ifRevision: 0 });

/** Opens a store as a separate process does, of a user who has seen `accepted` before. */
function open(voters: ModelVoters, accepted: AcceptedRounds = new Map()): QuorumStore {
  return openOn(voters, MACHINES, { accepted });
}

const keysIn = async (store: QuorumStore): Promise<readonly string[]> =>
  (await store.list('')).records.map(({ key }) => key);

const votersIn = async (store: QuorumStore): Promise<readonly string[]> =>
  (await store.status())?.voters.map(({ machine, state }) => `${machine} ${state}`).sort() ?? [];

const diskOf = ({ disks }: ModelVoters, machine: string): Disk => {
  const disk = disks.get(machine);
  if (disk === undefined) throw new Error(`${machine} has stored nothing`);
  return structuredClone(disk);
};

const candidates = MACHINES.map(
  (machine) => ({ machine, answers: true, condition: 'good', mark: undefined }) as const,
);

describe('a voter whose disk was set back', () => {
  /** m1 has a snapshot from before `b`, and m3 was away since then. m2 alone still has everything. */
  const setBack = async (accepted?: AcceptedRounds): Promise<ModelVoters> => {
    const voters = new ModelVoters();
    await open(voters, accepted).commit([put('a')]);
    const snapshot = diskOf(voters, 'm1');
    voters.down.add('m3');
    for (const key of ['b', 'c']) await open(voters, accepted).commit([put(key)]);
    voters.down.delete('m3');
    voters.disks.set('m1', snapshot);
    return voters;
  };

  it('does not count for a user who has seen more of it', async () => {
    const accepted: AcceptedRounds = new Map();
    const voters = await setBack(accepted);
    voters.down.add('m2');
    await expect(open(voters, accepted).list('')).rejects.toThrow(
      'these voters do not answer: m2; these have lost their copy, or have an old one: m1',
    );
    // Another user cannot know it.
    expect(await keysIn(open(voters))).toEqual(['a']);
  });

  it('does not count in the process that has seen more of it', async () => {
    const voters = new ModelVoters();
    const store = open(voters);
    await store.commit([put('a')]);
    const snapshot = diskOf(voters, 'm1');
    await store.commit([put('b')]);
    voters.disks.set('m1', snapshot);
    expect(await keysIn(store)).toEqual(['a', 'b']);
    expect(await votersIn(store)).toEqual(['m1 lost', 'm2 current', 'm3 current']);
    voters.down.add('m3');
    await expect(store.commit([put('c')])).rejects.toThrow('have an old one: m1');
  });

  it('does not count for any process if another voter has a later registry', async () => {
    const voters = new ModelVoters();
    for (const key of ['a', 'b', 'c', 'd']) await open(voters).commit([put(key)]);
    const snapshot = diskOf(voters, 'm1');
    for (const key of ['e', 'f']) await open(voters).commit([put(key)]);
    voters.disks.set('m1', snapshot);
    const store = open(voters);
    await store.commit([put('g')]);
    expect(await votersIn(store)).toEqual(['m1 lost', 'm2 current', 'm3 current']);
    voters.down.add('m2');
    await expect(open(voters).commit([put('h')])).rejects.toThrow('have an old one: m1');
    voters.down.clear();
    expect(await store.tend(candidates)).toEqual([{ gone: ['m1'], come: ['m1'] }]);
    expect(await votersIn(open(voters))).toEqual(['m1 current', 'm2 current', 'm3 current']);
    voters.down.add('m2');
    expect(await keysIn(open(voters))).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g']);
  });

  it('can be recovered from, if all voters were set back, by a user who has seen more of them', async () => {
    const accepted: AcceptedRounds = new Map();
    const voters = new ModelVoters();
    await open(voters, accepted).commit([put('a')]);
    const snapshots = MACHINES.slice(0, 3).map((machine) => [machine, diskOf(voters, machine)] as const);
    await open(voters, accepted).commit([put('b')]);
    for (const [machine, disk] of snapshots) voters.disks.set(machine, disk);
    await expect(open(voters, accepted).list('')).rejects.toMatchObject({
      message: expect.stringContaining('damaged, or copies: m1, m2, m3'),
      hint: expect.stringContaining('fleetctl recover'),
    });
    const remains = await open(voters, accepted).remains();
    expect(remains).toMatchObject({ missing: [], outdated: ['m1', 'm2', 'm3'] });
    await remains?.store.commit([put('rebuilt')]);
    expect(await keysIn(open(voters, accepted))).toEqual(['a', 'rebuilt']);
  });

  it('is not made up by another voter, which alone cannot exclude the rest', async () => {
    const voters = new ModelVoters();
    for (const key of ['a', 'b']) await open(voters).commit([put(key)]);
    const disk = voters.disks.get('m1');
    const { value = '', ballot } = disk?.stored.accepted ?? {};
    const head = parseHead(value);
    if (disk === undefined || head === undefined || !ballot) throw new Error('m1 has no head');
    const states = head.membership.voters.map(({ state }) => state);
    const accepted = Object.fromEntries(states.map((state) => [state, 2 ** 40]));
    const lie = JSON.stringify({ ...JSON.parse(value), accepted });
    disk.stored = { ...disk.stored, accepted: { ballot, value: lie } };
    const store = open(voters);
    for (const key of ['c', 'd']) await store.commit([put(key)]);
    expect(await keysIn(open(voters))).toEqual(['a', 'b', 'c', 'd']);
  });
});

describe('an answer that is overtaken by a later one', () => {
  it('tells of no voter that was set back', () => {
    const progress = new Progress();
    const shown = { machine: 'm1', state: 's1', round: 3 };
    const isSetBack = progress.expect();
    progress.learn({ ...shown, round: 5 }, undefined);
    expect([isSetBack(shown), progress.expect()(shown)]).toEqual([false, true]);
    const voters = ['s1', 's2', 's3'].map((state) => ({ machine: 'm1', state }));
    const head = { membership: { epoch: 1, voters }, accepted: { s2: 5 } };
    const isOld = progress.expect();
    progress.learn(shown, { ...head, cluster: '', revision: 1, segments: [], commits: [] });
    const other = { ...shown, state: 's2' };
    expect([isOld(other), progress.expect()(other)]).toEqual([false, true]);
  });
});

describe('the head of a registry', () => {
  it('is refused with rounds that fleet does not write', async () => {
    const voters = new ModelVoters();
    for (const key of ['a', 'b']) await open(voters).commit([put(key)]);
    const head = parseHead(voters.disks.get('m1')?.stored.accepted?.value ?? '');
    expect(Object.values(head?.accepted ?? {})).toHaveLength(3);
    const text = (accepted: unknown): string =>
      JSON.stringify({ fleet: 'head', format: 1, ...head, accepted });
    expect(parseHead(text(head?.accepted))).toEqual(head);
    for (const accepted of [null, 1, { x: 1 }, { ['0'.repeat(32)]: -1 }, { ['0'.repeat(32)]: '1' }])
      expect(parseHead(text(accepted))).toBeUndefined();
  });
});
