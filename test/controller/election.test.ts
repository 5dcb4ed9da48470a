import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, type TestContext, vi } from 'vitest';
import type { FleetError } from '../../src/base/errors.ts';
import { Election } from '../../src/controller/election.ts';
import { fileSeat } from '../../src/lease/file-seat.ts';
import type { Seat } from '../../src/lease/seat.ts';
import { AWAY } from './support.ts';

/** So long that a busy box renews a seat in time, too. */
const TTL_MS = 4000;
const soon = { timeout: 20_000, interval: 10 };

async function folder({ onTestFinished }: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'fleet-election-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** A candidate that stands until it is told to end, or the test is over. */
function candidate({ onTestFinished }: TestContext, seat: Seat) {
  const stop = new AbortController();
  const failures: FleetError[] = [];
  const onChange = vi.fn();
  const election = new Election({ seat, onChange, onFailure: (error) => void failures.push(error) });
  const run = election.run(stop.signal);
  const end = async (): Promise<void> => {
    stop.abort();
    await run;
  };
  onTestFinished(end);
  return { election, onChange, failures, end };
}

describe.concurrent('an election', () => {
  it('has one winner, and another when that one ends', async (context) => {
    const path = await folder(context);
    const first = candidate(context, fileSeat(path, TTL_MS));
    await vi.waitFor(() => expect(first.election.isWon).toBe(true), soon);
    const second = candidate(context, fileSeat(path, TTL_MS));
    await new Promise((resolve) => setTimeout(resolve, 2 * TTL_MS));
    expect([first.election.isWon, second.election.isWon]).toEqual([true, false]);
    await first.end();
    expect(first.election.isWon).toBe(false);
    await vi.waitFor(() => expect(second.election.isWon).toBe(true), soon);
    expect(second.onChange).toHaveBeenCalledTimes(1);
  });

  it('goes on when the store is back, and tells once that it was away', async (context) => {
    const seat = fileSeat(await folder(context), TTL_MS);
    let away: boolean = true;
    const take = async (): Promise<boolean> => {
      if (away) throw AWAY;
      return seat.take();
    };
    const { election, failures } = candidate(context, { ...seat, take });
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect([election.isWon, failures]).toEqual([false, [AWAY]]);
    away = false;
    await vi.waitFor(() => expect(election.isWon).toBe(true), soon);
  });
});
