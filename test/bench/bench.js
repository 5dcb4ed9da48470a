import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Baselines, installClush } from './baselines.js';
import { Cluster } from './cluster.js';
import { Fleet } from './fleet.js';
import { chooseSuites, readOptions } from './options.js';
import { budgetResults, describe } from './report.js';
import { CannotRun, interruption } from './run.js';

/** Every run uses the same folder, so that a run also removes what a killed run left. */
const FOLDER = join(tmpdir(), 'fleet-bench');

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => interrupt(signal));
// The reader has closed the pipe, as in `npm run bench | head`.
process.stdout.on('error', () => interrupt('the output is closed'));
process.exitCode = await main(process.argv.slice(2));

async function main(args) {
  try {
    const options = readOptions(args);
    if (options.help !== undefined) {
      print(options.help);
      return 0;
    }
    const missed = await measureAll(chooseSuites(options));
    if (missed.length > 0) print(`\nOver budget: ${missed.join(', ')}`);
    return missed.length === 0 ? 0 : 1;
  } catch (error) {
    say(`bench: ${error instanceof Error ? error.message : error}`);
    if (interruption.signal.aborted) return 130;
    return error instanceof CannotRun ? 2 : 1;
  }
}

/** Runs the suites on a cluster that is removed afterwards, and returns the measurements over budget. */
async function measureAll(suites) {
  const cluster = new Cluster(join(FOLDER, 'cluster'));
  const needsCluster = suites.some(({ machines }) => machines > 0);
  const obstacle = needsCluster ? await cluster.obstacle() : undefined;
  if (obstacle !== undefined) throw new CannotRun(obstacle);
  lockFolder();
  try {
    if (needsCluster) await cluster.down();
    const clushObstacle = suites.some(({ name }) => name === 'list-units')
      ? await installClush(say)
      : undefined;
    const fleet = new Fleet(join(FOLDER, 'fleet'), cluster);
    await fleet.build();
    print(heading());
    return await runSuites(suites, { cluster, fleet, baselines: new Baselines(cluster), clushObstacle });
  } finally {
    if (needsCluster) await cluster.down();
    rmSync(FOLDER, { recursive: true, force: true });
  }
}

async function runSuites(suites, { cluster, fleet, baselines, clushObstacle }) {
  const missed = [];
  for (const { name, machines, rounds, measure } of suites) {
    if (machines > cluster.machines.length) {
      say(`starting machines: ${machines}`);
      for (const line of await cluster.grow(machines)) say(line);
      await fleet.useMachines();
    }
    say(`measuring: ${name}`);
    const outcome = await measure({ fleet, cluster, baselines, machines, clushObstacle }, rounds);
    print(`\n${describe(outcome).join('\n')}`);
    const over = budgetResults(outcome).filter(({ isOver }) => isOver);
    missed.push(...over.map(({ of }) => `${of} (${outcome.title})`));
  }
  return missed;
}

/** Locks the folder, unless another bench uses it. */
function lockFolder() {
  const owner = join(FOLDER, 'pid');
  const other = existsSync(owner) ? readFileSync(owner, 'utf8') : '';
  if (other !== '' && existsSync(`/proc/${other}/cmdline`)) {
    const words = readFileSync(`/proc/${other}/cmdline`, 'utf8');
    if (words.includes('bench.js')) throw new CannotRun(`another bench is running, as process ${other}`);
  }
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(owner, `${process.pid}`);
}

function heading() {
  const load = loadavg()
    .map((average) => average.toFixed(2))
    .join(' ');
  return `Node ${process.version}, ${availableParallelism()} cores, load average ${load}`;
}

function interrupt(why) {
  if (interruption.signal.aborted) return;
  interruption.abort(new Error(`interrupted: ${why}`));
}

function print(text) {
  process.stdout.write(`${text}\n`);
}

function say(line) {
  process.stderr.write(`${line}\n`);
}
