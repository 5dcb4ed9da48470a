import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { paceOf } from '../../src/cli/fleetd/serve.ts';
import { House } from './support.ts';

/** Machines are lost at so many phases of the interval of observations. */
const PHASES = 5;
/** The steps in which the clock is turned, in ms. */
const STEP_MS = 100;

// Vitest fakes the timers of node:timers alone.
vi.mock('node:timers/promises', () => ({
  setTimeout: (ms: number, value: unknown, { signal }: { signal?: AbortSignal } = {}) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const timer = setTimeout(() => resolve(value), ms);
      signal?.addEventListener('abort', () => {
        clearTimeout(timer);
        reject(signal.reason);
      });
    }),
}));

const houses: House[] = [];

beforeEach(() => void vi.useFakeTimers());
afterEach(async () => {
  const ended = Promise.all(houses.splice(0).map((house) => house.end()));
  await vi.advanceTimersByTimeAsync(60_000);
  await ended;
  vi.useRealTimers();
});

type Lose = (house: House, ttlMs: number) => void;

/** With the earliest move, in intervals of observations before agent_ttl is over: the end of a session shows the moment. */
const CAUSES: readonly [string, number, Lose][] = [
  ['loses power, or its SSH server dies', 0, (house) => house.refuse('m1')],
  ['hangs, or is cut off', 1, (house) => house.hung.add('m1')],
  [
    'is cut off and loses power then',
    1,
    (house, ttlMs) => {
      house.hung.add('m1');
      const refuse = (): void => {
        house.hung.delete('m1');
        house.refuse('m1');
      };
      setTimeout(refuse, ttlMs / 3);
    },
  ],
];

/**
 * Loses m1, where a unit runs, in every phase of a controller with that agent_ttl. Resolves to the ms until the unit runs on
 * another machine; Infinity for two agent_ttl without that.
 */
async function timesToMove(ttlMs: number, lose: Lose, machines = ['m1', 'm2', 'm3']) {
  const pace = paceOf({ agent_ttl: ttlMs });
  const cases = Array.from({ length: PHASES }, (_, phase) => ({
    house: new House(machines, { agentTtlMs: ttlMs, ...pace }),
    lostAt: 2 * ttlMs + (phase / PHASES) * pace.intervalMs,
    ms: Number.POSITIVE_INFINITY,
  }));
  houses.push(...cases.map(({ house }) => house));
  for (const { house, lostAt } of cases) {
    await house.want('launched', '', 'a.service');
    setTimeout(() => lose(house, ttlMs), lostAt);
  }
  for (let now = STEP_MS; now < 4 * ttlMs; now += STEP_MS) {
    await vi.advanceTimersByTimeAsync(STEP_MS);
    for (const each of cases) {
      const runs = each.house.runs('a.service');
      if (now === 2 * ttlMs) expect(runs).toEqual(['m1']);
      if (runs.some((machine) => machine !== 'm1')) each.ms = Math.min(each.ms, now - each.lostAt);
    }
  }
  return cases.map(({ ms }) => ms);
}

describe.each([5_000, 30_000])('a unit with agent_ttl %i ms', (ttlMs) => {
  const { intervalMs, deadlineMs } = paceOf({ agent_ttl: ttlMs });

  it.each(CAUSES)('moves within a second after agent_ttl when its machine %s', async (_, early, lose) => {
    const times = await timesToMove(ttlMs, lose);
    expect(Math.max(...times)).toBeLessThan(ttlMs + 1_000);
    expect(Math.min(...times)).toBeGreaterThanOrEqual(ttlMs - early * (intervalMs + STEP_MS));
  });

  it('moves when every machine that was lost at the same time is known to be unreachable', () => {
    expect(2 * intervalMs + deadlineMs).toBeLessThan(ttlMs);
  });

  it('stays when more machines than cut_off are lost with its machine', async () => {
    const lose: Lose = (house) => {
      for (const machine of ['m1', 'm2', 'm3']) house.hung.add(machine);
    };
    const times = await timesToMove(ttlMs, lose, ['m1', 'm2', 'm3', 'm4', 'm5']);
    expect(Math.min(...times)).toBe(Number.POSITIVE_INFINITY);
  });

  it('stays when its machine answers again in time', async () => {
    const times = await timesToMove(ttlMs, (house) => {
      house.hung.add('m1');
      setTimeout(() => house.hung.delete('m1'), ttlMs / 2);
    });
    expect(Math.min(...times)).toBe(Number.POSITIVE_INFINITY);
  });
});
