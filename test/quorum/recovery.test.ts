import { describe, expect, it } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import type { VoterCandidate } from '../../src/quorum/choose.ts';
import type { AcceptedRounds } from '../../src/quorum/progress.ts';
import type { QuorumStore } from '../../src/quorum/store.ts';
import type { AskVoter, VoterRequest } from '../../src/quorum/voters.ts';
import type { Change } from '../../src/store/store.ts';
import { EMPTY_DISK, ModelVoters, memoryCache, openOn } from './model-voters.ts';

const MACHINES = ['m1', 'm2', 'm3', 'm4', 'm5'];

const put = (key: string): Change => ({ kind: 'put', key, value: '1', ifRevision: 0 });

/** Opens stores as separate processes do. */
function opener({ ask }: { readonly ask: AskVoter }, names?: readonly string[]): () => QuorumStore {
  const others = names !== undefined && { machinesIn: () => MACHINES };
  return () => openOn({ ask }, names ?? MACHINES, { ...others });
}

/** m1 and m2 have the registry from before a recovery, m3, m4 and m5 the later one. All answer. */
async function recovered(): Promise<ModelVoters> {
  const voters = new ModelVoters();
  await opener(voters)().commit([put('a')]);
  voters.down.add('m1').add('m2');
  await (await opener(voters)().remains())?.store.commit([put('rebuilt')]);
  voters.down.clear();
  return voters;
}

const keysIn = async (store: QuorumStore): Promise<readonly string[]> =>
  (await store.list('')).records.map(({ key }) => key);

describe('a registry without a majority of its voters', () => {
  it('continues with the newest state that is left', async () => {
    const voters = new ModelVoters();
    const open = opener(voters);
    await open().commit([put('a')]);
    voters.down.add('m3');
    await open().commit([put('b')]);
    voters.down.delete('m3');
    expect(await open().remains()).toBeUndefined();
    voters.down.add('m1');
    voters.disks.delete('m2');
    const store = open();
    await expect(store.list('')).rejects.toThrow('do not answer: m1');
    const remains = await open().remains();
    expect([remains?.holders, remains?.missing.toSorted()]).toEqual([['m3'], ['m1', 'm2']]);
    expect((await remains?.store.list(''))?.records.map(({ key }) => key)).toEqual(['a']);
    expect(await remains?.store.commit([put('rebuilt')])).toEqual({ kind: 'committed', revision: 2 });
    expect(await keysIn(open())).toEqual(['a', 'rebuilt']);
    await open().commit([put('c')]);
    // The one that has "b" returns, and is reported.
    voters.down.clear();
    const { length } = MACHINES;
    expect(await keysIn(open())).toEqual(['a', 'c', 'rebuilt']);
    const states = (await open().status())?.voters;
    expect(states?.filter(({ state }) => state === 'current')).toHaveLength(length === 5 ? 3 : 0);
  });

  it('needs the machines that do not answer, if the others have lost their copies', async () => {
    const voters = new ModelVoters();
    const open = opener(voters);
    await open().commit([put('a')]);
    const before = open();
    await before.list('');
    voters.down.add('m3');
    voters.disks.delete('m1');
    voters.disks.delete('m2');
    const hint = expect.stringMatching(/^Start .* machine.* one .*may have .*fleetctl recover$/);
    await expect(before.list('')).rejects.toMatchObject({ hint });
    await expect(open().list('')).rejects.toMatchObject({ hint });
  });

  it('gets no voters that are excluded, and drained ones only without others', async () => {
    const voters = new ModelVoters();
    const conditions = new Map<string, VoterCandidate['condition']>();
    const open = (names = MACHINES): QuorumStore =>
      openOn(voters, names, { conditionsIn: () => (machine) => conditions.get(machine) ?? 'good' });
    await open().commit([put('a')]);
    conditions.set('m1', 'excluded').set('m2', 'drained');
    voters.down.add('m2').add('m3');
    const [alone, lost] = [await open(['m1']).remains(), await open().remains()];
    await expect(alone?.store.commit([put('b')])).rejects.toThrow('may store it');
    voters.down.clear();
    voters.disks.delete('m2');
    voters.disks.delete('m3');
    expect(lost).toBeDefined();
    const remains = await open().remains();
    await remains?.store.commit([put('b')]);
    expect(await open().names()).toEqual(['m3', 'm4', 'm5']);
    for (const machine of MACHINES) conditions.set(machine, machine === 'm2' ? 'good' : 'excluded');
    voters.down.add('m3').add('m4');
    await (await open().remains())?.store.commit([put('c')]);
    expect(await open().names()).toEqual(['m2']);
  });

  it('does not renew an excluded voter that has lost its state', async () => {
    const voters = new ModelVoters();
    const open = opener(voters);
    await open().commit([put('a')]);
    voters.disks.delete('m1');
    const condition = (machine: string, of: VoterCandidate['condition']): VoterCandidate[] =>
      ['m1', 'm2', 'm3'].map((name) => ({
        ...{ machine: name, answers: true, mark: undefined },
        condition: name === machine ? of : 'good',
      }));
    expect(await open().tend(condition('m1', 'excluded'))).toEqual([]);
    expect(await open().tend(condition('m1', 'good'))).toEqual([{ gone: ['m1'], come: ['m1'] }]);
  });

  it('is not rebuilt from a registry that one machine has made up', async () => {
    const voters = new ModelVoters();
    const open = opener(voters);
    await open().commit([put('a')]);
    const alone = openOn(voters, ['m4']);
    for (const key of ['x', 'y', 'z']) await alone.commit([put(key)]);
    voters.down.add('m1').add('m2');
    await expect(open().remains()).rejects.toThrow('these machines have different ones: m3; m4');
    voters.disks.delete('m4');
    expect((await open().remains())?.holders).toEqual(['m3']);
  });

  it('misses a voter whose state only another machine shows', async () => {
    const voters = new ModelVoters();
    const open = opener(voters);
    await open().commit([put('a')]);
    voters.disks.set('m4', voters.disks.get('m2') ?? EMPTY_DISK);
    voters.disks.delete('m2');
    voters.down.add('m1');
    await expect(open().list('')).rejects.toThrow(/have lost their copy/);
    const remains = await open().remains();
    expect(remains?.missing.toSorted()).toEqual(['m1', 'm2']);
    await remains?.store.commit([put('b')]);
    expect(await keysIn(open())).toEqual(['a', 'b']);
  });

  it('continues with a commit on top of the newest ballot, which may be chosen under a later one', async () => {
    const voters = new ModelVoters();
    const open = opener(voters);
    await open().commit([put('a')]);
    const before = structuredClone(voters.disks.get('m3') ?? EMPTY_DISK);
    await open().commit([put('b')]);
    const { accepted } = before.stored;
    const ballot = { round: 99, proposer: 1 };
    if (accepted) before.stored = { promised: ballot, accepted: { ...accepted, ballot } };
    voters.disks.set('m4', voters.disks.get('m1') ?? EMPTY_DISK).set('m3', before);
    voters.down.add('m1').add('m2');
    expect(await open().remains()).toMatchObject({ head: { revision: 2 }, holders: ['m4'] });
  });

  it('is not rebuilt if a voter of a majority has a name that the configuration lacks', async () => {
    const voters = new ModelVoters();
    await opener(voters)().commit([put('a')]);
    voters.down.add('m1');
    expect(await opener(voters, ['m2', 'm4', 'm5'])().remains()).toBeUndefined();
  });

  it('replaces no machine that has accepted something since it was asked', async () => {
    const voters = new ModelVoters();
    const open = opener(voters);
    await open().commit([put('a')]);
    voters.down.add('m1').add('m2');
    const remains = await open().remains();
    voters.down.delete('m2');
    await open().commit([put('b')]);
    await expect(remains?.store.commit([put('rebuilt')])).rejects.toThrow(/did not store it/);
    expect(await keysIn(open())).toEqual(['a', 'b']);
  });

  it('is left on a machine that becomes a voter again, at any time', async () => {
    const voters = new ModelVoters();
    await opener(voters)().commit([put('a')]);
    voters.down.add('m1').add('m2');
    await (await opener(voters)().remains())?.store.commit([put('b')]);
    voters.down.clear();
    voters.down.add('m4');
    const ask: AskVoter = async (machine, request) => {
      if (request.action.kind === 'accept') throw new FleetError('ssh-refused', 'killed');
      return voters.ask(machine, request);
    };
    const candidates = MACHINES.map((machine): VoterCandidate => {
      const isLost = machine === 'm4';
      return { machine, answers: !isLost, condition: isLost ? 'lost' : 'good', mark: undefined };
    });
    const before = voters.disks.get('m1')?.state;
    await opener({ ask })().tend(candidates);
    expect(voters.disks.get('m1')?.state).not.toBe(before);
    for (const machine of ['m2', 'm3', 'm4', 'm5']) voters.disks.delete(machine);
    voters.down.clear();
    await expect(opener(voters)().list('')).rejects.toThrow(/have lost their copy.*m3, m4, m5/);
    await (await opener(voters)().remains())?.store.commit([put('c')]);
    expect(await keysIn(opener(voters)())).toEqual(['a', 'b', 'c']);
  });

  it('does not return to a voter that has lost its disk when a request arrives again', async () => {
    const voters = new ModelVoters();
    await opener(voters)().commit([put('a')]);
    voters.down.add('m1').add('m2');
    const requests: [machine: string, request: VoterRequest][] = [];
    const ask: AskVoter = (machine, request) => {
      requests.push([machine, request]);
      return voters.ask(machine, request);
    };
    await (await opener({ ask })().remains())?.store.commit([put('b')]);
    const { state } = voters.disks.get('m4') ?? EMPTY_DISK;
    voters.disks.delete('m4');
    for (const [machine, request] of requests) if (machine === 'm4') await voters.ask(machine, request);
    expect([typeof state, voters.disks.get('m4')?.state === state]).toEqual(['string', false]);
    expect(await keysIn(opener(voters)())).toEqual(['a', 'b']);
  });

  it('makes no voter of a machine of another cluster', async () => {
    const voters = new ModelVoters();
    for (const machine of MACHINES.slice(0, 4)) voters.owners.set(machine, 'ours');
    const open = opener(voters);
    await open().commit([put('a')]);
    voters.owners.set('m4', 'theirs');
    voters.down.add('m1').add('m2');
    await (await open().remains())?.store.commit([put('b')]);
    expect(voters.disks.get('m4')?.state).toBeUndefined();
    expect(await keysIn(open())).toEqual(['a', 'b']);
  });

  it('continues with the newest copy if all voters have copies, as after a restored backup', async () => {
    const voters = new ModelVoters();
    const open = opener(voters);
    await open().commit([put('a')]);
    voters.down.add('m3');
    await open().commit([put('b')]);
    voters.down.clear();
    for (const machine of MACHINES) voters.copied.add(machine);
    await expect(open().list('')).rejects.toMatchObject({
      message: expect.stringContaining('damaged, or copies: m1, m2, m3'),
      hint: expect.stringContaining('fleetctl recover'),
    });
    const remains = await open().remains();
    expect(remains).toMatchObject({ holders: ['m1', 'm2'], missing: [], outdated: ['m1', 'm2', 'm3'] });
    expect(await remains?.store.commit([put('rebuilt')])).toMatchObject({ kind: 'committed' });
    expect(await keysIn(open())).toEqual(['a', 'b', 'rebuilt']);
  });

  it('has nothing to recover while a majority has no copies', async () => {
    const voters = new ModelVoters();
    const open = opener(voters);
    await open().commit([put('a')]);
    voters.copied.add('m1').add('m4');
    expect(await open().remains()).toBeUndefined();
    voters.down.add('m2');
    expect(await open().remains()).toMatchObject({
      holders: ['m1', 'm3'],
      missing: ['m2'],
      outdated: ['m1'],
    });
  });

  it('is not rebuilt from a registry that one machine has made up, if the voters have copies', async () => {
    const voters = new ModelVoters();
    const open = opener(voters);
    await open().commit([put('a')]);
    await opener(voters, ['m4'])().commit([put('x')]);
    for (const machine of ['m1', 'm2']) voters.copied.add(machine);
    voters.disks.delete('m3');
    await expect(opener(voters, MACHINES)().list('')).rejects.toThrow('only m4 has it');
    expect((await open().remains())?.holders).toEqual(['m1', 'm2']);
  });

  it('is read afterwards by a user who did not know it, although few machines have it', async () => {
    const voters = new ModelVoters();
    await opener(voters)().commit([put('a')]);
    voters.down.add('m1').add('m2').add('m4');
    const store = opener(voters, MACHINES)();
    await expect(store.list('')).rejects.toThrow('only m3 has it');
    await (await store.remains())?.store.commit([put('b')]);
    expect(await keysIn(store)).toEqual(['a', 'b']);
    expect(await store.names()).toEqual(['m3']);
    await expect(opener(voters, MACHINES)().list('')).rejects.toThrow('only m3 has it');
  });

  it('is read by a new user if one machine alone has the recovered one, and another one a copy of it', async () => {
    const voters = new ModelVoters();
    const open = opener(voters, MACHINES);
    await open().commit([put('a')]);
    voters.down.add('m1').add('m2').add('m4').add('m5');
    await (await open().remains())?.store.commit([put('rebuilt')]);
    voters.down.clear();
    voters.copied.add('m1');
    expect(await keysIn(open())).toEqual(['a', 'rebuilt']);
  });

  it('cannot be rebuilt twice from the same state', async () => {
    const voters = new ModelVoters();
    await opener(voters)().commit([put('a')]);
    voters.down.add('m1').add('m2');
    const [first, second] = await Promise.all([opener(voters)().remains(), opener(voters)().remains()]);
    await first?.store.commit([put('first')]);
    const before = structuredClone([...voters.disks]);
    await expect(second?.store.commit([put('second')])).rejects.toThrow(/did not store it/);
    expect([...voters.disks].map(([, { state }]) => state)).toEqual(before.map(([, { state }]) => state));
    expect(await keysIn(opener(voters)())).toEqual(['a', 'first']);
  });
});

describe('a recovered registry that a user has read', () => {
  it('counts although one machine alone has it, and others have changed it since', async () => {
    const voters = new ModelVoters();
    await opener(voters)().commit([put('a')]);
    voters.down.add('m1').add('m2').add('m4');
    const user = { cache: memoryCache(), accepted: new Map() };
    const byUser = (): QuorumStore => openOn(voters, MACHINES, { machinesIn: () => MACHINES, ...user });
    await (await byUser().remains())?.store.commit([put('rebuilt')]);
    expect(await keysIn(byUser())).toEqual(['a', 'rebuilt']);
    const other = opener(voters)();
    for (const key of ['b', 'c', 'd']) await other.commit([put(key)]);
    expect(await keysIn(byUser())).toEqual(['a', 'b', 'c', 'd', 'rebuilt']);
    await expect(opener(voters, MACHINES)().list('')).rejects.toMatchObject({
      message: expect.stringContaining('only m3 has it'),
      hint: expect.stringContaining('fleetctl machines remove NAME'),
    });
  });

  const accepted: AcceptedRounds = new Map();
  const byUser = (voters: ModelVoters, memory = accepted): QuorumStore =>
    openOn(voters, MACHINES, { accepted: memory });

  it('is not replaced by the former one, even if no machine has it any more', async () => {
    const voters = await recovered();
    expect(await keysIn(byUser(voters))).toEqual(['a', 'rebuilt']);
    for (const machine of ['m3', 'm4', 'm5']) voters.disks.delete(machine);
    const error = {
      message: 'Cannot read the registry: these machines have it as it was before a recovery: m1, m2',
      hint: expect.stringMatching(/"fleetctl join".* fleetctl recover$/),
    };
    await expect(byUser(voters).list('')).rejects.toMatchObject(error);
    await expect(byUser(voters).commit([put('b')])).rejects.toMatchObject(error);
    const status = await byUser(voters).status();
    expect(status?.voters.map(({ machine, state }) => `${machine} ${state}`)).toEqual([
      'm1 former',
      'm2 former',
      'm3 lost',
    ]);
    const remains = await byUser(voters).remains();
    expect(remains).toMatchObject({ holders: ['m1', 'm2'], missing: ['m3'], outdated: ['m1', 'm2'] });
    await remains?.store.commit([put('again')]);
    expect(await keysIn(byUser(voters))).toEqual(['a', 'again']);
    expect(await keysIn(byUser(voters, new Map()))).toEqual(['a', 'again']);
  });

  it('is found through the former voters alone, which name the other machines', async () => {
    const voters = await recovered();
    const memory: AcceptedRounds = new Map();
    await byUser(voters, memory).list('');
    const formerOnly = (): QuorumStore =>
      openOn(voters, ['m1', 'm2'], { accepted: memory, machinesIn: () => MACHINES });
    expect(await keysIn(formerOnly())).toEqual(['a', 'rebuilt']);
    expect(await formerOnly().status()).toMatchObject({ revision: 2 });
    expect(await formerOnly().commit([put('b')])).toEqual({ kind: 'committed', revision: 3 });
  });

  it('is missed with the machines that fleet.conf lacks, if only former voters answer', async () => {
    const voters = await recovered();
    const memory: AcceptedRounds = new Map();
    await byUser(voters, memory).list('');
    const store = openOn(voters, ['m1', 'm2', 'm3'], { accepted: memory, machinesIn: () => MACHINES });
    voters.disks.delete('m3');
    voters.down.add('m4').add('m5');
    await expect(store.list('')).rejects.toMatchObject({
      message: expect.stringContaining('these do not answer: m4, m5'),
      hint: expect.stringContaining('majority of the voters has to answer'),
    });
  });

  it('is found behind likelier voters that are former ones and agree', async () => {
    const voters = new ModelVoters();
    const memory: AcceptedRounds = new Map();
    await opener(voters)().commit([put('a')]);
    voters.down.add('m1').add('m2');
    const marked = MACHINES.map((machine) => ({ machine, mark: machine === 'm3' ? false : undefined }));
    const withoutM3 = openOn(voters, MACHINES, { machines: marked });
    await (await withoutM3.remains())?.store.commit([put('b')]);
    voters.down.clear();
    voters.down.add('m1').add('m2');
    expect(await keysIn(byUser(voters, memory))).toEqual(['a', 'b']);
    voters.down.clear();
    expect(await keysIn(byUser(voters, memory))).toEqual(['a', 'b']);
  });
});

describe('a recovered registry', () => {
  const FORMER = ['m1', 'm2'];

  it('is found by a process that knows the former voters only', async () => {
    const voters = await recovered();
    expect(await keysIn(opener(voters, FORMER)())).toEqual(['a', 'rebuilt']);
    expect(await opener(voters, FORMER)().status()).toMatchObject({ revision: 2 });
    expect(await opener(voters, FORMER)().commit([put('b')])).toEqual({ kind: 'committed', revision: 3 });
    expect(await keysIn(opener(voters)())).toEqual(['a', 'b', 'rebuilt']);
    voters.down.add('m4').add('m5');
    await expect(opener(voters, FORMER)().list('')).rejects.toThrow('these do not answer: m4, m5');
  });

  it('is found while the former voters are a majority, and the one that is in both does not answer', async () => {
    const voters = await recovered();
    voters.down.add('m3');
    expect(await keysIn(opener(voters)())).toEqual(['a', 'rebuilt']);
  });

  it('is not changed by what was decided in the former one, even at the same revision', async () => {
    const voters = await recovered();
    voters.down.add('m3').add('m4').add('m5');
    const former = opener(voters)();
    expect(await former.commit([put('lost')])).toEqual({ kind: 'committed', revision: 2 });
    voters.down.clear();
    expect(await keysIn(former)).toEqual(['a', 'lost']);
    expect(await former.commit([put('b')], 2)).toMatchObject({ kind: 'conflict' });
    expect(await keysIn(former)).toEqual(['a', 'rebuilt']);
    expect(await former.commit([put('b')], 2)).toEqual({ kind: 'committed', revision: 3 });
  });

  it('tells of changes that only a former voter may have', async () => {
    const voters = await recovered();
    const formerOf = async (): Promise<unknown> =>
      (await opener(voters)().status())?.voters
        .filter(({ state }) => state === 'former')
        .map(({ machine, isContained }) => [machine, isContained]);
    expect(await formerOf()).toEqual([
      ['m1', true],
      ['m2', true],
    ]);
    voters.down.add('m3').add('m4').add('m5');
    await opener(voters)().commit([put('lost')]);
    voters.down.clear();
    expect(await formerOf()).toEqual([
      ['m1', false],
      ['m2', false],
    ]);
  });

  it('has all of a former one after any number of changes, also of a copy and of machines that fleet.conf lacks', async () => {
    const voters = await recovered();
    const store = opener(voters)();
    for (let i = 0; i < 40; i++) await store.commit([put(`later/${i}`)]);
    voters.copied.add('m2');
    const former = async (names?: readonly string[]): Promise<unknown> =>
      (await opener(voters, names)().status())?.voters.filter(({ state }) => state === 'former');
    const contained = { state: 'former', revision: 1, isContained: true };
    const all = ['m1', 'm2'].map((machine) => ({ machine, ...contained }));
    expect(await former()).toEqual(all);
    expect(await former(['m3', 'm4', 'm5'])).toEqual(all);
  });

  it('notices a former one with changes that it lacks when its machine returns, and before that becomes a voter', async () => {
    const voters = await recovered();
    voters.down.add('m3').add('m4').add('m5');
    await opener(voters)().commit([put('lost')]);
    voters.down.clear();
    voters.down.add('m1').add('m2');
    const candidates = (): VoterCandidate[] =>
      MACHINES.map((machine) => ({
        ...{ machine, answers: !voters.down.has(machine), mark: machine === 'm5' ? false : undefined },
        condition: 'good',
      }));
    const [fleetd, command] = [opener(voters)(), opener(voters)()];
    for (const store of [fleetd, command]) await store.list('');
    await fleetd.look(candidates());
    expect(fleetd.former).toEqual([]);
    voters.down.delete('m1');
    await fleetd.look(candidates());
    expect(fleetd.former).toEqual([{ machine: 'm1', revision: 2 }]);
    voters.requests = 0;
    await fleetd.look(candidates());
    expect(voters.requests).toBe(0);
    expect(await command.tend(candidates())).toEqual([{ gone: ['m5'], come: ['m1'] }]);
    expect(command.former).toEqual([{ machine: 'm1', revision: 2 }]);
    expect(await keysIn(command)).toEqual(['a', 'rebuilt']);
  });

  it.each([[['m3', 'm4', 'm5']], [['m4', 'm5']]])(
    'is not replaced by the former one if %s have copies',
    async (copied) => {
      const voters = await recovered();
      for (const machine of copied) voters.copied.add(machine);
      if (copied.length === 2) voters.disks.delete('m3');
      const open = opener(voters);
      await expect(open().list('')).rejects.toMatchObject({
        message: expect.stringContaining('lost their copy, or have an old one: m3, m4, m5'),
        hint: expect.stringContaining('fleetctl recover'),
      });
      const states = (await open().status())?.voters.map(({ machine, state }) => `${machine} ${state}`);
      expect(states).toEqual(['m3 lost', 'm4 lost', 'm5 lost', 'm1 former', 'm2 former']);
      const remains = await open().remains();
      expect(remains).toMatchObject({ holders: copied, outdated: copied });
      await remains?.store.commit([put('again')]);
      expect(await keysIn(open())).toEqual(['a', 'again', 'rebuilt']);
    },
  );
});
