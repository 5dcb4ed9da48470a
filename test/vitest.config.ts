import { defineConfig } from 'vitest/config';
import { ClosingLine } from './support/closing-line.ts';
import { SLOTS } from './support/slot.ts';
import { SlowFirst } from './support/slow-first.ts';

const shellText = {
  // Like the bundler, tests load shell files, units and the manual as text.
  name: 'shell-text',
  transform: (code: string, id: string) =>
    /\.(?:sh|service|socket|md)$/.test(id) ? `export default ${JSON.stringify(code)}` : undefined,
};

/** How long tests wait for a condition, in ms: much longer than necessary, because a box can be busy. */
const poll = { timeout: 20_000 };

/** Without the folders of packages, which npm adds: shells search each of them for every command of a script. */
const PATH = (process.env.PATH ?? '')
  .split(':')
  .filter((folder) => !folder.includes('node_modules'))
  .join(':');

/** The files that replace modules or count what V8 executes, and need a process each. */
const ISOLATED = [
  'test/**/*growth.test.ts',
  'test/controller/failover.test.ts',
  'test/quorum/cluster-simulation.test.ts',
  'test/quorum/membership.test.ts',
];

/** The settings of tests that need nothing. */
const fast = {
  env: { PATH },
  // V8 optimises what runs eight times as long as usual: most of these processes end before an optimisation pays off.
  execArgv: ['--interrupt-budget=540000'],
  // Two of them take two minutes on a busy box.
  testTimeout: 300_000,
  hookTimeout: 300_000,
  expect: { poll },
};

export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    reporters: ['default', new ClosingLine()],
    sequence: { sequencer: SlowFirst },
    maxWorkers: SLOTS,
    // The projects share what is transformed, which takes 13 ms of CPU for each module.
    experimental: { fsModuleCache: true },
    projects: [
      {
        plugins: [shellText],
        test: {
          ...fast,
          name: 'fast',
          include: ['test/**/*.test.ts'],
          exclude: ['test/e2e/**', 'test/soak/**', ...ISOLATED],
          // Loading the modules for each file takes longer than most files. See "Tests" in src/README.md.
          isolate: false,
        },
      },
      {
        plugins: [shellText],
        test: { ...fast, name: 'isolated', include: ISOLATED },
      },
      {
        plugins: [shellText],
        test: {
          // Real machines: each file that runs has its own cluster.
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts', 'test/soak/**/*.test.ts'],
          globalSetup: 'test/e2e/setup.ts',
          isolate: false,
          // Most conditions are asked of a machine, which takes a process there.
          expect: { poll: { ...poll, interval: 200 } },
          testTimeout: 120_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
