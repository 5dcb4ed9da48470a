import { parseArgs } from 'node:util';
import { CannotRun } from './run.js';
import { SUITES } from './suites.js';

const NAMES = [...new Set(SUITES.map(({ name }) => name))];

const HELP = `Measures fleetctl and compares it with ssh and clush, on a separate cluster.

  npm run bench -- [OPTIONS]

  --only NAME   one of ${NAMES.join(', ')}; can be repeated
  --runs N      rounds of every measurement, after a first one that does not count
  --quick       at most 3 rounds of everything, as a test of the bench

Exits with 1 when a budget is missed or a command fails, with 2 when it cannot run here.`;

/** The most rounds with --quick. */
const QUICK = 3;

/** @param {readonly string[]} args */
export function readOptions(args) {
  const { only = NAMES, runs, quick = false, help = false } = parse(args);
  const unknown = only.find((name) => !NAMES.includes(name));
  if (unknown !== undefined) throw new CannotRun(`--only must be one of ${NAMES.join(', ')}: ${unknown}`);
  if (runs !== undefined && !/^[1-9]\d{0,3}$/.test(runs))
    throw new CannotRun(`--runs must be a number: ${runs}`);
  return { only, runs: runs === undefined ? undefined : Number(runs), quick, help: help ? HELP : undefined };
}

/** The requested suites, with the requested rounds. */
export function chooseSuites({ only, runs, quick }) {
  return SUITES.filter(({ name }) => only.includes(name)).map((suite) => ({
    ...suite,
    rounds: runs ?? (quick ? Math.min(QUICK, Math.ceil(suite.rounds / QUICK)) : suite.rounds),
  }));
}

function parse(args) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        only: { type: 'string', multiple: true },
        runs: { type: 'string' },
        quick: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    throw new CannotRun(error.message);
  }
}
