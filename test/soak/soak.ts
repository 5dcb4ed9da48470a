import { loadavg } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../src/base/time.ts';
import { createRegistry, type Registry } from '../../src/registry/registry.ts';
import { openFileStore } from '../../src/store/file.ts';
import type { Fleetd } from '../e2e/fleetd.ts';
import type { Operator } from '../e2e/operator.ts';
import { seeded } from '../support/random.ts';
import {
  doubledCopies,
  machinesWithOtherClock,
  misplaced,
  outdated,
  readRunLogs,
  unexplainedStops,
} from './checks.ts';
import { EventLog } from './event-log.ts';
import {
  command,
  injectControllerFaults,
  injectHostileAnswers,
  injectMachineFaults,
  runOperator,
  type SoakContext,
} from './fault-injection.ts';
import { readFencedCopies } from './fenced-copies.ts';
import { Memory } from './memory.ts';
import { reportOf } from './report.ts';
import { runsOf } from './runs.ts';
import { fileOf, isFenced, textOf, unitNames } from './units.ts';

export type SoakOptions = {
  readonly operator: Operator;
  readonly start: () => Fleetd;
  readonly machines: readonly string[];
  readonly units: number;
  readonly ms: number;
  /** The `agent_ttl` of the cluster, in ms. */
  readonly ttlMs: number;
  readonly seed: number;
  /** Prints progress. */
  readonly print: (line: string) => void;
};

/** The problems that were found, empty when there are none, and the log. */
export type Findings = {
  readonly misplaced: readonly string[];
  readonly outdated: readonly string[];
  readonly unexplainedStops: readonly string[];
  readonly doubledCopies: readonly string[];
  readonly memoryGrowth: readonly string[];
  readonly crashes: readonly string[];
  /** The logs of all fleetd processes. */
  readonly log: string;
};

/** How long a cluster may take to settle after the last fault, in ms. */
const SETTLE_MS = 120_000;
/** Duration of the faults of one round, in ms. */
const ROUND_MS = 120_000;

/** Injects faults into a cluster in rounds, and checks its state after each. */
export async function soak(options: SoakOptions): Promise<Findings> {
  const run = setUp(options);
  const { context, all, memory, registry } = run;
  const { print } = options;
  const rounds = Math.max(1, Math.round(options.ms / ROUND_MS));
  const begun = Date.now();
  await command(context, 'start', ...context.units);
  await waitUntilSettled(run);
  print(`settled after ${secondsBetween(begun, Date.now())} s`);
  const results: RoundResult[] = [];
  while (results.length < rounds) {
    const round = `round ${results.length + 1} of ${rounds}`;
    const from = Date.now();
    await injectFaults(run, options.ms / rounds);
    const faultsEnd = Date.now();
    const result = await settle(run, `after ${round}: `);
    results.push(result);
    await run.copyEvents();
    const faults = `${secondsBetween(from, faultsEnd)} s of faults`;
    print(
      `${round}: ${faults}, settled after ${secondsBetween(faultsEnd, Date.now())} s; load ${loadavg()[0]}`,
    );
    for (const problem of [...result.misplaced, ...result.outdated]) print(problem);
  }
  await registry.close();
  const { machines, units, log } = context;
  const runLogs = await readRunLogs(machines);
  const runs = machines.flatMap((machine, i) => runsOf(machine, runLogs[i] ?? '', log));
  log.leaderChanges.push(...all.flatMap(leaderChangesOf));
  const copies = readFencedCopies(units.filter(isFenced), machines, log);
  for (const line of [...reportOf(log, runs, copies), ...memory.report]) print(line);
  return {
    misplaced: results.flatMap(({ misplaced }) => misplaced),
    outdated: results.flatMap(({ outdated }) => outdated),
    unexplainedStops: [...(await machinesWithOtherClock(machines)), ...unexplainedStops(runs, copies, log)],
    doubledCopies: doubledCopies(copies),
    memoryGrowth: memory.growth,
    crashes: all.flatMap((fleetd) => fleetd.crash ?? []),
    log: all.map(({ text }, index) => text.replaceAll(/^/gm, `fleetd ${index}: `)).join('\n'),
  };
}

type SoakRun = {
  readonly context: SoakContext & { end: number };
  readonly registry: Registry;
  /** `current` are the two running processes, `all` includes the ended ones. */
  readonly fleetds: { readonly current: Fleetd[]; readonly start: () => Fleetd };
  readonly all: readonly Fleetd[];
  readonly memory: Memory;
  /** Copies the events of the registry to the log. */
  readonly copyEvents: () => Promise<void>;
  readonly ofControllers: Random;
  readonly ofOperators: readonly Random[];
  readonly ofMachines: readonly Random[];
  readonly ofHostile: Random;
};
type Random = () => number;

function setUp({ operator, machines, units: count, start, seed, ttlMs }: SoakOptions): SoakRun {
  const units = unitNames(count);
  for (const unit of units) operator.write(fileOf(unit), textOf(unit, 1));
  const log = new EventLog(ttlMs);
  const context = { operator, machines, units, log, end: 0, isOver: () => Date.now() > context.end };
  const all: Fleetd[] = [];
  const startOne = (): Fleetd => {
    const fleetd = start();
    all.push(fleetd);
    return fleetd;
  };
  const store = openFileStore(join(operator.folder, 'registry'));
  const registry = createRegistry(store, { clock: systemClock, author: 'soak' });
  const injectors = Math.max(1, Math.floor((machines.length - 1) / 4));
  return {
    context,
    registry,
    fleetds: { current: [startOne(), startOne()], start: startOne },
    all,
    memory: new Memory(),
    copyEvents: async () => log.addRegistryEvents(await registry.load()),
    ofControllers: seeded(seed),
    ofOperators: [seeded(seed + 1), seeded(seed + 2)],
    ofHostile: seeded(seed - 1),
    ofMachines: Array.from({ length: injectors }, (_, i) => seeded(seed + 3 + i)),
  };
}

async function injectFaults(run: SoakRun, ms: number): Promise<void> {
  const { context, fleetds, memory, copyEvents, ofControllers, ofOperators, ofMachines, ofHostile } = run;
  context.end = Date.now() + ms;
  await Promise.all([
    ...ofMachines.map((random) => injectMachineFaults(context, random, Math.min(20_000, ms / 4))),
    injectHostileAnswers(context, ofHostile, context.machines.at(-1) ?? ''),
    ...ofOperators.map((random) => runOperator(context, random)),
    injectControllerFaults(context, ofControllers, fleetds),
    each(context, 10_000, copyEvents),
    each(context, 1_000, async () => memory.sample(fleetds.current)),
  ]);
}

type RoundResult = Pick<Findings, 'misplaced' | 'outdated'>;

async function settle(run: SoakRun, when: string): Promise<RoundResult> {
  await command(run.context, 'uncordon', ...run.context.machines);
  const problems = await waitUntilSettled(run);
  const prefixed = (lines: readonly string[]): readonly string[] => lines.map((line) => when + line);
  return {
    misplaced: prefixed(problems),
    outdated: prefixed(outdated(run.context, await run.registry.load())),
  };
}

function secondsBetween(from: number, to: number): number {
  return Math.round((to - from) / 1000);
}

async function each(context: SoakContext, ms: number, act: () => Promise<void>): Promise<void> {
  while (!context.isOver()) {
    await act();
    await sleep(ms);
  }
}

/** When it became or ceased to be the leader, by its log; epoch ms. */
function leaderChangesOf({ log }: Fleetd): readonly number[] {
  const changes = log.filter(({ event }) => event === 'leads' || event === 'stands-by');
  return changes.map(({ time }) => Date.parse(time));
}

/** Waits until no unit is misplaced in two checks a second apart; returns the misplaced ones after SETTLE_MS. */
async function waitUntilSettled({ context, registry }: SoakRun): Promise<readonly string[]> {
  const end = Date.now() + SETTLE_MS;
  for (let passed = 0; ; await sleep(1_000)) {
    const problems = misplaced(context, await registry.load());
    passed = problems.length === 0 ? passed + 1 : 0;
    if (passed === 2 || Date.now() > end) return problems;
  }
}
