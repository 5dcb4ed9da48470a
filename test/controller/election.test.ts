import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, type TestContext, vi } from 'vitest';
import type { FleetError } from '../../src/base/errors.ts';
import { Election } from '../../src/controller/election.ts';
import type { LeaderLock } from '../../src/election/leadership.ts';
import { fileLeaderLock } from '../../src/election/store-leader-lock.ts';
import { AWAY } from './support.ts';

/** So long that a busy box renews a leader lock in time, too. */
const TTL_MS = 4000;
const soon = { timeout: 20_000, interval: 10 };

async function folder({ onTestFinished }: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'fleet-election-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** A candidate that runs until it is stopped or the test is over. */
function candidate(
  { onTestFinished }: TestContext,
  lock: LeaderLock,
  trouble = (): string | undefined => undefined,
) {
  const stop = new AbortController();
  const failures: FleetError[] = [];
  const onChange = vi.fn();
  const yields: string[] = [];
  const election = new Election({
    lock,
    onChange,
    onFailure: (error) => void failures.push(error),
    trouble,
    patienceMs: 300,
    onYield: (reason) => void yields.push(reason),
  });
  const run = election.run(stop.signal);
  const end = async (): Promise<void> => {
    stop.abort();
    await run;
  };
  onTestFinished(end);
  return { election, onChange, failures, yields, end };
}

describe.concurrent('an election', () => {
  it('has one winner, and another when that one ends', async (context) => {
    const path = await folder(context);
    const first = candidate(context, fileLeaderLock(path, TTL_MS));
    await vi.waitFor(() => expect(first.election.isWon).toBe(true), soon);
    const second = candidate(context, fileLeaderLock(path, TTL_MS));
    await new Promise((resolve) => setTimeout(resolve, 2 * TTL_MS));
    expect([first.election.isWon, second.election.isWon]).toEqual([true, false]);
    await first.end();
    expect(first.election.isWon).toBe(false);
    await vi.waitFor(() => expect(second.election.isWon).toBe(true), soon);
    expect(second.onChange).toHaveBeenCalledTimes(1);
  });

  it('continues when the store is back, and reports the outage once', async (context) => {
    const lock = fileLeaderLock(await folder(context), TTL_MS);
    let away: boolean = true;
    const take = async (): Promise<boolean> => {
      if (away) throw AWAY;
      return lock.take();
    };
    const { election, failures } = candidate(context, { ...lock, take });
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect([election.isWon, failures, election.failure]).toEqual([false, [AWAY], AWAY]);
    away = false;
    await vi.waitFor(() => expect(election.isWon).toBe(true), soon);
    expect(election.failure).toBeUndefined();
  });

  it('of a leader that cannot work gives the leader lock to one that can, and says why', async (context) => {
    const path = await folder(context);
    let trouble: string | undefined;
    const first = candidate(context, fileLeaderLock(path, TTL_MS), () => trouble);
    await vi.waitFor(() => expect(first.election.isWon).toBe(true), soon);
    const second = candidate(context, fileLeaderLock(path, TTL_MS));
    trouble = 'the registry cannot be read';
    await vi.waitFor(() => expect(second.election.isWon).toBe(true), soon);
    expect([first.election.isWon, first.yields]).toEqual([false, [trouble]]);
  });

  it('bears a passing trouble', async (context) => {
    const lock = fileLeaderLock(await folder(context), TTL_MS);
    let trouble: string | undefined;
    const { election, yields } = candidate(context, lock, () => trouble);
    await vi.waitFor(() => expect(election.isWon).toBe(true), soon);
    for (let time = 0; time < 5; time++) {
      trouble = 'busy';
      await new Promise((resolve) => setTimeout(resolve, 100));
      trouble = undefined;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect([election.isWon, yields]).toEqual([true, []]);
  });

  it('has a leader that cannot work when there is none that can, and is held less and less often', async (context) => {
    const lock = fileLeaderLock(await folder(context), TTL_MS);
    const { election, yields } = candidate(context, lock, () => 'no machine answers');
    await vi.waitFor(() => expect(yields.length).toBe(2), soon);
    await vi.waitFor(() => expect(election.isWon).toBe(true), soon);
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect([election.isWon, yields.length]).toEqual([true, 2]);
  });

  it('lets those go first that can work', async (context) => {
    const path = await folder(context);
    const first = candidate(context, fileLeaderLock(path, TTL_MS));
    await vi.waitFor(() => expect(first.election.isWon).toBe(true), soon);
    const unable = candidate(context, fileLeaderLock(path, TTL_MS), () => 'every machine refuses it');
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    const able = candidate(context, fileLeaderLock(path, TTL_MS));
    await new Promise((resolve) => setTimeout(resolve, 300));
    await first.end();
    await vi.waitFor(() => expect(able.election.isWon).toBe(true), soon);
    expect(unable.election.isWon).toBe(false);
  });
});
