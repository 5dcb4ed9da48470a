import { expect, it } from 'vitest';
import { NO_BALLOT } from '../../src/quorum/ballot.ts';
import type { Membership } from '../../src/quorum/membership.ts';
import { type Acceptors, Proposer, type Stored } from '../../src/quorum/register.ts';

type Value = { readonly membership: Membership; readonly name: string };

const ME = 5;
const OTHER = 9;
const VOTERS = ['m1', 'm2', 'm3'].map((machine) => ({ machine, state: machine }));
const membership: Membership = { epoch: 1, voters: VOTERS };
const value = (name: string): Value => ({ membership, name });
const FIRST = value('first');

/** Voters that have promised these ballots with {@link FIRST}; `accepts` is whether they answer a proposal. What they are asked is recorded. */
function proposer(promised: Readonly<Record<string, readonly [number, number]>>, accepts: boolean) {
  const asked: string[] = [];
  const storedBy = (machine: string): Stored<Value> => {
    const [round, by] = promised[machine] ?? [NO_BALLOT.round, NO_BALLOT.proposer];
    const ballot = { round: 1, proposer: OTHER };
    return { promised: { round, proposer: by }, accepted: { ballot, value: FIRST } };
  };
  const acceptors: Acceptors<Value> = {
    read: async ({ machine }) => storedBy(machine),
    async prepare({ machine }, ballot) {
      asked.push(`prepare ${ballot.round}`);
      return { ...storedBy(machine), promised: ballot };
    },
    async accept(_, ballot, { name }) {
      asked.push(`accept ${ballot.round} ${name}`);
      return accepts
        ? { promised: ballot, accepted: { ballot, value: proposed.get(name) ?? FIRST } }
        : undefined;
    },
  };
  const proposed = new Map<string, Value>();
  const own = new Proposer(acceptors, {
    proposer: ME,
    membership,
    pause: async () => undefined,
    patience: async () => undefined,
  });
  const change = async (name: string): Promise<readonly string[]> => {
    const next = value(name);
    proposed.set(name, next);
    asked.length = 0;
    await own.change(() => next);
    return [...new Set(asked)];
  };
  return { own, change };
}

it('a reserved ballot needs no round trip for promises', async () => {
  const { own, change } = proposer({ m1: [6, ME], m2: [6, ME], m3: [4, OTHER] }, true);
  await own.read();
  expect(await change('a')).toEqual(['accept 6 a']);
});

it('a reserved ballot counts only if a quorum has promised it', async () => {
  for (const promised of [
    { m1: [6, ME], m2: [6, OTHER], m3: [6, OTHER] },
    { m1: [7, ME], m2: [6, ME], m3: [5, ME] },
  ] as const) {
    const { own, change } = proposer(promised, true);
    await own.read();
    expect((await change('a'))[0]).toMatch(/^prepare/);
  }
});

it('a reserved ballot is used for one value', async () => {
  const { own, change } = proposer({ m1: [6, ME], m2: [6, ME], m3: [6, ME] }, false);
  await own.read();
  expect(await change('a')).toEqual(['accept 6 a']);
  await own.read();
  const [first, second] = await change('b');
  expect(first).toMatch(/^prepare/);
  expect(second).not.toBe('accept 6 b');
});
