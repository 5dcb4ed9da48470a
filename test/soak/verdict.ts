import { insideAll } from '../support/cluster.ts';
import { look } from '../support/sight.ts';
import type { Chronicle, Told } from './chronicle.ts';
import type { Scene } from './mischief.ts';
import type { Run } from './runs.ts';
import { DIARY, isGlobal } from './units.ts';

const OURS = /^_?(everywhere-|plain-|apart-|made@)/;

/** Where units are and should not be, and where they are missing; a sentence each. Empty when all is as the registry says. */
export async function misplaced({ operator, machines }: Scene): Promise<readonly string[]> {
  const { unitFiles } = await list(operator, 'list-unit-files');
  const sight = look(machines, OURS);
  const seen = new Map<string, string[]>();
  for (const [machine, units] of sight) {
    for (const unit of units) seen.set(unit, [...(seen.get(unit) ?? []), machine]);
  }
  const problems: string[] = [];
  for (const { unit, desiredState, machine } of unitFiles) {
    const home = isGlobal(unit) ? machines : [machine?.name ?? 'no machine'];
    const wanted = desiredState === 'launched' ? home : [];
    const runsOn = seen.get(unit) ?? [];
    seen.delete(unit);
    if (`${wanted}` !== `${runsOn}`)
      problems.push(`${unit} should run on [${wanted}] and runs on [${runsOn}]`);
  }
  for (const [unit, runsOn] of seen) problems.push(`${unit} is destroyed and runs on [${runsOn}]`);
  return problems;
}

/** Units whose text on a machine is not the one of the registry, by fleet's hash. */
export async function outdated({ operator }: Scene): Promise<readonly string[]> {
  const { unitFiles } = await list(operator, 'list-unit-files');
  const { units } = await list(operator, 'list-units');
  const hashes = new Map(unitFiles.map(({ unit, hash }) => [unit, hash]));
  return units
    .filter(({ unit, hash }) => hashes.get(unit) !== hash)
    .map(({ unit, machine, hash }) => `${unit} on ${machine?.name} is ${hash}, not ${hashes.get(unit)}`);
}

type Row = {
  readonly unit: string;
  readonly hash: string;
  readonly desiredState: string;
  readonly machine: { readonly name: string } | null;
};

async function list(
  operator: Scene['operator'],
  verb: 'list-units' | 'list-unit-files',
): Promise<{ readonly unitFiles: readonly Row[]; readonly units: readonly Row[] }> {
  const { status, stdout, stderr } = await operator.fleetctl(verb, '-o', 'json');
  if (status !== 0) throw new Error(`${verb} ended with ${status}: ${stderr}`);
  return JSON.parse(stdout);
}

/** What every unit of each machine wrote down. */
export function diaries(machines: readonly string[]): Promise<readonly string[]> {
  return insideAll(machines, `cat ${DIARY} || true`);
}

/** The stops for which there was no reason: neither a decision about the unit, nor a command, nor a reboot. */
export function unexplained(runs: readonly Run[], chronicle: Chronicle): readonly string[] {
  return runs
    .filter((run) => run.isStop && !hasNewText(run, runs) && !isExplained(run, chronicle))
    .map(
      ({ unit, machine, from, to }) =>
        `${unit} on ${machine}, started ${iso(from)}, stopped ${iso(to)}; told: ${chronicle.told
          .filter((told) => told.unit === unit)
          .map((told) => `${told.time} ${told.event} ${told.to?.name ?? told.target ?? ''}`)
          .join(', ')}`,
    );
}

/** It was stopped for the sake of another text. */
function hasNewText({ unit, machine, version, to }: Run, runs: readonly Run[]): boolean {
  const later = runs.filter((run) => run.unit === unit && run.machine === machine && run.from >= to);
  const next = later.toSorted((a, b) => a.from - b.from)[0];
  return next !== undefined && next.version !== version;
}

function isExplained({ unit, machine, from, to }: Run, chronicle: Chronicle): boolean {
  const about = chronicle.told.filter((told) => told.unit === unit && at(told) <= to);
  // Times of events are in whole seconds.
  if (about.some((told) => at(told) >= from - 1000)) return true;
  if (chronicle.troublesOf(machine, to, to).some(({ kind }) => kind === 'reboot')) return true;
  const told = (words: readonly string[]): boolean =>
    (words[0] === 'restart' && words.includes(unit)) ||
    (words[0] === 'by-hand' && words[1] === unit && words[2] === machine);
  if (chronicle.deeds.some((deed) => told(deed.words) && deed.from <= to && deed.to >= to)) return true;
  const home = homeAfter(about);
  return home.isWanted ? !isGlobal(unit) && home.machine !== machine : true;
}

/** Where the unit is to run after all that was decided about it, if it is. */
function homeAfter(about: readonly Told[]): {
  readonly isWanted: boolean;
  readonly machine: string | undefined;
} {
  let machine: string | undefined;
  let isWanted = false;
  for (const { event, to, target } of about) {
    if (to !== undefined) machine = to.name ?? undefined;
    if (target !== undefined) isWanted = target === 'launched';
    if (event === 'destroy') isWanted = false;
  }
  return { isWanted, machine };
}

function at({ time }: Told): number {
  return Date.parse(time);
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
