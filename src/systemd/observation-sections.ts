import { FleetError } from '../base/errors.ts';
import { quoted } from '../base/visible.ts';
import type { Lease, MachineVitals, Observation } from '../cluster/snapshot.ts';
import { type ObservedUnit, type SystemdState, unknownState } from '../cluster/unit-state.ts';
import { keepTo, LIMITS, readNumber, readWord } from '../machine/limits.ts';
import { unitNameProblem } from '../unit/unit-name.ts';
import { findSection as find, type Section } from './frame.ts';
import { readDigests, readRecords } from './record.ts';
import { parseShow, readUnitName, type ShownUnit } from './show.ts';

/** More than any version of fleet sends. */
const MOST_FACTS = 100;

type Facts = ReadonlyMap<string, string>;

/** Lines of a name and a value. */
export function readFacts(section: Section | undefined): Facts {
  const lines = (section?.stdout ?? '').split('\n', MOST_FACTS);
  return new Map(
    lines.map((line) => {
      const blank = line.indexOf(' ');
      return blank < 0 ? [line, ''] : [line.slice(0, blank), line.slice(blank + 1)];
    }),
  );
}

/** The fields of an observation that are facts; `clock` only if it was requested. */
export function readMachine(
  facts: Facts,
): Pick<Observation, 'cluster' | 'bootId' | 'uptimeSeconds' | 'lease' | 'clock'> {
  const bootId = readWord(facts.get('boot-id') ?? '', /^[0-9a-f-]{1,64}$/, 'the id of a boot');
  const clock = facts.get('clock');
  return {
    cluster: readCluster(facts),
    bootId,
    uptimeSeconds: readNumber(facts.get('uptime') ?? '', 'uptime'),
    lease: readLease(facts.get('lease'), bootId),
    ...(clock !== undefined && { clock: readNumber(clock, 'clock') * 1000 }),
  };
}

/** The cluster that owns the machine; undefined for none. */
export function readCluster(facts: Facts): string | undefined {
  const cluster = facts.get('cluster');
  return cluster === undefined ? undefined : readWord(cluster, /^[\w.-]{1,64}$/, 'the id of a cluster');
}

/** The machine counts in hundredths of a second. */
function readLease(deadline: string | undefined, bootId: string): Lease | undefined {
  return deadline === undefined ? undefined : { bootId, deadline: readNumber(deadline, 'lease') / 100 };
}

/** Epoch ms at which the machine booted, by its clock; undefined if the clock was not requested. */
export function bootTime(sections: readonly Section[]): number | undefined {
  const facts = readFacts(find(sections, 'facts'));
  if (!facts.has('clock')) return undefined;
  const { clock = Number.NaN, uptimeSeconds } = readMachine(facts);
  return clock - uptimeSeconds * 1000;
}

export function readVitals(facts: Facts): MachineVitals {
  const numbers = (name: string, range: 'load' | 'kib', count: number): readonly number[] | undefined => {
    const words = facts.get(name)?.split(' ', count);
    return words?.length === count ? words.map((word) => readNumber(word, range)) : undefined;
  };
  const [totalKib, availableKib] = numbers('memory', 'kib', 2) ?? [];
  const systemd = facts.get('systemd') ?? '';
  return {
    systemd: systemd === '' ? undefined : readWord(systemd, /^\d{1,5}$/, 'a version of systemd'),
    loadAverage: numbers('load', 'load', 3),
    memory:
      totalKib === undefined || availableKib === undefined
        ? undefined
        : { totalBytes: totalKib * 1024, availableBytes: availableKib * 1024 },
  };
}

/**
 * The result of systemctl show; a unit that systemd cannot show has an unknown state. `booted` is {@link bootTime}.
 * Throws a FleetError `remote-script` when systemd is unresponsive.
 */
export function readShown(
  machine: string,
  sections: readonly Section[],
  booted: number | undefined,
): readonly ShownUnit[] {
  const shown = find(sections, 'units');
  if (shown !== undefined && shown.status !== 0) throw invalidAnswer(machine, 'systemctl show failed', shown);
  return parseShow(shown?.stdout ?? '', booted);
}

/** The units that systemd was asked about: those with a record, and those of the names that left a trace. */
export function readAsked(sections: readonly Section[]): readonly string[] {
  const traces = readNames(sections, 'found').filter((name) => name !== '');
  return [...new Set([...readRecorded(sections), ...traces.map(readUnitName)])];
}

/** The units that have a record, whether it is valid or not. */
function readRecorded(sections: readonly Section[]): readonly string[] {
  const recorded = readNames(sections, 'recorded').filter((name) => unitNameProblem(name) === undefined);
  return [...recorded, ...readRecords(find(sections, 'added')?.stdout ?? '').map(({ unit }) => unit)];
}

function readNames(sections: readonly Section[], name: string): readonly string[] {
  const names = (find(sections, name)?.stdout ?? '').split(' ', LIMITS.units.most + 2);
  keepTo('units', names.length - 1);
  return names;
}

/** Every unit under each of its names; `asked` are the names of the request. */
export function readUnits(
  asked: readonly string[],
  sections: readonly Section[],
  shown: readonly ShownUnit[],
): readonly ObservedUnit[] {
  const text = (name: string): string => find(sections, name)?.stdout ?? '';
  const records = new Map(
    ['records', 'added']
      .flatMap((name) => readRecords(text(name)))
      .map((record) => [record.unit, record] as const),
  );
  const recorded = new Set(readRecorded(sections));
  const digests = readDigests(text('digests'));
  const links = readLinks(find(sections, 'links')?.stdout);
  const known = new Set(shown.flatMap(({ names }) => names));
  const named = new Set(asked);
  // A unit without a block may be running.
  const missing = readAsked(sections)
    .filter((name) => !known.has(name))
    .map((name) => ({ names: [name], state: unknownState('systemctl show has left it out') }));
  const units = new Map<string, ObservedUnit>();
  for (const { names, state } of [...shown, ...missing]) {
    // An alias of a unit of ours is not another unit, unless the request names it.
    const isOurs = names.some((name) => recorded.has(name));
    for (const name of names.filter((each) => !isOurs || recorded.has(each) || named.has(each))) {
      const fence = digests.get(`${name}.d/zz-fleet-fenced.conf`);
      units.set(name, {
        name,
        state,
        record: records.get(name),
        digest: digests.get(name) ?? (isOurs ? undefined : digests.get(templateIn(state))),
        ...(links !== undefined && { links: links.get(name) ?? [] }),
        ...(fence !== undefined && { fence }),
        ...(recorded.has(name) && !records.has(name) && { lost: 'damaged' as const }),
      });
    }
  }
  return [...units.values()];
}

/** The template that a unit runs from; empty for none. */
function templateIn({ fragment }: SystemdState): string {
  const file = fragment.slice(fragment.lastIndexOf('/') + 1);
  return file.includes('@.') ? file : '';
}

/** Lines such as `fleet.target.wants/web.service` by the unit they end in; undefined if they were not requested. */
function readLinks(text: string | undefined): ReadonlyMap<string, readonly string[]> | undefined {
  if (text === undefined) return undefined;
  const links = new Map<string, string[]>();
  for (const link of text.split('\n')) {
    const unit = link.slice(link.indexOf('/') + 1);
    const others = links.get(unit);
    if (others === undefined) links.set(unit, [link]);
    else others.push(link);
  }
  return links;
}

/** The error for an answer of which a part failed or is missing. */
export function invalidAnswer(machine: string, what: string, section: Section | undefined): FleetError {
  // A script that retries repeats its message.
  const said = [...new Set(section?.stderr.split('\n'))].join('; ');
  const why = said === '' ? what : `${what}: ${quoted(said)}`;
  return new FleetError('remote-script', `Cannot use machine "${machine}": ${why}`);
}
