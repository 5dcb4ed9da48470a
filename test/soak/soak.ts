import { setTimeout as sleep } from 'node:timers/promises';
import type { Fleetd } from '../e2e/fleetd.ts';
import type { Operator } from '../e2e/operator.ts';
import { seeded } from '../support/random.ts';
import { Chronicle } from './chronicle.ts';
import { command, operate, type Scene, troubleControllers, troubleMachines } from './mischief.ts';
import { Memory, reportOf } from './report.ts';
import { runsOf } from './runs.ts';
import { fileOf, textOf, unitNames } from './units.ts';
import { diaries, misplaced, outdated, unexplained } from './verdict.ts';

export type SoakOptions = {
  readonly operator: Operator;
  readonly start: () => Fleetd;
  readonly machines: readonly string[];
  readonly units: number;
  readonly ms: number;
  readonly seed: number;
};

/** What a soak found; all lists are empty when everything held. */
export type Findings = {
  readonly misplaced: readonly string[];
  readonly outdated: readonly string[];
  readonly unexplained: readonly string[];
  readonly crashed: readonly string[];
  readonly report: readonly string[];
  /** What every fleetd logged. */
  readonly log: string;
};

/** How long a cluster may take to be in order when nothing troubles it any more, in ms. */
const CALM_MS = 60_000;

/** Lets everything happen to a cluster for a while, and looks at what has become of it. */
export async function soak(options: SoakOptions): Promise<Findings> {
  const { operator, machines, start, seed } = options;
  const end = Date.now() + options.ms;
  const chronicle = new Chronicle();
  const units = unitNames(options.units);
  const scene: Scene = { operator, machines, units, chronicle, isOver: () => Date.now() > end };
  for (const unit of units) operator.write(fileOf(unit), textOf(unit, 1));
  const all: Fleetd[] = [];
  const hire = (): Fleetd => {
    const fleetd = start();
    all.push(fleetd);
    return fleetd;
  };
  const crew = { now: [hire(), hire()], start: hire };
  await command(scene, 'start', ...units);
  const memory = new Memory();
  const troublemakers = Math.max(1, Math.floor((machines.length - 1) / 3));
  await Promise.all([
    ...Array.from({ length: troublemakers }, (_, i) =>
      troubleMachines(scene, seeded(seed + 10 + i), Math.min(20_000, options.ms / 4)),
    ),
    troubleControllers(scene, seeded(seed + 1), crew),
    operate(scene, seeded(seed + 2)),
    operate(scene, seeded(seed + 3)),
    each(scene, 10_000, () => readEvents(scene)),
    each(scene, 5_000, async () => memory.sample(crew.now)),
  ]);
  const calmAt = Date.now();
  await command(scene, 'uncordon', ...machines);
  const left = await untilCalm(scene);
  const calmMs = Date.now() - calmAt;
  await readEvents(scene);
  const written = await diaries(machines);
  const runs = machines.flatMap((machine, i) => runsOf(machine, written[i] ?? '', chronicle));
  return {
    misplaced: left,
    outdated: await outdated(scene),
    unexplained: unexplained(runs, chronicle),
    crashed: all.flatMap((fleetd) => fleetd.crash ?? []),
    report: [...reportOf(chronicle, runs), ...memory.report, `in order ${calmMs} ms after the last trouble`],
    log: all.map(({ text }, index) => text.replaceAll(/^/gm, `fleetd ${index}: `)).join('\n'),
  };
}

async function each(scene: Scene, ms: number, act: () => Promise<void>): Promise<void> {
  while (!scene.isOver()) {
    await act();
    await sleep(ms);
  }
}

async function readEvents({ operator, chronicle }: Scene): Promise<void> {
  const { stdout } = await operator.fleetctl('events', '-o', 'json');
  chronicle.tell(stdout);
}

/** Waits until nothing is where it should not be, and still so a second later; returns what is after all. */
async function untilCalm(scene: Scene): Promise<readonly string[]> {
  const end = Date.now() + CALM_MS;
  for (let calm = 0; ; await sleep(1_000)) {
    const problems = await misplaced(scene);
    calm = problems.length === 0 ? calm + 1 : 0;
    if (calm === 2 || Date.now() > end) return problems;
  }
}
