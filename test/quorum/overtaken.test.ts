import { expect, it } from 'vitest';
import { afterBallot, compareBallots, NO_BALLOT } from '../../src/quorum/ballot.ts';
import type { Membership } from '../../src/quorum/membership.ts';
import { type Acceptors, Proposer, type Stored } from '../../src/quorum/register.ts';

type Value = { readonly membership: Membership; readonly by: number };

const membership: Membership = {
  epoch: 1,
  voters: ['m1', 'm2', 'm3'].map((machine) => ({ machine, state: machine })),
};

it('a proposer gets a promise although another one makes a change after the other', async () => {
  const disks = new Map<string, Stored<Value>>();
  const read = (name: string): Stored<Value> => disks.get(name) ?? { promised: NO_BALLOT };
  const acceptors: Acceptors<Value> = {
    read: async ({ machine }) => read(machine),
    async prepare({ machine }, ballot) {
      const { promised, ...rest } = read(machine);
      if (compareBallots(ballot, promised) > 0) disks.set(machine, { ...rest, promised: ballot });
      return read(machine);
    },
    async accept({ machine }, ballot, value) {
      if (compareBallots(ballot, read(machine).promised) >= 0)
        disks.set(machine, { promised: afterBallot(ballot), accepted: { ballot, value } });
      return read(machine);
    },
  };
  const changeAs = (proposer: Proposer<Value>, by: number) => proposer.change(() => ({ membership, by }));
  const options = { membership, patience: async () => undefined };
  const busy = new Proposer(acceptors, { ...options, proposer: 9, pause: async () => undefined });
  const attempts: number[] = [];
  const own = new Proposer(acceptors, {
    ...options,
    proposer: 5,
    // A pause doubles with each attempt.
    async pause(attempt) {
      attempts.push(attempt);
      if (attempt === 10) throw new Error('overtaken');
      for (let i = 0; i < 2 ** attempt; i++) await changeAs(busy, 9);
    },
  });
  await changeAs(busy, 9);
  expect(await changeAs(own, 5)).toMatchObject({ kind: 'chosen', value: { by: 5 } });
  expect(attempts).toEqual([1]);
});
