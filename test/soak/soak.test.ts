import { appendFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { fleetdStarter } from '../e2e/fleetd.ts';
import { createOperator } from '../e2e/operator.ts';
import { add, cluster, onMachines } from '../support/cluster.ts';
import { soak } from './soak.ts';

// A short run with the other tests; `npm run soak` runs longer.
const MINUTES = Number(process.env.SOAK_MINUTES ?? 0.5);
const COUNT = Number(process.env.SOAK_MACHINES ?? 4);
const UNITS = Number(process.env.SOAK_UNITS ?? 28);
const SEED = Number(process.env.SOAK_SEED ?? 20261125);
/** In seconds. */
const TTL = Number(process.env.SOAK_TTL ?? 5);
const LOG = process.env.SOAK_LOG;
const MACHINES = Array.from({ length: COUNT }, (_, i) => `k${i + 1}`);
/** Some units require this metadata, which half of the machines have. */
const METADATA = Object.fromEntries(
  MACHINES.slice(0, Math.ceil(COUNT / 2)).map((name) => [name, 'half=first']),
);

onMachines(`${UNITS} units on ${COUNT} machines, and ${MINUTES} minutes of faults (--seed ${SEED})`, () => {
  // Two processes cannot listen on the same socket.
  const top = { agent_ttl: `${TTL}s`, listen: 'none' };
  const operator = createOperator({
    machines: MACHINES,
    top,
    ssh: { connect_timeout: '2s' },
    metadata: METADATA,
  });
  // With a small heap, garbage is collected soon, and a leak ends the process.
  const start = fleetdStarter(operator, '--max-old-space-size=64 --max-semi-space-size=4');

  beforeAll(() => add(...MACHINES.slice(3)));
  // Machines are never removed from the test cluster, only switched off.
  afterAll(() => cluster('kill', ...MACHINES.slice(3)));

  it(
    'keep every unit on the machine of the registry, in one copy, and stop none without a reason',
    async () => {
      if (LOG) writeFileSync(LOG, '');
      const { log, ...findings } = await soak({
        operator,
        start,
        machines: MACHINES,
        units: UNITS,
        ms: MINUTES * 60_000,
        ttlMs: TTL * 1000,
        seed: SEED,
        print,
      });
      if (LOG) appendFileSync(LOG, `${log}\n`);
      expect(findings).toEqual({
        misplaced: [],
        outdated: [],
        unexplainedStops: [],
        doubledCopies: [],
        memoryGrowth: [],
        crashes: [],
      });
    },
    MINUTES * 120_000 + 300_000,
  );
});

function print(line: string): void {
  if (process.env.SOAK_MINUTES !== undefined) process.stderr.write(`${line}\n`);
  if (LOG) appendFileSync(LOG, `${line}\n`);
}
