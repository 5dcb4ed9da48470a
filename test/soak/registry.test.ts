import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Fleetd, fleetdStarter } from '../e2e/fleetd.ts';
import { createOperator, type Operator, SLEEPER } from '../e2e/operator.ts';
import { add, cluster, onMachines } from '../support/cluster.ts';
import { seeded } from '../support/random.ts';
import {
  count,
  openCounter,
  readCounter,
  renewVoters,
  type Submitted,
  submitTexts,
  type Tally,
} from './registry-clients.ts';
import { injectControllerFaults, injectFaults } from './registry-faults.ts';

// A short run with the other tests; `npm run soak -- --registry` runs longer.
const MINUTES = Number(process.env.SOAK_MINUTES ?? 0.4);
const CHANGES = Number(process.env.SOAK_CHANGES ?? 20);
const SEED = Number(process.env.SOAK_SEED ?? 20261130);
const MACHINES = ['k1', 'k2', 'k3', 'k4'];
const SETTLE_MS = 120_000;
/** Faults, not the number of changes, decide what a run finds; without pauses, changes would take all the time of a processor. */
const COUNTER_PAUSE_MS = 200;

onMachines(`a registry on machines, and ${MINUTES} minutes of faults (--seed ${SEED})`, () => {
  const settings = {
    machines: MACHINES,
    top: { registry: 'machines', agent_ttl: '5s', listen: 'none' },
    ssh: { connect_timeout: '2s' },
  };
  const operators = [createOperator(settings), createOperator(settings)] as const;
  const starters = operators.map((operator) => fleetdStarter(operator));
  beforeAll(() => add('k4'));
  afterAll(() => cluster('kill', 'k4'));

  it(
    `has every one of 2 × ${CHANGES} concurrent changes`,
    async () => {
      const stores = await Promise.all(operators.map(openCounter));
      const tallies = await Promise.all(
        stores.map((store) => count(store, ({ acknowledged }) => acknowledged === CHANGES)),
      );
      print(`2 × ${CHANGES} changes: ${summary(tallies)}`);
      const [counted = 0, again] = await Promise.all(stores.map(readCounter));
      expect(again).toBe(counted);
      expectEveryChange(counted, tallies);
      await Promise.all(stores.map((store) => store.close()));
    },
    CHANGES * 2000 + 60_000,
  );

  it(
    'loses no acknowledged change, and makes none twice',
    async () => {
      operators[0].write('first.service', SLEEPER);
      // A busy machine may not answer in time, and the registry is created only while all answer.
      await expect
        .poll(async () => (await operators[0].fleetctl('start', 'first.service')).status, {
          timeout: 120_000,
        })
        .toBe(0);
      const fleetds = starters.map((start) => start());
      const all: Fleetd[] = [...fleetds];
      const stores = await Promise.all(operators.map(openCounter));
      const before = await readCounter(stores[0] as (typeof stores)[number]);
      const end = Date.now() + MINUTES * 60_000;
      const isOver = (): boolean => Date.now() > end;
      const random = [0, 1, 2, 3, 4, 5].map((offset) => seeded(SEED + offset));
      const [mine, yours, shared, sharedToo, tallies] = await Promise.all([
        submitTexts(operators[0], 'mine.service', isOver, random[0] as () => number),
        submitTexts(operators[1], 'yours.service', isOver, random[1] as () => number),
        submitTexts(operators[0], 'shared.service', isOver, random[2] as () => number),
        submitTexts(operators[1], 'shared.service', isOver, random[3] as () => number),
        Promise.all(stores.map((store) => count(store, isOver, COUNTER_PAUSE_MS))),
        injectFaults(
          {
            machines: MACHINES,
            isOver,
            whenWhole: () => whenWhole(operators[0]),
            onFault: print,
          },
          random[4] as () => number,
        ),
        injectControllerFaults(isOver, random[5] as () => number, fleetds, () => {
          const fleetd = (starters[0] as () => Fleetd)();
          all.push(fleetd);
          return fleetd;
        }),
      ]);
      print(`counters: ${summary(tallies)}`);
      await whenWhole(operators[0]);
      const counted = (await readCounter(stores[1] as (typeof stores)[number])) - before;
      await Promise.all(stores.map((store) => store.close()));
      expectEveryChange(counted, tallies);
      await checkHistory(operators[1], 'mine.service', [mine]);
      await checkHistory(operators[0], 'yours.service', [yours]);
      await checkHistory(operators[0], 'shared.service', [shared, sharedToo]);
      expect(all.flatMap((fleetd) => fleetd.crash ?? [])).toEqual([]);
    },
    MINUTES * 120_000 + 300_000,
  );
});

/** Every acknowledged change was made once, and one without an answer at most once. */
function expectEveryChange(counted: number, tallies: readonly Tally[]): void {
  const sum = (of: keyof Tally): number => tallies.reduce((total, tally) => total + tally[of], 0);
  print(`counted ${counted}: ${sum('acknowledged')} acknowledged, ${sum('unknown')} without an answer`);
  expect(counted).toBeGreaterThanOrEqual(sum('acknowledged'));
  expect(counted).toBeLessThanOrEqual(sum('acknowledged') + sum('unknown'));
}

/** Every acknowledged text is in the history once, and no text more than once. */
async function checkHistory(
  operator: Operator,
  unit: string,
  submitted: readonly Submitted[],
): Promise<void> {
  const { stdout } = await operator.fleetctl('history', '-o', 'json', unit);
  const entries: readonly { readonly hash: string }[] = JSON.parse(stdout).history;
  const hashes = entries.map(({ hash }) => hash);
  const acknowledged = submitted.flatMap((each) => [...each.acknowledged]);
  const attempted = new Set(submitted.flatMap((each) => [...each.attempted]));
  print(`${unit}: ${attempted.size} submitted, ${acknowledged.length} acknowledged, ${hashes.length} stored`);
  expect(acknowledged.filter((hash) => !hashes.includes(hash))).toEqual([]);
  expect(hashes.filter((hash) => !attempted.has(hash))).toEqual([]);
  expect(new Set(hashes).size).toBe(hashes.length);
  expect(acknowledged.length).toBeGreaterThan(0);
}

/** Waits until all voters of the registry, which a controller or a command renews, and those of the counter are current. */
async function whenWhole(operator: Operator): Promise<void> {
  const end = Date.now() + SETTLE_MS;
  for (;;) {
    const { stdout, stderr } = await operator.fleetctl('registry', '--no-legend');
    const isCurrent = stdout.match(/ current /g)?.length === 3;
    if ((await renewVoters(operator, MACHINES)) && isCurrent) return;
    if (Date.now() > end) throw new Error(`voters are not current: ${stdout}${stderr}`);
    await sleep(500);
  }
}

function summary(tallies: readonly Tally[]): string {
  return tallies
    .map(
      ({ acknowledged, conflicts, unknown, longestMs }) =>
        `${acknowledged} acknowledged, ${conflicts} retries, ${unknown} unknown, longest ${Math.round(longestMs)} ms`,
    )
    .join('; ');
}

function print(line: string): void {
  if (process.env.SOAK_MINUTES !== undefined)
    process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`);
}
