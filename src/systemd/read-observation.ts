import { FleetError } from '../base/errors.ts';
import { quoted } from '../base/visible.ts';
import type { Lease } from '../cluster/lease.ts';
import type { MachineVitals, Observation } from '../cluster/snapshot.ts';
import { type ObservedUnit, type UnitRecord, unknownState } from '../cluster/unit-state.ts';
import { parseMachineId } from '../machine/machine-id.ts';
import { unitNameProblem } from '../unit/unit-name.ts';
import { readBackup, readHighestToken } from './backup.ts';
import type { ObserveRequest } from './driver.ts';
import { findSection as find, type Section } from './frame.ts';
import { readDigests, readRecords } from './record.ts';
import { parseShow, type ShownUnit } from './show.ts';

/**
 * Reads the sections of the observe script of `machine`, the answer to `request`; `shown` is what systemd tells of all
 * these units, unless it is among the sections. Throws a FleetError `remote-script` when they make no sense, or a part
 * that was asked for is missing: a machine that could not read its records is no machine without units.
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
    cluster: facts.get('cluster'),
    bootId: facts.get('boot-id') ?? '',
    uptimeSeconds: Number(facts.get('uptime') ?? 0),
    lease: readLease(facts),
    units: readUnits(request.names, sections, shown),
    ...(facts.has('clock') && { clock: Number(facts.get('clock')) * 1000 }),
    ...(texts !== undefined && {
      backup: readBackup(texts.stdout, tokens?.stdout ?? ''),
    }),
    ...(tokens !== undefined && { token: readHighestToken(tokens.stdout) }),
    ...(vitals !== undefined && { vitals: readVitals(readFacts(vitals)) }),
  };
}

/** The sections that an answer has to have, all of them complete. */
function partsOf(
  { digests, backup = false, token = false }: ObserveRequest,
  sections: readonly Section[],
): readonly { readonly name: string; readonly what: string }[] {
  const hasLate = find(sections, 'late') !== undefined;
  return [
    { name: 'records', what: 'what fleet noted there', isAsked: true },
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
  return facts.has('clock')
    ? (Number(facts.get('clock')) - Number(facts.get('uptime') ?? 0)) * 1000
    : undefined;
}

/** The machine counts in hundredths of a second. */
function readLease(facts: ReadonlyMap<string, string>): Lease | undefined {
  const deadline = facts.get('lease');
  return deadline === undefined
    ? undefined
    : { bootId: facts.get('boot-id') ?? '', deadline: Number(deadline) / 100 };
}

/** Whether the machine took the lease; throws a FleetError `remote-script` when it could not. */
export function readExtension(machine: string, sections: readonly Section[]): boolean {
  const section = find(sections, 'extend');
  if (section?.status === 0) return true;
  if (section?.status === 10 || section?.status === 11) return false;
  const said = section?.stderr ?? '';
  // systemd starts nothing that a job of the shutdown in hand would stop.
  if (/ is destructive/.test(said))
    throw new FleetError('machine-stopping', `Machine "${machine}" is shutting down`);
  throw new FleetError(
    'remote-script',
    `Cannot give machine "${machine}" a lease${said === '' ? '' : `: ${quoted(said)}`}`,
  );
}

/** Lines of a name and a value. */
function readFacts(section: Section | undefined): ReadonlyMap<string, string> {
  const lines = (section?.stdout ?? '').split('\n');
  return new Map(lines.map((line) => /^(\S*) ?(.*)$/.exec(line)?.slice(1, 3) as [string, string]));
}

function readVitals(facts: ReadonlyMap<string, string>): MachineVitals {
  const numbers = (name: string): readonly number[] => (facts.get(name) ?? '').split(' ').map(Number);
  const [totalKib = 0, availableKib = 0] = numbers('memory');
  const systemd = facts.get('systemd');
  return {
    systemd: systemd === '' ? undefined : systemd,
    loadAverage: facts.has('load') ? numbers('load') : undefined,
    memory: facts.has('memory')
      ? { totalBytes: totalKib * 1024, availableBytes: availableKib * 1024 }
      : undefined,
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
function readAsked(sections: readonly Section[]): readonly string[] {
  const traces = (find(sections, 'there')?.stdout ?? '').split(' ').filter((name) => name !== '');
  return [...new Set([...readRecorded(sections), ...traces])];
}

/** The units that have a record, whether it can be read or not. */
export function readRecorded(sections: readonly Section[]): readonly string[] {
  const names = (find(sections, 'recorded')?.stdout ?? '').split(' ');
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
  // A unit without its block may well run.
  const untold = readAsked(sections).filter((name) => !known.has(name));
  const missing = untold.map((name) => ({ names: [name], state: unknownState(UNTOLD) }));
  for (const { names, state } of [...shown, ...missing]) {
    // Another name of a unit of ours is no unit of its own, unless it is asked for as one.
    const isOurs = names.some((name) => recorded.has(name));
    for (const name of names.filter((each) => !isOurs || recorded.has(each) || asked.includes(each))) {
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
    links.set(unit, [...(links.get(unit) ?? []), link]);
  }
  return links;
}

function notUsable(machine: string, what: string, section: Section | undefined): FleetError {
  // A script that tries again says the same again.
  const said = [...new Set(section?.stderr.split('\n'))].join('; ');
  const why = said === '' ? what : `${what}: ${quoted(said)}`;
  return new FleetError('remote-script', `Cannot use machine "${machine}": ${why}`);
}
