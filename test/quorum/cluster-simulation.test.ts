import { afterEach, describe, expect, it, vi } from 'vitest';
import type * as Async from '../../src/base/async.ts';
import type * as Agreement from '../../src/quorum/agreement.ts';
import type * as Heads from '../../src/quorum/head.ts';
import type * as Ids from '../../src/quorum/ids.ts';
import type * as Rules from '../../src/quorum/membership.ts';
import type * as Recovery from '../../src/quorum/remains.ts';
import { runs } from '../support/random.ts';
import type { Account, ClusterSimulation } from './cluster-simulation.ts';
import type { MachineFault, World } from './world.ts';

const HISTORIES = runs(10);
const STEPS = 3000;

const QUORUM = '../../src/quorum';

/** The history that runs now. */
let current: ClusterSimulation | undefined;
const simulation = (): ClusterSimulation => current as ClusterSimulation;
const world = (): World => simulation().world;

const replaced = new Map<string, (module: object) => object>();

afterEach(() => {
  for (const path of replaced.keys()) vi.doUnmock(path);
  replaced.clear();
  vi.resetModules();
});

/** The last change of a module counts. Vitest knows one for each module, because it can exchange two on a busy box. */
function replace<M extends object>(path: string, change: (module: M) => Partial<M>): void {
  const isNew = !replaced.has(path);
  replaced.set(path, change as (module: object) => object);
  if (!isNew) return;
  vi.doMock(path, async (original) => {
    const module = await original<M>();
    return { ...module, ...replaced.get(path)?.(module) };
  });
}

type AgreementOf = typeof Agreement.agreementOf;

/** The code with clocks and random numbers of the simulation, which judges each agreement. */
async function load(
  mutate: () => void = () => undefined,
  agree: (original: AgreementOf) => AgreementOf = (original) => original,
): Promise<(seed: number, fault?: MachineFault) => Promise<Account>> {
  vi.resetModules();
  replace('node:timers/promises', () => ({ setTimeout: () => world().timer() }));
  replace<typeof Async>('../../src/base/async.ts', () => ({
    withTimeout: (_, work, late) => Promise.race([work, world().timer().then(late)]),
  }));
  // So few that processes do not find their own commit there.
  replace<typeof Heads>(`${QUORUM}/head.ts`, () => ({ COMMITS_KEPT: 2 as 32 }));
  replace<typeof Ids>(`${QUORUM}/ids.ts`, () => ({
    randomId: () => world().newId(),
    randomProposer: () => world().newNumber(),
    randomStep: () => Math.floor(world().random() * 2 ** 16) + 1,
  }));
  replace<typeof Agreement>(`${QUORUM}/agreement.ts`, ({ agreementOf }) => ({
    agreementOf: (holdings) => {
      const agreement = agree(agreementOf)(holdings);
      simulation().judge(holdings, agreement.kind === 'agreed' ? agreement.head : undefined);
      return agreement;
    },
  }));
  mutate();
  const { ClusterSimulation: Simulation } = await import('./cluster-simulation.ts');
  return (seed, fault) => {
    current = new Simulation(seed, fault);
    return current.run(STEPS);
  };
}

/** `first` is a seed that finds the fault: a change of the simulation may need one of the next seeds. */
async function firstViolation(
  first: number,
  run: (seed: number) => Promise<Account>,
): Promise<string | undefined> {
  for (let seed = first; seed < first + 100; seed++) {
    const [found] = (await run(seed)).violations;
    if (found !== undefined) return `seed ${seed}: ${found}`;
  }
  return undefined;
}

describe('a registry that is recovered, on machines of which one has another registry', () => {
  it('is linearizable in each era, and loses only what no machine has', async () => {
    const run = await load();
    const found: string[] = [];
    const total = { steps: 0, acknowledged: 0, recoveries: 0, foreign: 0, former: 0, refused: 0 };
    for (let seed = 1; seed <= HISTORIES; seed++) {
      const account = await run(seed);
      found.push(...account.violations.slice(0, 3).map((violation) => `seed ${seed}: ${violation}`));
      for (const name of Object.keys(total) as (keyof typeof total)[]) total[name] += account[name];
    }
    if (HISTORIES > 100) process.stdout.write(`${JSON.stringify(total)}\n`);
    expect(found).toEqual([]);
    expect(total.acknowledged).toBeGreaterThan(HISTORIES * 30);
    expect(total.recoveries).toBeGreaterThan(HISTORIES);
  });

  const faults: [MachineFault, seed: number][] = [
    ['found-not-synced', 2],
    ['found-replaces-any', 1],
  ];
  it.each(faults)('would not be with the fault "%s" of machines', async (fault, first) => {
    const run = await load();
    expect(await firstViolation(first, (seed) => run(seed, fault))).toBeDefined();
  });

  const rules: [rule: string, seed: number, mutate: () => void][] = [
    [
      'a recovery begins no era',
      1,
      () =>
        replace<typeof Rules>(`${QUORUM}/membership.ts`, () => ({
          inNextEra: (era, voters) => ({ epoch: era + 1, voters }),
        })),
    ],
    [
      'a voter of another era keeps its state',
      7,
      () => replace<typeof Rules>(`${QUORUM}/membership.ts`, () => ({ isFormer: () => false })),
    ],
    [
      'eras are ignored',
      3,
      () => replace<typeof Rules>(`${QUORUM}/membership.ts`, () => ({ eraOf: () => 0 })),
    ],
    [
      'a commit is not found after it was pushed out of the list',
      7,
      () =>
        replace<typeof Heads>(`${QUORUM}/head.ts`, ({ revisionOf }) => ({
          COMMITS_KEPT: 1 as 32,
          revisionOf: (id, head) => revisionOf(id, head, Number.POSITIVE_INFINITY),
        })),
    ],
    [
      'a recovery takes the oldest remains',
      3,
      () =>
        replace<typeof Recovery>(`${QUORUM}/remains.ts`, ({ findRemains }) => ({
          findRemains: async (...args) => {
            const remains = await findRemains(...args);
            const heads = [...(remains?.found.values() ?? [])].flatMap(({ accepted }): Heads.Head[] =>
              accepted ? [accepted.value] : [],
            );
            const [oldest] = heads.toSorted((a, b) => a.revision - b.revision);
            return remains && oldest && { ...remains, head: oldest };
          },
        })),
    ],
  ];
  it.each(rules)('would not be if %s', async (_, first, mutate) => {
    const run = await load(mutate);
    expect(await firstViolation(first, run)).toBeDefined();
  });

  const agreements: [rule: string, seed: number, agree: (original: AgreementOf) => AgreementOf][] = [
    [
      'the highest epoch counts',
      1,
      (original) => (holdings) => {
        const [highest] = holdings.toSorted((a, b) => b.head.membership.epoch - a.head.membership.epoch);
        return original(highest === undefined ? [] : [highest]);
      },
    ],
    [
      'the majority of the voters before a recovery counts',
      1,
      (original) => (holdings) => {
        const eras = [...new Set(holdings.map(({ head }) => Math.floor(head.membership.epoch / 2 ** 20)))];
        const of = (era: number) =>
          holdings.filter(({ head }) => Math.floor(head.membership.epoch / 2 ** 20) === era);
        return original(eras.map(of).toSorted((a, b) => b.length - a.length)[0] ?? []);
      },
    ],
  ];
  it.each(agreements)('would not be if %s', async (_, first, agree) => {
    const run = await load(undefined, agree);
    expect(await firstViolation(first, run)).toBeDefined();
  });
});
