import { FleetError } from '../base/errors.ts';
import { quoted } from '../base/visible.ts';
import type { Lease, MachineVitals, Observation } from '../cluster/snapshot.ts';
import { type ObservedUnit, type UnitRecord, unknownState } from '../cluster/unit-state.ts';
import { keepTo, LIMITS, readNumber, readWord } from '../machine/limits.ts';
import { parseMachineId } from '../machine/machine-id.ts';
import { unitNameProblem } from '../unit/unit-name.ts';
import type { ObserveRequest } from './driver.ts';
import { findSection as find, type Section } from './frame.ts';
import { readBackup, readDigests, readHighestToken, readRecords } from './record.ts';
import { parseShow, readUnitName, type ShownUnit } from './show.ts';

/**
 * Reads the sections of the observe script of `machine`, the answer to `request`; `shown` is what systemd tells of all
 * these units, unless it is among the sections. Throws a FleetError `remote-script` when a part that was asked for is
 * missing: a machine that could not read its records is no machine without units; `bad-answer` for what no fleet and no
 * systemd writes.
 */
export function readObservation(
  machine: string,
  request: ObserveRequest,
  sections: readonly Section[],
  shown: readonly ShownUnit[] = readShown(machine, sections, bootTime(sections)),
): Observation {
  const facts = readFacts(find(sections, 'facts'));
  const id = parseMachineId(facts.get('machine-id') ?? '');
  if (id === undefined)
    throw notUsable(machine, 'it has no machine id in /etc/machine-id', find(sections, 'facts'));
  for (const { name, what } of partsOf(request, sections)) {
    const section = find(sections, name);
    if (section?.status !== 0) throw notUsable(machine, `${what} cannot be read`, section);
  }
  const texts = find(sections, 'texts');
  const vitals = find(sections, 'vitals');
  const tokens = find(sections, 'tokens');
  return {
    id,
    cluster: readCluster(facts),
    bootId: readBootId(facts),
    uptimeSeconds: readUptime(facts),
    lease: readLease(facts),
    units: readUnits(request.names, sections, shown),
    ...(facts.has('clock') && { clock: readClock(facts) * 1000 }),
    ...(texts !== undefined && {
      backup: readBackup(texts.stdout, tokens?.stdout ?? ''),
    }),
    ...(tokens !== undefined && { token: readHighestToken(tokens.stdout) }),
    ...(vitals !== undefined && { vitals: readVitals(readFacts(vitals)) }),
  };
}

/** The sections that an answer has to have, all of them complete. */
function partsOf(
  { names, digests, backup = false, token = false }: ObserveRequest,
  sections: readonly Section[],
): readonly { readonly name: string; readonly what: string }[] {
  const hasLate = find(sections, 'late') !== undefined;
  return [
    { name: 'records', what: 'what fleet noted there', isAsked: true },
    { name: 'recorded', what: 'what fleet noted there', isAsked: true },
    { name: 'there', what: 'which units it has', isAsked: names.length > 0 },
    { name: 'late', what: 'what fleet noted there', isAsked: hasLate },
    { name: 'digests', what: 'the digests of its unit files', isAsked: digests },
    { name: 'links', what: 'the links to its unit files', isAsked: digests },
    { name: 'texts', what: 'its unit files', isAsked: backup },
    { name: 'tokens', what: 'the tokens it has seen', isAsked: backup || token },
  ].filter(({ isAsked }) => isAsked);
}

/** Epoch ms at which the machine booted, by its clock; undefined when it was not asked for that. */
export function bootTime(sections: readonly Section[]): number | undefined {
  const facts = readFacts(find(sections, 'facts'));
  return facts.has('clock') ? (readClock(facts) - readUptime(facts)) * 1000 : undefined;
}

type Facts = ReadonlyMap<string, string>;

function readClock(facts: Facts): number {
  return readNumber(facts.get('clock') ?? '', 'clock');
}

function readUptime(facts: Facts): number {
  return readNumber(facts.get('uptime') ?? '', 'uptime');
}

function readBootId(facts: Facts): string {
  return readWord(facts.get('boot-id') ?? '', /^[0-9a-f-]{1,64}$/, 'the id of a boot');
}

/** The cluster that owns the machine; undefined for none. */
export function readCluster(facts: Facts): string | undefined {
  const cluster = facts.get('cluster');
  return cluster === undefined ? undefined : readWord(cluster, /^[\w.-]{1,64}$/, 'the id of a cluster');
}

/** The machine counts in hundredths of a second. */
function readLease(facts: Facts): Lease | undefined {
  const deadline = facts.get('lease');
  if (deadline === undefined) return undefined;
  return { bootId: readBootId(facts), deadline: readNumber(deadline, 'lease') / 100 };
}

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

/** More than any version of fleet tells. */
const MOST_FACTS = 100;

function readVitals(facts: Facts): MachineVitals {
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
 * What systemd tells of units, of which one that it cannot show has an unknown state; `booted` is {@link bootTime}.
 * Throws a FleetError `remote-script` when systemd does not answer.
 */
export function readShown(
  machine: string,
  sections: readonly Section[],
  booted: number | undefined,
): readonly ShownUnit[] {
  const shown = find(sections, 'units');
  if (shown !== undefined && shown.status !== 0) throw notUsable(machine, 'systemctl show failed', shown);
  return parseShow(shown?.stdout ?? '', booted);
}

/** The units that systemd was asked about: those that have a record, and those of the names that left a trace. */
export function readAsked(sections: readonly Section[]): readonly string[] {
  const words = (find(sections, 'there')?.stdout ?? '').split(' ', LIMITS.units.most + 2);
  keepTo('units', words.length - 1);
  const traces = words.filter((name) => name !== '').map(readUnitName);
  return [...new Set([...readRecorded(sections), ...traces])];
}

/** The units that have a record, whether it can be read or not. */
function readRecorded(sections: readonly Section[]): readonly string[] {
  const names = (find(sections, 'recorded')?.stdout ?? '').split(' ', LIMITS.units.most + 2);
  keepTo('units', names.length - 1);
  const late = readRecords(find(sections, 'late')?.stdout ?? '').map(({ unit }) => unit);
  return [...names.filter((name) => unitNameProblem(name) === undefined), ...late];
}

/** The records that can be read. */
function readAllRecords(sections: readonly Section[]): readonly UnitRecord[] {
  return ['records', 'late'].flatMap((name) => readRecords(find(sections, name)?.stdout ?? ''));
}

function readUnits(
  asked: readonly string[],
  sections: readonly Section[],
  shown: readonly ShownUnit[],
): readonly ObservedUnit[] {
  const records = new Map(readAllRecords(sections).map((record) => [record.unit, record]));
  const recorded = new Set(readRecorded(sections));
  const digests = readDigests(find(sections, 'digests')?.stdout ?? '');
  const links = readLinks(find(sections, 'links')?.stdout);
  const units = new Map<string, ObservedUnit>();
  const known = new Set(shown.flatMap(({ names }) => names));
  const named = new Set(asked);
  // A unit without its block may well run.
  const untold = readAsked(sections).filter((name) => !known.has(name));
  const missing = untold.map((name) => ({ names: [name], state: unknownState(UNTOLD) }));
  for (const { names, state } of [...shown, ...missing]) {
    // Another name of a unit of ours is no unit of its own, unless it is asked for as one.
    const isOurs = names.some((name) => recorded.has(name));
    for (const name of names.filter((each) => !isOurs || recorded.has(each) || named.has(each))) {
      const here = links === undefined ? {} : { links: links.get(name) ?? [] };
      const fence = digests.get(`${name}.d/zz-fleet-fenced.conf`);
      units.set(name, {
        name,
        state,
        record: records.get(name),
        digest: digests.get(name),
        ...here,
        ...(fence !== undefined && { fence }),
        ...(recorded.has(name) && !records.has(name) && { lost: 'damaged' as const }),
      });
    }
  }
  return [...units.values()];
}

const UNTOLD = 'systemctl show has left it out';

/** Lines such as `fleet.target.wants/web.service` by the unit they end in; undefined when links were not asked for. */
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

/** A machine of which a part of an answer failed, or is missing. */
export function notUsable(machine: string, what: string, section: Section | undefined): FleetError {
  // A script that tries again says the same again.
  const said = [...new Set(section?.stderr.split('\n'))].join('; ');
  const why = said === '' ? what : `${what}: ${quoted(said)}`;
  return new FleetError('remote-script', `Cannot use machine "${machine}": ${why}`);
}
