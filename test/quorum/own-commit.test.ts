import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import type { QuorumOptions } from '../../src/quorum/options.ts';
import type { Change, CommitResult } from '../../src/store/store.ts';
import { ModelVoters, openProcess as open } from './model-voters.ts';

const DOWN = new FleetError('ssh-refused', 'down');
const UNKNOWN = expect.stringContaining('Cannot tell whether the registry was changed');

const put = (key: string): Change => ({ kind: 'put', key, value: '1', ifRevision: 0 });

type Overtaken = { readonly result: CommitResult | string; readonly revision: number };

/**
 * Commits the key "a" in one process. Only web-1 gets its proposal, before another process commits these keys, and the machine `down` does not
 * answer from then on. Returns the result, and the last revision.
 */
async function commitBefore(keys: readonly string[], down: string): Promise<Overtaken> {
  const voters = new ModelVoters();
  await open(voters.ask).commit([put('first')]);
  const overtake = async (): Promise<void> => {
    voters.down.add(down);
    const other = open(voters.ask);
    for (const key of keys) await other.commit([put(key)]);
  };
  let overtaken: Promise<void> | undefined;
  const ask: QuorumOptions['ask'] = async (machine, request) => {
    if (request.action.kind !== 'accept') return voters.ask(machine, request);
    if (machine === 'web-1') {
      const answer = await voters.ask(machine, request);
      overtaken ??= overtake();
      return answer;
    }
    while (overtaken === undefined) await sleep(1);
    await overtaken;
    return voters.ask(machine, request);
  };
  const result = await open(ask)
    .commit([put('a')])
    .catch(String);
  voters.down.clear();
  const { records, revision } = await open(voters.ask).list('');
  expect(records.filter(({ key }) => key === 'a')).toHaveLength(1);
  return { result, revision };
}

function others(count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => `other/${i}`);
}

it.each([
  [1, { kind: 'committed', revision: 2 }],
  [31, { kind: 'committed', revision: 2 }],
  [32, UNKNOWN],
])(
  'a commit that another process completes, and %i others follow, is found as long as the head names it',
  async (count, result) => {
    expect(await commitBefore(others(count), 'web-3')).toEqual({ result, revision: count + 2 });
  },
);

it.each([
  [0, { kind: 'conflict', key: 'a' }],
  [31, { kind: 'conflict', key: 'a' }],
  [32, UNKNOWN],
])(
  'a commit that is overtaken by another one of its key, and %i others, is a conflict as long as that is certain',
  async (count, result) => {
    expect(await commitBefore(['a', ...others(count)], 'web-1')).toEqual({ result, revision: count + 2 });
  },
);

it('a commit is refused only if no other process can complete its proposal any more', async () => {
  const voters = new ModelVoters();
  const { ask } = voters;
  await open(ask).commit([put('a')]);
  const onlyOn =
    (name: string): QuorumOptions['ask'] =>
    (machine, request) =>
      request.action.kind === 'accept' && machine !== name ? Promise.reject(DOWN) : ask(machine, request);
  // A process proposes without "a", and dies.
  await expect(open(onlyOn('web-1')).commit([{ kind: 'delete', key: 'a', ifRevision: 1 }])).rejects.toThrow();
  voters.down.add('web-3');
  const own: QuorumOptions['ask'] = async (machine, request) => {
    const { action } = request;
    if (action.kind !== 'accept' || action.ballot.round > 99 || machine === 'web-1')
      return ask(machine, request);
    if (machine === 'web-3') throw DOWN;
    // Another process gets a promise, and the next quorum has neither proposal.
    const { state, ballot } = action;
    await ask(machine, { ...request, action: { kind: 'prepare', state, ballot: { ...ballot, round: 99 } } });
    voters.down.delete('web-3');
    voters.down.add('web-1');
    return ask(machine, request);
  };
  expect(await open(own).commit([put('a')])).toMatchObject({ kind: 'conflict' });
  voters.down.clear();
  voters.down.add('web-3');
  expect(await open(ask).list('')).toMatchObject({ revision: 1, records: [{ key: 'a' }] });
});
