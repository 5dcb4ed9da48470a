import { describe, expect, it } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import { NO_BALLOT } from '../../src/quorum/ballot.ts';
import type { VoterCandidate } from '../../src/quorum/choose.ts';
import type { QuorumOptions } from '../../src/quorum/options.ts';
import type { QuorumStore } from '../../src/quorum/store.ts';
import type { Change, Store } from '../../src/store/store.ts';
import { describeStore } from '../store/conformance.ts';
import { ModelVoters, memoryCache, openOn } from './model-voters.ts';

const belongsTo: QuorumOptions['belongsTo'] = (changes, cluster) =>
  changes.some((change) => change.kind === 'put' && change.value.includes(cluster));

const MACHINES = ['web-1', 'web-2', 'web-3', 'web-4'];

const put = (key: string, value = '1'): Change => ({ kind: 'put', key, value, ifRevision: 0 });

/** Opens stores as separate processes do; `others` replaces options. */
function opener(voters: ModelVoters, others: Partial<QuorumOptions> = {}): () => QuorumStore {
  return () => openOn(voters, MACHINES, { belongsTo, ...others });
}

describeStore('store on machines', async () => {
  const voters = new ModelVoters();
  const open = opener(voters);
  const opened: Store[] = [];
  const reopen = async (): Promise<Store> => {
    const store = open();
    opened.push(store);
    return store;
  };
  return {
    store: await reopen(),
    reopen,
    tearDown: async () => {
      await Promise.all(opened.map((store) => store.close()));
    },
  };
});

describe('a store on machines', () => {
  it('sends and reads only what has changed', async () => {
    const voters = new ModelVoters();
    const first = opener(voters)();
    await first.commit(
      Array.from({ length: 5000 }, (_, i) => ({
        kind: 'put' as const,
        key: `units/${i}`,
        value: 'x'.repeat(900),
        ifRevision: 0,
      })),
    );
    const cache = memoryCache();
    const open = opener(voters, { cache });
    expect((await open().list('')).records).toHaveLength(5000);
    voters.sent = voters.received = voters.requests = 0;
    expect((await open().list('')).records).toHaveLength(5000);
    expect({ received: voters.received, requests: voters.requests }).toEqual({ received: 0, requests: 3 });
    const second = open();
    for (let i = 0; i < 50; i++)
      await second.commit([{ kind: 'put', key: `more/${i}`, value: 'y'.repeat(900), ifRevision: 0 }]);
    // A value of 900 characters is written again a few times, and each time to three voters.
    expect(voters.sent).toBeLessThan(50 * 900 * 3 * 6);
    // Those of the present head and of the one before.
    expect(cache.known().length).toBeLessThan(30);
    await second.close();
  });

  it('needs one request to each voter for the first change, if that is prepared by the first look', async () => {
    const voters = new ModelVoters();
    await opener(voters)().commit([put('a')]);
    const requestsOf = async (reserves: boolean): Promise<number> => {
      const store = opener(voters, { reserves })();
      const { revision } = await store.list('');
      voters.requests = 0;
      expect(await store.commit([put(`b${revision}`)], revision)).toMatchObject({ kind: 'committed' });
      return voters.requests;
    };
    expect([await requestsOf(true), await requestsOf(false)]).toEqual([3, 6]);
    // A promise to one process ends that to another.
    const [first, second] = [opener(voters, { reserves: true })(), opener(voters, { reserves: true })()];
    for (const store of [first, second]) await store.list('');
    voters.requests = 0;
    await second.commit([put('c')]);
    expect(voters.requests).toBe(3);
    await first.commit([put('d')]);
    expect((await second.list('')).records.map(({ key }) => key)).toEqual(['a', 'b1', 'b2', 'c', 'd']);
  });

  it.each([['web-1'], ['web-2'], ['web-3']])('reads and commits while %s is down', async (machine) => {
    const voters = new ModelVoters();
    const open = opener(voters);
    await open().commit([put('a')]);
    voters.down.add(machine);
    const store = open();
    expect(await store.commit([put('b', '2')])).toEqual({
      kind: 'committed',
      revision: 2,
    });
    voters.down.clear();
    expect((await open().list('')).records.map(({ key }) => key)).toEqual(['a', 'b']);
  });

  it('creates no registry while a machine does not answer, because it may have one', async () => {
    const voters = new ModelVoters();
    voters.down.add('web-4');
    const store = opener(voters)();
    await expect(store.commit([put('a')])).rejects.toThrow(/Cannot find the registry/);
  });

  it.each(MACHINES.slice(0, 3))('reads its contents and commits while %s hangs', async (machine) => {
    const voters = new ModelVoters();
    const open = opener(voters);
    await open().commit([put('a')]);
    voters.hung.add(machine);
    const store = open();
    expect((await store.list('')).records).toHaveLength(1);
    expect(await store.commit([put('b')])).toEqual({ kind: 'committed', revision: 2 });
  });

  it('does not begin again when all voters have copies, and names them', async () => {
    const voters = new ModelVoters();
    await opener(voters)().commit([put('a')]);
    for (const machine of MACHINES.slice(0, 3)) voters.copied.add(machine);
    const message =
      'Cannot find the registry: its files on these machines are damaged, or copies: web-1, web-2, web-3';
    await expect(opener(voters)().list('')).rejects.toThrow(message);
    await expect(opener(voters)().commit([put('b')])).rejects.toThrow(message);
  });

  it('finds a registry that another process has created, or rebuilt on other voters, without a restart', async () => {
    const voters = new ModelVoters();
    const open = opener(voters);
    const old = open();
    await old.commit([put('a')]);
    voters.disks.clear();
    await open().commit([put('b')]);
    await expect(old.list('')).rejects.toThrow(/have lost their copy/);
    expect((await old.list('')).records.map(({ key }) => key)).toEqual(['b']);
    voters.disks.clear();
    await open().commit([put('c')]);
    await expect(old.commit([put('d')])).rejects.toThrow(/have lost their copy/);
    expect(await old.commit([put('d')])).toEqual({ kind: 'committed', revision: 2 });
  });

  it('says which voters have lost their copy', async () => {
    const voters = new ModelVoters();
    await opener(voters)().commit([put('a')]);
    voters.copied.add('web-1');
    voters.down.add('web-2');
    await expect(opener(voters)().list('')).rejects.toThrow(
      'these voters do not answer: web-2; these have lost their copy, or have an old one: web-1',
    );
  });

  it('is created on machines of a cluster only for that cluster', async () => {
    const voters = new ModelVoters();
    voters.owners.set('web-2', 'c1');
    await expect(opener(voters)().commit([put('a')])).rejects.toThrow(/"web-2" belongs to cluster "c1"/);
    const cluster = put('cluster', JSON.stringify({ version: 1, id: 'c1' }));
    expect(await opener(voters)().commit([cluster])).toEqual({ kind: 'committed', revision: 1 });
  });

  it('is neither empty nor created if other machines may have it', async () => {
    const voters = new ModelVoters();
    for (const machine of ['web-2', 'web-3']) voters.owners.set(machine, 'c1');
    const asked: (readonly string[])[] = [];
    const confirmAbsence = async (owned: readonly string[]): Promise<void> => {
      asked.push(owned.toSorted());
      throw new FleetError('registry-no-majority', 'other voters');
    };
    const open = opener(voters, { confirmAbsence });
    const cluster = put('cluster', JSON.stringify({ version: 1, id: 'c1' }));
    await expect(open().list('')).rejects.toThrow('other voters');
    await expect(open().commit([cluster])).rejects.toThrow('other voters');
    await expect(open().status()).rejects.toThrow('other voters');
    expect(new Set(asked.map((names) => names.join(' ')))).toEqual(new Set(['web-2 web-3']));
    expect([...voters.disks.values()].every(({ state }) => state === undefined)).toBe(true);
    await opener(voters)().commit([cluster]);
    expect((await open().list('')).revision).toBe(1);
  });

  it('does not hide an error of the program', async () => {
    const voters = new ModelVoters();
    await opener(voters)().commit([put('a')]);
    const ask: QuorumOptions['ask'] = async (machine, request) => {
      if (machine === 'web-2') throw new TypeError('a defect');
      return voters.ask(machine, request);
    };
    await expect(opener(voters, { ask })().list('')).rejects.toThrow(TypeError);
  });

  it('outvotes a voter that has another value under the same ballot', async () => {
    const voters = new ModelVoters();
    await opener(voters)().commit([put('a')]);
    const disk = voters.disks.get('web-1');
    const accepted = disk?.stored.accepted;
    if (disk === undefined || accepted === undefined) throw new Error('web-1 has stored nothing');
    const value = accepted.value.replace('"revision":1', '"revision":9');
    disk.stored = { ...disk.stored, accepted: { ...accepted, value } };
    expect((await opener(voters)().list('')).revision).toBe(1);
    const states = (await opener(voters)().status())?.voters;
    expect(states?.map(({ machine, state }) => `${machine} ${state}`)).toEqual([
      expect.stringMatching(/^web-1 (current|lost)$/),
      'web-2 current',
      'web-3 current',
    ]);
  });

  const candidates = (
    names: readonly string[],
    conditions: Record<string, VoterCandidate['condition']> = {},
  ) =>
    names.map((machine): VoterCandidate => {
      const condition = conditions[machine] ?? 'good';
      return { machine, answers: condition !== 'lost', condition, mark: undefined };
    });
  const votersOf = async (store: QuorumStore): Promise<readonly string[]> =>
    (await store.status())?.voters.map(({ machine, state }) => `${machine} ${state}`).sort() ?? [];

  const damage: [what: string, value: string][] = [
    ['garbage', 'x\u0000{'],
    ['a huge value', `{"fleet":"head","format":1,"commits":"${'x'.repeat(1_000_000)}"}`],
  ];
  it.each(damage)('outvotes and reports a voter with %s', async (_, value) => {
    const voters = new ModelVoters();
    await opener(voters)().commit([put('a')]);
    const disk = voters.disks.get('web-1');
    const accepted = disk?.stored.accepted;
    if (disk === undefined || accepted === undefined) throw new Error('web-1 has stored nothing');
    disk.stored = { ...disk.stored, accepted: { ballot: { round: 99, proposer: 1 }, value } };
    const store = opener(voters)();
    await store.commit([put('b')]);
    expect((await opener(voters)().list('')).records.map(({ key }) => key)).toEqual(['a', 'b']);
    expect(await votersOf(store)).toEqual(['web-1 lost', 'web-2 current', 'web-3 current']);
    expect(await store.tend(candidates(MACHINES))).toEqual([{ gone: ['web-1'], come: ['web-1'] }]);
    expect(await votersOf(store)).toEqual(['web-1 current', 'web-2 current', 'web-3 current']);
  });

  it('completes a commit of a process that died, with contents that only one voter has', async () => {
    const voters = new ModelVoters();
    await opener(voters)().commit([put('a')]);
    const ask: QuorumOptions['ask'] = async (machine, request) => {
      if (machine !== 'web-2' && request.action.kind === 'accept')
        throw new FleetError('ssh-refused', 'died');
      return voters.ask(machine, request);
    };
    await expect(opener(voters, { ask })().commit([put('b')])).rejects.toThrow(/Cannot confirm/);
    voters.down.add('web-1');
    expect((await opener(voters)().list('')).records.map(({ key }) => key)).toEqual(['a', 'b']);
  });

  it('looks twice before it knows that there is no registry', async () => {
    const voters = new ModelVoters();
    await opener(voters)().commit([put('a')]);
    const asked = new Set<string>();
    const ask: QuorumOptions['ask'] = async (machine, request) => {
      const answer = await voters.ask(machine, request);
      if (asked.has(machine)) return answer;
      // The registry was on another machine when this one was asked, which had lost it when it was asked.
      asked.add(machine);
      return { ...answer, state: undefined, stored: { promised: NO_BALLOT } };
    };
    expect((await opener(voters, { ask })().list('')).revision).toBe(1);
  });

  it('names the voters that are missing for a majority', async () => {
    const voters = new ModelVoters();
    const open = opener(voters);
    await open().commit([put('a')]);
    voters.down.add('web-1').add('web-3');
    await expect(open().list('')).rejects.toThrow(/do not answer: web-1, web-3/);
    const status = await open().status();
    expect([status?.revision, status?.withoutMajority?.code]).toEqual([1, 'registry-no-majority']);
    expect(status?.voters.map(({ machine, state }) => `${machine} ${state}`)).toEqual([
      'web-1 unreachable',
      'web-2 current',
      'web-3 unreachable',
    ]);
  });

  it('asks no machine twice for a majority that is not there', async () => {
    const voters = new ModelVoters();
    const open = opener(voters);
    await open().commit([put('a')]);
    voters.down.add('web-1').add('web-3');
    voters.requests = 0;
    await expect(open().list('')).rejects.toThrow(/do not answer: web-1, web-3/);
    expect(voters.requests).toBe(MACHINES.length);
    voters.requests = 0;
    await open().status();
    // The two that answer tell what they have, and web-2 is asked for its contents and its state.
    expect(voters.requests).toBeLessThanOrEqual(MACHINES.length + 3);
  });

  it('names the cause for each voter that is up, with the hint of the first', async () => {
    const voters = new ModelVoters();
    const open = opener(voters);
    await open().commit([put('a')]);
    voters.down.add('web-1');
    voters.refusing.set('web-2', 'ssh-host-key').set('web-3', 'ssh-authentication');
    const read = open().list('');
    await expect(read).rejects.toMatchObject({
      message:
        'Cannot find the registry: no machine that answers has it; these do not answer: web-1; cannot reach web-2: ssh-host-key; cannot reach web-3: ssh-authentication',
      hint: 'Repair ssh-host-key',
    });
    voters.refusing.delete('web-2');
    await expect(open().list('')).rejects.toMatchObject({
      message:
        'Cannot read the registry: these voters do not answer: web-1; cannot reach web-3: ssh-authentication',
      hint: 'Repair ssh-authentication',
    });
    await expect(open().commit([put('b')])).rejects.toThrow('Cannot change the registry: these voters');
  });

  it('names the machines that were voters, and says how to continue without them', async () => {
    const voters = new ModelVoters();
    await opener(voters)().commit([put('a')]);
    for (const machine of MACHINES) if (machine !== 'web-3') voters.down.add(machine);
    voters.disks.delete('web-3');
    voters.owners.set('web-3', 'c1');
    const asked: string[] = [];
    const named = async (owned: readonly string[]) => {
      asked.push(...owned);
      return ['web-1', 'web-3'];
    };
    await expect(opener(voters, { voters: named })().list('')).rejects.toMatchObject({
      message:
        'Cannot find the registry: no machine that answers has it; these machines were its voters and do not answer: web-1',
      hint: expect.stringMatching(/lost permanently, remove them from fleet\.conf, .* fleetctl recover$/),
    });
    expect(asked).toEqual(['web-3']);
  });

  it('finds its voters although all machines that are likelier ones hang', async () => {
    const voters = new ModelVoters();
    const names = ['web-1', 'web-2', 'web-3', 'web-4', 'web-5', 'web-6'];
    const machines = names.map((machine) => ({ machine, mark: undefined }));
    const late = machines.map((each) => ({ ...each, mark: each.machine > 'web-3' }));
    await opener(voters, { machines: late })().commit([put('a')]);
    for (const machine of names.slice(0, 3)) voters.hung.add(machine);
    expect((await opener(voters, { machines })().list('')).records).toHaveLength(1);
  }, 30_000);

  it('gives a voter that lost its disk a new copy', async () => {
    const voters = new ModelVoters();
    const open = opener(voters);
    await open().commit([put('a')]);
    voters.disks.delete('web-2');
    const store = open();
    await store.commit([put('b', '2')]);
    await store.commit([put('c', '3')]);
    expect(await store.tend(candidates(MACHINES))).toEqual([{ gone: ['web-2'], come: ['web-2'] }]);
    expect(await store.tend(candidates(MACHINES))).toEqual([]);
    voters.down.add('web-1');
    expect((await open().list('')).records.map(({ value }) => value)).toEqual(['1', '2', '3']);
    expect(await votersOf(open())).toEqual(['web-1 unreachable', 'web-2 current', 'web-3 current']);
  });

  it('moves voters from machines that are lost and drained, with everything that it holds', async () => {
    const voters = new ModelVoters();
    const open = opener(voters);
    await open().commit([put('a')]);
    voters.down.add('web-1');
    const store = open();
    expect((await store.list('')).records).toHaveLength(1);
    voters.requests = 0;
    expect(await store.tend(candidates(MACHINES))).toEqual([]);
    expect(voters.requests).toBe(0);
    expect(await store.tend(candidates(MACHINES, { 'web-1': 'lost' }))).toEqual([
      { gone: ['web-1'], come: ['web-4'] },
    ]);
    // Another minority may fail now, and the former voter returns with its old state.
    voters.down.add('web-2');
    await store.commit([put('b')]);
    voters.down.delete('web-1');
    expect((await open().list('')).records.map(({ key }) => key)).toEqual(['a', 'b']);
    voters.down.clear();
    expect(await votersOf(open())).toEqual(['web-2 behind', 'web-3 current', 'web-4 current']);
    const machines = [...MACHINES, 'web-5', 'web-6'].map((machine) => ({ machine, mark: undefined }));
    const other = opener(voters, { machines })();
    await other.list('');
    const drained = candidates([...MACHINES, 'web-5', 'web-6'], { 'web-2': 'drained', 'web-3': 'drained' });
    expect(await other.tend(drained)).toHaveLength(2);
    expect((await votersOf(other)).join()).not.toMatch(/web-[23]/);
    expect((await other.list('')).records.map(({ key }) => key)).toEqual(['a', 'b']);
  });

  it('finds its voters although none of the first machines is one any more', async () => {
    const voters = new ModelVoters();
    const names = ['web-1', 'web-2', 'web-3', 'web-4', 'web-5', 'web-6'];
    const machines = names.map((machine) => ({ machine, mark: undefined }));
    const open = opener(voters, { machines });
    const store = open();
    await store.commit([put('a')]);
    const drained = { 'web-1': 'drained', 'web-2': 'drained', 'web-3': 'drained' } as const;
    expect(await store.tend(candidates(names, drained))).toHaveLength(3);
    await store.commit([put('b')]);
    // One former voter was reinstalled, so that the others are no majority of the former voters.
    voters.disks.delete('web-1');
    voters.disks.delete('web-2');
    expect((await open().list('')).records.map(({ key }) => key)).toEqual(['a', 'b']);
    voters.down.add('web-1').add('web-4');
    expect((await open().list('')).records.map(({ key }) => key)).toEqual(['a', 'b']);
  });

  it('has more voters in a larger cluster, and fewer in a smaller one', async () => {
    const voters = new ModelVoters();
    const two = ['web-1', 'web-2'].map((machine) => ({ machine, mark: undefined }));
    const store = opener(voters, { machines: two })();
    await store.commit([put('a')]);
    expect(await votersOf(store)).toEqual(['web-1 current']);
    const grown = opener(voters)();
    await grown.list('');
    expect(await grown.tend(candidates(MACHINES))).toEqual([{ gone: [], come: ['web-2', 'web-3'] }]);
    voters.down.add('web-1');
    expect((await opener(voters)().list('')).records).toHaveLength(1);
    voters.down.clear();
    expect(await grown.tend(candidates(['web-2', 'web-3']))).toHaveLength(1);
    expect(await votersOf(grown)).toHaveLength(1);
    expect((await opener(voters)().list('')).records).toHaveLength(1);
  });

  it('creates the registry on the machines that are marked', async () => {
    const voters = new ModelVoters();
    const machines = MACHINES.map((machine) => ({ machine, mark: machine === 'web-1' ? false : undefined }));
    const store = opener(voters, { machines })();
    await store.commit([put('a')]);
    expect(await votersOf(store)).toEqual(['web-2 current', 'web-3 current', 'web-4 current']);
  });

  it('creates the registry without machines that its first commit excludes', async () => {
    const voters = new ModelVoters();
    const conditionsIn: QuorumOptions['conditionsIn'] = ({ records }) => {
      return (machine) => (records.some(({ key }) => key === `excluded/${machine}`) ? 'excluded' : 'good');
    };
    const open = opener(voters, { conditionsIn });
    await expect(open().commit(MACHINES.map((machine) => put(`excluded/${machine}`)))).rejects.toThrow(
      'no machine of fleet.conf may store it',
    );
    expect([...voters.disks.values()].filter(({ state }) => state !== undefined)).toEqual([]);
    const store = open();
    await store.commit([put('a'), put('excluded/web-1')]);
    expect(await votersOf(store)).toEqual(['web-2 current', 'web-3 current', 'web-4 current']);
  });

  it.each([
    ['that is lower than the highest one', 2 ** 30],
    ['that no proposer of fleet promised', 2 ** 40],
    ['after which there is none', 2 ** 48],
  ])('brings a voter up to date that promised a round %s', async (_, round) => {
    const voters = new ModelVoters();
    const open = opener(voters);
    await open().commit([put('a')]);
    const disk = voters.disks.get('web-3');
    if (disk === undefined) throw new Error('web-3 has stored nothing');
    disk.stored = { ...disk.stored, promised: { round, proposer: 1 } };
    const store = open();
    await store.list('');
    for (const key of ['b', 'c', 'd']) await store.commit([put(key)]);
    await store.tend(candidates(MACHINES));
    await store.commit([put('e')]);
    expect(await votersOf(open())).toEqual(['web-1 current', 'web-2 current', 'web-3 current']);
    const rounds = [...voters.disks.values()].map(({ stored }) => stored.promised.round);
    expect(Math.max(...rounds)).toBeLessThan(2 ** 31);
  });
});
