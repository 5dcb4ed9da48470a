import { parseArgs } from 'node:util';
import { CannotRun } from './run.js';
import { SUITES } from './suites.js';

const NAMES = [...new Set(SUITES.map(({ name }) => name))];

const HELP = `Measures fleetctl and fleetd, compares them with ssh, clush and node on a separate cluster,
and judges them by their budgets. It needs root, because it starts machines.

  npm run bench -- [OPTIONS]

  --only NAME   a suite; can be repeated
  --runs N      rounds of every measurement, after a first one that does not count
  --quick       few rounds of everything, in at most ten minutes
  --markdown    print tables in Markdown
  --manual      also write the tables to src/manual/performance.md

Suites:
${NAMES.map((name) => `  ${name.padEnd(12)}  ${SUITES.find((suite) => suite.name === name).about}`).join('\n')}

Examples:
  npm run bench -- --quick
  npm run bench -- --only list-units --runs 21
  npm run bench -- --only failover --only schedule --markdown >measured.md
  npm run bench -- --manual

Exits with 1 when a budget is missed or a command fails, with 2 when it cannot run here, and with 130 after Ctrl-C,
which removes the cluster.`;

/** @param {readonly string[]} args */
export function readOptions(args) {
  const { only = NAMES, runs, quick = false, markdown = false, manual = false, help = false } = parse(args);
  const unknown = only.find((name) => !NAMES.includes(name));
  if (unknown !== undefined) throw new CannotRun(`--only must be one of ${NAMES.join(', ')}: ${unknown}`);
  if (runs !== undefined && !/^[1-9]\d{0,3}$/.test(runs))
    throw new CannotRun(`--runs must be a number: ${runs}`);
  return { only, runs: runs && Number(runs), quick, markdown, manual, help: help ? HELP : undefined };
}

/** The requested suites, with the requested rounds. A suite without rounds is left out. */
export function chooseSuites({ only, runs, quick }) {
  return SUITES.filter(({ name }) => only.includes(name))
    .map((suite) => ({ ...suite, rounds: runs ?? (quick ? suite.quick : suite.rounds) }))
    .filter(({ rounds }) => rounds > 0);
}

function parse(args) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        only: { type: 'string', multiple: true },
        runs: { type: 'string' },
        quick: { type: 'boolean' },
        markdown: { type: 'boolean' },
        manual: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    throw new CannotRun(error.message);
  }
}
