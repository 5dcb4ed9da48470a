import { parseArgs } from 'node:util';
import { CannotRun } from './run.js';
import { SUITES } from './suites.js';

const NAMES = [...new Set(SUITES.map(({ name }) => name))];

const HELP = `Measures fleetctl beside what people use otherwise, on a cluster of its own.

  npm run bench -- [OPTIONS]

  --only NAME   one of ${NAMES.join(', ')}; may be given again
  --runs N      rounds of every measurement, a first one that does not count aside
  --quick       at most 3 rounds of everything: shows that it works, not how fast

Exits with 1 when a budget is missed or a command fails, with 2 when it cannot run here.`;

/** Rounds of --quick: at most so many. */
const QUICK = 3;

/** @param {readonly string[]} args */
export function readOptions(args) {
  const { only = NAMES, runs, quick = false, help = false } = parse(args);
  const unknown = only.find((name) => !NAMES.includes(name));
  if (unknown !== undefined) throw new CannotRun(`--only takes ${NAMES.join(', ')}: ${unknown}`);
  if (runs !== undefined && !/^[1-9]\d{0,3}$/.test(runs))
    throw new CannotRun(`--runs takes a number: ${runs}`);
  return { only, runs: runs === undefined ? undefined : Number(runs), quick, help: help ? HELP : undefined };
}

/** The suites that were asked for, with the rounds that were asked for. */
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
