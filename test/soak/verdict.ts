import { existsSync, readFileSync, readlinkSync } from 'node:fs';
import type { RegistryView } from '../../src/registry/view.ts';
import { hashUnitFile, parseUnitFile } from '../../src/unit/unit-file.ts';
import { insideAll } from '../support/cluster.ts';
import { look } from '../support/running-services.ts';
import { type Copies, doublesIn, onDisk } from './copies.ts';
import type { Scene } from './mischief.ts';
import { DIARY, isGlobal } from './units.ts';

const OURS = /^_?(everywhere-|plain-|apart-|made@|fenced-|deaf-)/;

/** Where units are and should not be, and where they are missing; a sentence each. Empty when all is as the registry says. */
export function misplaced({ machines }: Scene, registry: RegistryView): readonly string[] {
  const names = namesById(registry);
  const sight = look(machines, OURS);
  const seen = new Map<string, string[]>();
  for (const [machine, units] of sight) {
    for (const unit of units) seen.set(unit, [...(seen.get(unit) ?? []), machine]);
  }
  const problems: string[] = [];
  for (const [unit, { target, machine }] of registry.units) {
    const home = isGlobal(unit) ? machines : [names.get(machine) ?? 'no machine'];
    const wanted = target === 'launched' ? home : [];
    const runsOn = seen.get(unit) ?? [];
    seen.delete(unit);
    if (`${wanted}` !== `${runsOn}`)
      problems.push(`${unit} should run on [${wanted}] and runs on [${runsOn}]`);
  }
  for (const [unit, runsOn] of seen) problems.push(`${unit} is destroyed and runs on [${runsOn}]`);
  return problems;
}

/** Units whose text on the disk of a machine is not the one of the registry, by fleet's hash. */
export function outdated({ machines }: Scene, registry: RegistryView): readonly string[] {
  const names = namesById(registry);
  const wanted = [...registry.units].filter(([, { target }]) => target === 'launched');
  const placed = wanted.flatMap(([unit, { machine, hash }]) =>
    (isGlobal(unit) ? machines : [names.get(machine) ?? '']).map((name) => ({ unit, name, hash })),
  );
  return placed.flatMap(({ unit, name, hash }) => {
    const path = onDisk(name, `/etc/systemd/system/${unit}`);
    const found = existsSync(path) ? hashUnitFile(parseUnitFile(readFileSync(path, 'utf8'))) : 'missing';
    return found === hash ? [] : [`${unit} on ${name} is ${found}, not ${hash}`];
  });
}

function namesById({ machines }: RegistryView): ReadonlyMap<string | undefined, string> {
  return new Map([...machines].map(([name, { id }]) => [id, name]));
}

/** What every unit of each machine wrote down. */
export function diaries(machines: readonly string[]): Promise<readonly string[]> {
  return insideAll(machines, `cat ${DIARY} || true`);
}

/** Fenced units of which two copies ran where that cannot be excused. */
export function doubled({ spans }: Copies): readonly string[] {
  return doublesIn(spans)
    .filter(({ isAllowed }) => !isAllowed)
    .map(
      ({ unit, machines, from, ms }) =>
        `${unit} on ${machines} for ${Math.round(ms)} ms from ${new Date(from).toISOString()}`,
    );
}

/** Machines with a clock of their own: what fenced units noted on them could not be compared. */
export async function otherClocks(machines: readonly string[]): Promise<readonly string[]> {
  const ours = readlinkSync('/proc/self/ns/time');
  const theirs = await insideAll(machines, 'readlink /proc/1/ns/time');
  return machines
    .filter((_, i) => theirs[i]?.trim() !== ours)
    .map((machine) => `${machine} has another clock`);
}
