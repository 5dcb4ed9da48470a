import { loadavg } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../src/base/clock.ts';
import { createRegistry, type Registry } from '../../src/registry/registry.ts';
import { openFileStore } from '../../src/store/file.ts';
import type { Fleetd } from '../e2e/fleetd.ts';
import type { Operator } from '../e2e/operator.ts';
import { seeded } from '../support/random.ts';
import { Chronicle } from './chronicle.ts';
import { copiesOf } from './copies.ts';
import { Memory } from './memory.ts';
import { beHostile, command, operate, type Scene, troubleControllers, troubleMachines } from './mischief.ts';
import { reportOf } from './report.ts';
import { runsOf } from './runs.ts';
import { unexplained } from './stops.ts';
import { fileOf, isFenced, textOf, unitNames } from './units.ts';
import { diaries, doubled, misplaced, otherClocks, outdated } from './verdict.ts';

export type SoakOptions = {
  readonly operator: Operator;
  readonly start: () => Fleetd;
  readonly machines: readonly string[];
  readonly units: number;
  readonly ms: number;
  /** The `agent_ttl` of the cluster, in ms. */
  readonly ttlMs: number;
  readonly seed: number;
  /** Hears how it goes, a line at a time. */
  readonly say: (line: string) => void;
};

/** What a soak found; all lists are empty when everything held. */
export type Findings = {
  readonly misplaced: readonly string[];
  readonly outdated: readonly string[];
  readonly unexplained: readonly string[];
  /** Fenced units of which two copies ran. */
  readonly doubled: readonly string[];
  /** The fleetd whose memory grew. */
  readonly grown: readonly string[];
  readonly crashed: readonly string[];
  /** What every fleetd logged. */
  readonly log: string;
};

/** How long a cluster may take to be in order when nothing troubles it any more, in ms. */
const CALM_MS = 120_000;
/** For how long everything happens before the cluster has to be in order again, in ms. */
const ROUND_MS = 120_000;

/** Lets everything happen to a cluster, round after round, and looks at what becomes of it. */
export async function soak(options: SoakOptions): Promise<Findings> {
  const stage = setUp(options);
  const { scene, all, memory, registry } = stage;
  const { say } = options;
  const rounds = Math.max(1, Math.round(options.ms / ROUND_MS));
  const begun = Date.now();
  await command(scene, 'start', ...scene.units);
  await untilCalm(stage);
  say(`in order after ${secondsBetween(begun, Date.now())} s`);
  const ends: End[] = [];
  while (ends.length < rounds) {
    const round = `round ${ends.length + 1} of ${rounds}`;
    const from = Date.now();
    await uproar(stage, options.ms / rounds);
    const calmFrom = Date.now();
    const end = await settle(stage, `after ${round}: `);
    ends.push(end);
    await stage.tell();
    const trouble = `${secondsBetween(from, calmFrom)} s of trouble`;
    say(
      `${round}: ${trouble}, in order after ${secondsBetween(calmFrom, Date.now())} s; load ${loadavg()[0]}`,
    );
    for (const problem of [...end.misplaced, ...end.outdated]) say(problem);
  }
  await registry.close();
  const { machines, units, chronicle } = scene;
  const written = await diaries(machines);
  const runs = machines.flatMap((machine, i) => runsOf(machine, written[i] ?? '', chronicle));
  chronicle.reigns.push(...all.flatMap(reignsOf));
  const copies = copiesOf(units.filter(isFenced), machines, chronicle);
  for (const line of [...reportOf(chronicle, runs, copies), ...memory.report]) say(line);
  return {
    misplaced: ends.flatMap(({ misplaced }) => misplaced),
    outdated: ends.flatMap(({ outdated }) => outdated),
    unexplained: [...(await otherClocks(machines)), ...unexplained(runs, copies, chronicle)],
    doubled: doubled(copies),
    grown: memory.grown,
    crashed: all.flatMap((fleetd) => fleetd.crash ?? []),
    log: all.map(({ text }, index) => text.replaceAll(/^/gm, `fleetd ${index}: `)).join('\n'),
  };
}

/** All that takes part. */
type Stage = {
  readonly scene: Scene & { end: number };
  readonly registry: Registry;
  /** The two fleetd of the moment, and all there have been. */
  readonly crew: { readonly now: Fleetd[]; readonly start: () => Fleetd };
  readonly all: readonly Fleetd[];
  readonly memory: Memory;
  /** Has the chronicle hear what the registry tells. */
  readonly tell: () => Promise<void>;
  readonly ofControllers: Random;
  readonly ofOperators: readonly Random[];
  readonly ofMachines: readonly Random[];
  readonly ofHostile: Random;
};
type Random = () => number;

function setUp({ operator, machines, units: count, start, seed, ttlMs }: SoakOptions): Stage {
  const units = unitNames(count);
  for (const unit of units) operator.write(fileOf(unit), textOf(unit, 1));
  const chronicle = new Chronicle(ttlMs);
  const scene = { operator, machines, units, chronicle, end: 0, isOver: () => Date.now() > scene.end };
  const all: Fleetd[] = [];
  const startOne = (): Fleetd => {
    const fleetd = start();
    all.push(fleetd);
    return fleetd;
  };
  const store = openFileStore(join(operator.folder, 'registry'));
  const registry = createRegistry(store, { clock: systemClock, author: 'soak' });
  const troublemakers = Math.max(1, Math.floor((machines.length - 1) / 4));
  return {
    scene,
    registry,
    crew: { now: [startOne(), startOne()], start: startOne },
    all,
    memory: new Memory(),
    tell: async () => chronicle.tell(await registry.load()),
    ofControllers: seeded(seed),
    ofOperators: [seeded(seed + 1), seeded(seed + 2)],
    ofHostile: seeded(seed - 1),
    ofMachines: Array.from({ length: troublemakers }, (_, i) => seeded(seed + 3 + i)),
  };
}

/** Lets everything happen for so many ms. */
async function uproar(stage: Stage, ms: number): Promise<void> {
  const { scene, crew, memory, tell, ofControllers, ofOperators, ofMachines, ofHostile } = stage;
  scene.end = Date.now() + ms;
  await Promise.all([
    ...ofMachines.map((random) => troubleMachines(scene, random, Math.min(20_000, ms / 4))),
    beHostile(scene, ofHostile, scene.machines.at(-1) ?? ''),
    ...ofOperators.map((random) => operate(scene, random)),
    troubleControllers(scene, ofControllers, crew),
    each(scene, 10_000, tell),
    each(scene, 1_000, async () => memory.sample(crew.now)),
  ]);
}

/** What was not in order after a round. */
type End = Pick<Findings, 'misplaced' | 'outdated'>;

async function settle(stage: Stage, when: string): Promise<End> {
  await command(stage.scene, 'uncordon', ...stage.scene.machines);
  const problems = await untilCalm(stage);
  const told = (problems: readonly string[]): readonly string[] => problems.map((problem) => when + problem);
  return {
    misplaced: told(problems),
    outdated: told(outdated(stage.scene, await stage.registry.load())),
  };
}

function secondsBetween(from: number, to: number): number {
  return Math.round((to - from) / 1000);
}

async function each(scene: Scene, ms: number, act: () => Promise<void>): Promise<void> {
  while (!scene.isOver()) {
    await act();
    await sleep(ms);
  }
}

/** When it began to lead, and ceased to, by what it logged; epoch ms. */
function reignsOf({ log }: Fleetd): readonly number[] {
  const changes = log.filter(({ event }) => event === 'leads' || event === 'stands-by');
  return changes.map(({ time }) => Date.parse(time));
}

/** Waits until nothing is where it should not be, and still so a second later; returns what is after all. */
async function untilCalm({ scene, registry }: Stage): Promise<readonly string[]> {
  const end = Date.now() + CALM_MS;
  for (let calm = 0; ; await sleep(1_000)) {
    const problems = misplaced(scene, await registry.load());
    calm = problems.length === 0 ? calm + 1 : 0;
    if (calm === 2 || Date.now() > end) return problems;
  }
}
