import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

const HELP = `Injects faults into a cluster of real machines on this box, with two fleetd, and checks the result. Needs root.

Usage: npm run soak -- [--minutes 20] [--machines 10] [--units 200] [--ttl 10] [--seed N] [--log FILE]
       npm run soak -- --registry [--minutes 20] [--changes 1000] [--seed N]
       npm run soak -- --random [--runs 5]

With --registry, the faults are those of the voters of a registry on the machines, on four machines.
With --random, the fast tests make that many times as many random runs; this needs no machines.`;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '20' },
    machines: { type: 'string', default: '10' },
    units: { type: 'string', default: '200' },
    ttl: { type: 'string', default: '10' },
    seed: { type: 'string', default: `${Date.now() % 1_000_000}` },
    log: { type: 'string', default: '' },
    registry: { type: 'boolean', default: false },
    random: { type: 'boolean', default: false },
    runs: { type: 'string', default: '5' },
    changes: { type: 'string', default: '1000' },
    help: { type: 'boolean', default: false },
  },
});

process.exitCode = values.help ? print(HELP) : run();

function run() {
  const { minutes, machines, units, ttl, seed, log, registry, changes, random, runs } = values;
  const env = {
    SOAK_MINUTES: minutes,
    SOAK_MACHINES: machines,
    SOAK_UNITS: units,
    SOAK_TTL: ttl,
    SOAK_SEED: seed,
    SOAK_LOG: log,
    SOAK_CHANGES: changes,
    ...(random && { FLEET_RUNS: runs }),
  };
  const file = registry ? 'test/soak/registry.test.ts' : 'test/soak/soak.test.ts';
  const tests = random ? ['fast'] : ['e2e', file];
  const words = ['vitest', 'run', '--config', 'test/vitest.config.ts', '--project', ...tests];
  return spawnSync('npx', words, { stdio: 'inherit', env: { ...process.env, ...env } }).status ?? 1;
}

function print(text) {
  process.stdout.write(`${text}\n`);
  return 0;
}
