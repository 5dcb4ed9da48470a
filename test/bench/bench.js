import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Baselines } from './baselines.js';
import { describeBox, OtherLoad } from './box.js';
import { Cluster } from './cluster.js';
import { Fleet } from './fleet.js';
import { writeManual } from './manual.js';
import { chooseSuites, readOptions } from './options.js';
import { describe, isOver } from './report.js';
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
    const missed = await measureAll(chooseSuites(options), options);
    if (missed.length > 0) print(`\nOver budget:\n${missed.map((each) => `  ${each}`).join('\n')}`);
    return missed.length === 0 ? 0 : 1;
  } catch (error) {
    say(`bench: ${error instanceof Error ? error.message : error}`);
    if (interruption.signal.aborted) return 130;
    return error instanceof CannotRun ? 2 : 1;
  }
}

/** Runs the suites on a cluster that is removed afterwards, and returns the checks over budget. */
async function measureAll(suites, { markdown, manual }) {
  const cluster = new Cluster(join(FOLDER, 'cluster'));
  const needsCluster = suites.some(({ machines }) => machines > 0);
  const obstacle = needsCluster ? await cluster.obstacle() : undefined;
  if (obstacle !== undefined) throw new CannotRun(obstacle);
  lockFolder();
  try {
    if (needsCluster) await cluster.down();
    const fleet = new Fleet(join(FOLDER, 'fleet'), cluster);
    await fleet.build();
    const box = await describeBox();
    print(box);
    const context = { cluster, fleet, baselines: new Baselines(cluster), say };
    const outcomes = [];
    for (const suite of suites) {
      const outcome = await runSuite(suite, context);
      outcomes.push(outcome);
      print(`\n${describe(outcome, markdown)}`);
    }
    if (manual) writeManual(box, outcomes);
    return outcomes.flatMap(({ title, checks = [] }) =>
      checks.filter(isOver).map(({ label }) => `${label} (${title})`),
    );
  } finally {
    if (needsCluster) await cluster.down();
    rmSync(FOLDER, { recursive: true, force: true });
  }
}

async function runSuite({ name, machines, rounds, measure }, context) {
  const { cluster, fleet } = context;
  if (machines > cluster.machines.length) {
    say(`starting machines: ${machines}`);
    for (const line of await cluster.grow(machines)) say(line);
    await fleet.useMachines();
  }
  say(`measuring: ${name}`);
  const load = new OtherLoad(cluster);
  const outcome = await measure({ ...context, machines }, rounds);
  const percent = (100 * load.share).toFixed(0);
  const notes = [...(outcome.notes ?? []), `Other processes used ${percent} % of the CPU time meanwhile.`];
  return { ...outcome, notes };
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
