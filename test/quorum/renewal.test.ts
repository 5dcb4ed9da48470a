import { expect, it, onTestFinished, vi } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import type { AskVoter } from '../../src/quorum/voters.ts';
import { ModelVoters, openOn } from './model-voters.ts';

const MACHINES = ['web-1', 'web-2', 'web-3'];

it('a voter that could not be renewed is tried again later', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const voters = new ModelVoters();
  const failing = new Set<string>();
  const ask: AskVoter = async (machine, request) => {
    if (failing.has(request.action.kind)) throw new FleetError('bad-answer', 'no space left');
    return voters.ask(machine, request);
  };
  const store = openOn({ ask }, MACHINES);
  const tend = () =>
    store.tend(MACHINES.map((machine) => ({ machine, answers: true, condition: 'good', mark: undefined })));
  await store.commit([{ kind: 'put', key: 'a', value: '1', ifRevision: 0 }]);
  voters.disks.delete('web-2');
  failing.add('create');
  await store.list('');
  expect(await tend()).toEqual([]);
  failing.clear();
  expect(await tend()).toEqual([]);
  vi.advanceTimersByTime(31_000);
  expect(await tend()).toEqual([{ gone: ['web-2'], come: ['web-2'] }]);
});
