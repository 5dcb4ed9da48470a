import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  copyFileSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../src/base/hash.ts';
import { type Ballot, NO_BALLOT } from '../../src/quorum/ballot.ts';
import type { VoterAnswer, VoterRequest } from '../../src/quorum/voters.ts';
import { registerQuery } from '../../src/systemd/register.ts';
import { ModelVoters } from '../quorum/model-voters.ts';
import { createLocalMachine } from '../support/local-machine.ts';
import { pick, seeded } from '../support/random.ts';

type Action = VoterRequest['action'];

const TEXTS = ['a\n', `${'é\\n\'"$`!'.repeat(50)}\n`, `${'x'.repeat(100_000)}\n`];

describe('a register on a machine', () => {
  it('names a full disk as the cause, and stores nothing', async () => {
    const machine = await createLocalMachine({ shared: true });
    const { session } = machine.connect();
    const fill = (script: string, write: string): string =>
      script.replace(write, write.replace(/>"[^"]*"/, '>/dev/full'));
    const ask = async (action: Action, full?: string): Promise<VoterAnswer> => {
      const query = registerQuery({ register: 'head', action });
      const script = full === undefined ? query.script : fill(fill(query.script, full), 'cat >"$1"');
      return session.ask({ ...query, script });
    };
    const create = { kind: 'create' } as const;
    const error = {
      message: expect.stringMatching(/^Cannot use machine "[^"]+": its disk is full$/),
      hint: expect.stringContaining('df -h'),
    };
    await expect(ask(create, '2>/dev/null >"$N.new"')).rejects.toMatchObject(error);
    expect((await ask({ kind: 'read' })).state).toBeUndefined();
    const { state = '' } = await ask(create);
    const text = 'a\n';
    const contents = [{ hash: sha256(text), text }];
    const ballot = { round: 1, proposer: 1 };
    const accept = { kind: 'accept', state, ballot, value: '{}', contents } as const;
    await expect(ask(accept, '"$2" >"$C/$1.new"')).rejects.toMatchObject(error);
    expect((await ask({ kind: 'read' })).stored.accepted).toBeUndefined();
  });

  it('does what the model does, for random requests', async () => {
    const machine = await createLocalMachine({ shared: true });
    const { session } = machine.connect();
    const model = new ModelVoters();
    const random = seeded(7);
    const states = new Map<string, string>();
    const both = async (action: Action, unlessKnown?: readonly string[]): Promise<void> => {
      const request = { register: 'head', action, ...(unlessKnown && { unlessKnown }) };
      const expected = await model.ask('m', request).catch(() => undefined);
      const own: Action = JSON.parse(JSON.stringify(action), (_, value) => states.get(value) ?? value);
      const actual = await session.ask(registerQuery({ ...request, action: own })).catch(() => undefined);
      if (expected?.state !== undefined && actual?.state !== undefined)
        states.set(expected.state, actual.state);
      expect(comparable(actual), JSON.stringify(action)).toEqual(comparable(expected));
    };
    await both({ kind: 'read' });
    await both({ kind: 'create' });
    const state = '1'.padStart(32, '0');
    for (let i = 0; i < 60; i++) {
      const ballot = {
        round: Math.floor(random() * 6) + Math.floor(i / 5),
        proposer: Math.floor(random() * 3) + 1,
      };
      const stored = model.disks.get('m')?.stored.accepted?.ballot ?? NO_BALLOT;
      const accepted = random() < 0.5 ? ballot : stored;
      const named = random() < 0.9 ? state : 'f'.repeat(32);
      const contents = TEXTS.filter(() => random() < 0.5).map((text) => ({
        hash: sha256(text),
        ...(random() < 0.7 && { text }),
      }));
      const value = pick(random, ['{}', '{"a":"\\\\ \'é"}', `{"b":"${'z'.repeat(5000)}"}`]);
      await both(
        pick<Action>(random, [
          { kind: 'read' },
          { kind: 'create' },
          { kind: 'reserve', proposer: ballot.proposer },
          { kind: 'prepare', state: named, ballot },
          { kind: 'accept', state: named, ballot, value, contents },
          { kind: 'accept', state: named, ballot, value, contents },
          { kind: 'found', state: named, replaced: { state: named, accepted }, ballot, value, contents },
        ]),
        random() < 0.3 ? TEXTS.filter(() => random() < 0.5).map(sha256) : undefined,
      );
    }
  });

  it.each(['dash', 'bash', 'busybox sh'])('stores and returns texts with %s', async (shell) => {
    const machine = await createLocalMachine({ shell, shared: true });
    const { session } = machine.connect();
    const ask = (action: Action, unlessKnown?: readonly string[]): Promise<VoterAnswer> =>
      session.ask(registerQuery({ register: 'head', action, ...(unlessKnown && { unlessKnown }) }));
    const { state = '' } = await ask({ kind: 'create' });
    const contents = TEXTS.map((text) => ({ hash: sha256(text), text }));
    const value = String.raw`{"a":"\\'é$"}`;
    await ask({ kind: 'accept', state, ballot: BALLOT, value, contents });
    const { stored, texts } = await ask({ kind: 'read' }, []);
    expect(stored).toEqual({ promised: { round: 6, proposer: 7 }, accepted: { ballot: BALLOT, value } });
    expect([...texts].sort()).toEqual([...TEXTS].sort());
  });

  const damage: [what: string, damage: (file: string) => void, isWhole?: true][] = [
    ['a file that was copied back', copyBack, true],
    ['a file that was cut off', (file) => truncateSync(file, 50)],
    ['another value', (file) => writeFileSync(file, readFileSync(file, 'utf8').replace('{}', '[]'))],
    ['an empty file', (file) => truncateSync(file, 0)],
    ['garbage', (file) => writeFileSync(file, randomBytes(10_000))],
    [
      'a huge value',
      (file) => writeFileSync(file, readFileSync(file, 'utf8').replace('{}', 'x'.repeat(300_000))),
    ],
  ];
  it.each(damage)(
    'does not count with %s, and is kept when it gets a new state',
    async (_, harm, isWhole) => {
      const machine = await createLocalMachine({ shared: true });
      const { session } = machine.connect();
      const ask = (action: Action): Promise<VoterAnswer> =>
        session.ask(registerQuery({ register: 'head', action }));
      const { state = '' } = await ask({ kind: 'create' });
      await ask({ kind: 'accept', state, ballot: BALLOT, value: '{}', contents: [] });
      const file = machine.path('var/registry/head.register');
      harm(file);
      const damaged = bytesOf(file);
      const stored = { promised: { round: 6, proposer: 7 }, accepted: { ballot: BALLOT, value: '{}' } };
      expect(await ask({ kind: 'read' })).toMatchObject({
        ...(isWhole ? { state, stored } : { state: undefined }),
        invalid: true,
      });
      expect((await ask({ kind: 'prepare', state, ballot: { round: 9, proposer: 9 } })).invalid).toBe(true);
      expect(bytesOf(file)).toEqual(damaged);
      const { state: next = '' } = await ask({ kind: 'create' });
      expect(next).not.toBe(state);
      expect(bytesOf(`${file}.replaced`)).toEqual(damaged);
      await ask({ kind: 'accept', state: next, ballot: BALLOT, value: '{}', contents: [] });
      harm(file);
      const again = bytesOf(file);
      const replaced = isWhole
        ? { state: next, accepted: BALLOT }
        : { state: (await ask({ kind: 'create' })).state ?? '', accepted: NO_BALLOT };
      expect(
        await ask({ kind: 'found', state, replaced, ballot: BALLOT, value: '{}', contents: [] }),
      ).toMatchObject({ state, stored: { accepted: { value: '{}' } } });
      expect(bytesOf(`${file}.replaced`)).toEqual(again);
    },
  );

  it.each(['mkfifo', 'mkdir'])('does not wait for what %s has put in its place', async (program) => {
    const machine = await createLocalMachine({ shared: true });
    const { session } = machine.connect();
    const ask = (action: Action): Promise<VoterAnswer> =>
      session.ask(registerQuery({ register: 'head', action }));
    const { state } = await ask({ kind: 'create' });
    const file = machine.path('var/registry/head.register');
    rmSync(file);
    execFileSync(program, [file]);
    expect(await ask({ kind: 'read' })).toMatchObject({ state: undefined, invalid: true });
    const fresh = await ask({ kind: 'create' });
    expect(fresh.state).toMatch(/^[0-9a-f]{32}$/);
    expect(fresh.state).not.toBe(state);
    expect((await ask({ kind: 'read' })).state).toBe(fresh.state);
  });

  it('rejects while another process holds its lock, and works afterwards', async () => {
    const machine = await createLocalMachine({ shared: true });
    const { session } = machine.connect();
    const read = registerQuery({ register: 'head', action: { kind: 'read' } });
    await session.ask(registerQuery({ register: 'head', action: { kind: 'create' } }));
    const holder = spawn('flock', [machine.path('var/registry/lock'), 'sh', '-c', 'echo held; read line'], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    await once(holder.stdout, 'data');
    await expect(session.ask(read)).rejects.toThrow(/another process holds .*lock/);
    holder.stdin.end();
    await once(holder, 'exit');
    expect((await session.ask(read)).state).toBeDefined();
  });

  it('gets a new state if it has the one that is not wanted, and keeps the old file', async () => {
    const machine = await createLocalMachine({ shared: true });
    const { session } = machine.connect();
    const create = (unless?: string): Promise<VoterAnswer> =>
      session.ask(registerQuery({ register: 'head', action: { kind: 'create', ...(unless && { unless }) } }));
    const { state = '' } = await create();
    await session.ask(
      registerQuery({
        register: 'head',
        action: { kind: 'accept', state, ballot: BALLOT, value: '{}', contents: [] },
      }),
    );
    const file = machine.path('var/registry/head.register');
    const before = readFileSync(file);
    expect((await create('f'.repeat(32))).state).toBe(state);
    const fresh = await create(state);
    expect(fresh.state).not.toBe(state);
    expect(fresh.stored).toEqual({ promised: { round: 0, proposer: 0 } });
    expect(readFileSync(`${file}.replaced`)).toEqual(before);
  });

  it.each(['dash', 'bash', 'busybox sh'])(
    'answers a wait when another proposal is accepted, and when its time is over, with %s',
    async (shell) => {
      const machine = await createLocalMachine({ shell, shared: true });
      const ask = (action: Action): Promise<VoterAnswer> =>
        machine.connect().session.ask(registerQuery({ register: 'head', action }));
      const wait = (accepted: Ballot, seconds: number): Promise<VoterAnswer> => {
        const query = registerQuery({ register: 'head', action: { kind: 'wait', accepted } });
        const script = query.script.replace(/(wait_register '\d+ \d+') \d+/, `$1 ${seconds}`);
        return machine.connect().session.ask({ ...query, script, deadlineMs: 600_000 });
      };
      const { state = '' } = await ask({ kind: 'create' });
      const accept = (ballot: Ballot): Promise<VoterAnswer> =>
        ask({ kind: 'accept', state, ballot, value: '{}', contents: [] });
      await accept(BALLOT);
      expect((await wait(BALLOT, 1)).stored.accepted?.ballot).toEqual(BALLOT);
      const waits = [wait(BALLOT, 600), wait(BALLOT, 600)];
      // A promise is no proposal: the waits continue.
      await ask({ kind: 'prepare', state, ballot: { round: 8, proposer: 8 } });
      await accept({ round: 9, proposer: 9 });
      for (const { stored } of await Promise.all(waits))
        expect(stored.accepted?.ballot).toEqual({ round: 9, proposer: 9 });
      expect((await wait(BALLOT, 600)).stored.accepted?.ballot).toEqual({ round: 9, proposer: 9 });
    },
  );

  it('is replaced by a recovery only as it was found, and is kept', async () => {
    const machine = await createLocalMachine({ shared: true });
    const { session } = machine.connect();
    const ask = (action: Action): Promise<VoterAnswer> =>
      session.ask(registerQuery({ register: 'head', action }));
    const { state = '' } = await ask({ kind: 'create' });
    const contents = TEXTS.map((text) => ({ hash: sha256(text), text }));
    await ask({ kind: 'accept', state, ballot: BALLOT, value: '{}', contents });
    const file = machine.path('var/registry/head.register');
    const before = bytesOf(file);
    const found = (replaced: { state: string; accepted: Ballot }): Promise<VoterAnswer> =>
      ask({
        ...{ kind: 'found', state: 'e'.repeat(32), replaced, value: '{"a":1}', contents },
        ballot: { round: 1, proposer: 3 },
      });
    expect((await found({ state: 'f'.repeat(32), accepted: BALLOT })).state).toBe(state);
    expect((await found({ state, accepted: { ...BALLOT, round: 4 } })).state).toBe(state);
    expect(await found({ state, accepted: BALLOT })).toMatchObject({
      state: 'e'.repeat(32),
      stored: { promised: { round: 2, proposer: 3 }, accepted: { value: '{"a":1}' } },
    });
    expect(bytesOf(`${file}.replaced`)).toEqual(before);
  });

  it('is read with a promise, also if that cannot be written', async () => {
    const machine = await createLocalMachine({ shared: true });
    const ask = (action: Action): Promise<VoterAnswer> =>
      machine.connect().session.ask(registerQuery({ register: 'head', action }));
    const { state = '' } = await ask({ kind: 'create' });
    await ask({ kind: 'accept', state, ballot: BALLOT, value: '{}', contents: [] });
    expect((await ask({ kind: 'reserve', proposer: 9 })).stored.promised).toEqual({ round: 7, proposer: 9 });
    symlinkSync('/nowhere/file', machine.path('var/registry/head.register.unsynced'));
    expect((await ask({ kind: 'reserve', proposer: 3 })).stored).toEqual({
      promised: { round: 7, proposer: 9 },
      accepted: { ballot: BALLOT, value: '{}' },
    });
    await expect(ask({ kind: 'prepare', state, ballot: { round: 8, proposer: 3 } })).rejects.toThrow();
  });
});

const BALLOT = { round: 5, proposer: 7 };

/** As a text, because long buffers are compared slowly. */
function bytesOf(file: string): string {
  return readFileSync(file, 'latin1');
}

/** As a restored backup: the same bytes in another file. */
function copyBack(file: string): void {
  copyFileSync(file, `${file}.backup`);
  renameSync(`${file}.backup`, file);
}

function comparable(answer: VoterAnswer | undefined): unknown {
  return (
    answer && {
      ...answer,
      texts: [...answer.texts].sort(),
      state: answer.state !== undefined,
      invalid: answer.invalid ?? false,
    }
  );
}
