import { type SystemdState, unknownState } from '../cluster/unit-state.ts';
import { beyond, keepTo, LIMITS, readNumber, readWord } from '../machine/limits.ts';

/** The properties asked of `systemctl show`, the only systemctl output that is meant to be parsed. */
export const SHOW_PROPERTIES = [
  'Id',
  'Names',
  'LoadState',
  'LoadError',
  'ActiveState',
  'SubState',
  'Type',
  'RemainAfterExit',
  'Result',
  'ExecMainStatus',
  'ExecMainCode',
  'NRestarts',
  'InvocationID',
  'FragmentPath',
  'DropInPaths',
  'ActiveEnterTimestamp',
  'StateChangeTimestamp',
  'MemoryCurrent',
  'CPUUsageNSec',
  'InactiveEnterTimestamp',
  'NextElapseUSecRealtime',
  'NextElapseUSecMonotonic',
  'LastTriggerUSec',
  'Job',
] as const;

/** One unit of a `systemctl show` answer, under every name it goes by. */
export type ShownUnit = { readonly names: readonly string[]; readonly state: SystemdState };

/**
 * Blocks of `Key=Value` lines with an empty line between units; keys come in any order. A unit whose state is not in
 * its block is in an unknown one, for a reason where there is a line `Unknown=`. `booted` is the time at which the
 * machine booted, in epoch ms: without it times that count from there are left out.
 */
export function parseShow(text: string, booted?: number): readonly ShownUnit[] {
  const blocks = blocksOf(text);
  const shown = blocks.map((properties) => ({
    names: namesOf(properties),
    state: stateOf(properties, booted),
  }));
  const names = shown.reduce((sum, unit) => sum + unit.names.length, 0);
  keepTo('names', names);
  return shown;
}

/** The properties of each unit that has a name; more than were asked for are not kept. */
function blocksOf(text: string): readonly ReadonlyMap<string, string>[] {
  const blocks: ReadonlyMap<string, string>[] = [];
  let properties = new Map<string, string>();
  const finish = (): void => {
    if (properties.has('Id')) keepTo('units', blocks.push(properties));
    properties = new Map();
  };
  for (const line of text.split('\n')) {
    const equals = line.indexOf('=');
    if (equals > 0 && properties.size <= SHOW_PROPERTIES.length) {
      if (line.length > LIMITS.value.most) throw beyond('value');
      properties.set(line.slice(0, equals), line.slice(equals + 1));
    } else if (line === '' && properties.size > 0) finish();
  }
  finish();
  return blocks;
}

/** `Names` is a list: one with a backslash in it stands in quotes there, with every backslash doubled. */
function namesOf(properties: ReadonlyMap<string, string>): readonly string[] {
  const id = properties.get('Id') ?? '';
  // As it is with most.
  if (properties.get('Names') === id) return [readUnitName(id)];
  const listed = (properties.get('Names') ?? '').matchAll(/"((?:[^"\\]|\\.)*)"|\S+/g);
  const names = [...listed].map(([word, quoted]) => quoted?.replaceAll(/\\(.)/g, '$1') ?? word);
  return [...new Set([id, ...names].filter((name) => name !== ''))].map(readUnitName);
}

function stateOf(properties: ReadonlyMap<string, string>, booted: number | undefined): SystemdState {
  if (!STATE_PROPERTIES.every((key) => properties.get(key))) return unknownState(reasonOf(properties));
  const text = (key: (typeof SHOW_PROPERTIES)[number]): string => properties.get(key) ?? '';
  const number = (key: (typeof SHOW_PROPERTIES)[number]): number => readAmount(text(key), 'count') ?? 0;
  const word = (key: (typeof SHOW_PROPERTIES)[number]): string =>
    readWord(text(key), WORD, 'a state of systemd');
  return {
    load: word('LoadState'),
    active: word('ActiveState'),
    sub: word('SubState'),
    result: word('Result'),
    type: text('Type'),
    exitStatus: number('ExecMainStatus'),
    exitCode: number('ExecMainCode'),
    restarts: number('NRestarts'),
    invocation: readWord(text('InvocationID'), /^[\w-]{0,64}$/, 'an InvocationID'),
    fragment: text('FragmentPath'),
    loadError: loadError(text('LoadError')),
    since: readTime(
      text(IS_ACTIVE.has(text('ActiveState')) ? 'ActiveEnterTimestamp' : 'StateChangeTimestamp'),
    ),
    memoryBytes: readAmount(text('MemoryCurrent'), 'memory'),
    cpuNs: readAmount(text('CPUUsageNSec'), 'cpu'),
    ...known('activeExit', readTime(text('InactiveEnterTimestamp'))),
    ...known('nextElapse', soonest(text('NextElapseUSecRealtime'), text('NextElapseUSecMonotonic'), booted)),
    ...known('lastTrigger', readTime(text('LastTriggerUSec'))),
    ...(text('RemainAfterExit') === 'yes' && { remains: true }),
    ...known('jobId', number('Job') || undefined),
    ...dropInsOf(properties),
  };
}

/** Drop-ins of the unit itself; left out are fleet's own and those for a whole unit type. */
function dropInsOf(properties: ReadonlyMap<string, string>): Pick<SystemdState, 'dropIns'> {
  const paths = (properties.get('DropInPaths') ?? '').split(' ').filter((path) => path !== '');
  const dropIns = paths.filter((path) => !/\/zz-fleet-fenced\.conf$|\/[a-z]+\.d\/[^/]*$/.test(path));
  return dropIns.length === 0 ? {} : { dropIns };
}

/** How systemd spells states and results. */
const WORD = /^[a-z0-9-]{0,64}$/;

/** Without these three nothing is known of a unit. */
const STATE_PROPERTIES = ['LoadState', 'ActiveState', 'SubState'] as const;

/** What systemctl said instead of showing the unit, and the little that it does tell. */
function reasonOf(properties: ReadonlyMap<string, string>): string {
  const said = properties.get('Unknown');
  if (said === undefined) return 'systemctl show has left out its state';
  const active = properties.get('ActiveState');
  return `${said || 'systemctl show failed'}${active ? ` (systemctl is-active: ${active})` : ''}`;
}

function known<Name extends string>(
  name: Name,
  value: number | undefined,
): { readonly [key in Name]?: number } {
  return value === undefined ? {} : ({ [name]: value } as { readonly [key in Name]?: number });
}

/** When a timer elapses next: by the clock, or after a time since boot, whichever comes first. */
function soonest(realtime: string, monotonic: string, booted: number | undefined): number | undefined {
  const sinceBoot = readTimespan(monotonic);
  const times = [
    readTime(realtime) ?? Number.NaN,
    sinceBoot === undefined ? Number.NaN : Math.round((booted ?? Number.NaN) + sinceBoot),
  ].filter((time) => Math.abs(time) <= LAST_TIME);
  return times.length === 0 ? undefined : Math.min(...times);
}

/** The last time that a Date can be, in epoch ms. */
const LAST_TIME = 8.64e15;

/** Units of systemd.time(7), in ms. */
const TIME_UNITS: Readonly<Record<string, number>> = {
  y: 31_557_600_000,
  month: 2_629_800_000,
  w: 604_800_000,
  d: 86_400_000,
  h: 3_600_000,
  min: 60_000,
  s: 1000,
  ms: 1,
  us: 0.001,
};

/** `1h 17min 35.909314s` → ms; undefined for `infinity`, `0`, or nothing. */
function readTimespan(value: string): number | undefined {
  if (!/^(?:\d+(?:\.\d+)?[a-z]+ ?)+$/.test(value)) return undefined;
  const parts = [...value.matchAll(/([\d.]+)([a-z]+)/g)];
  return parts.reduce(
    (sum, [, amount, unit = '']) => sum + Number(amount) * (TIME_UNITS[unit] ?? Number.NaN),
    0,
  );
}

/** Where `systemctl status`, too, says since when a unit has been active: a reload does not count. */
const IS_ACTIVE = new Set(['active', 'reloading', 'refreshing']);

/**
 * `Mon 2026-11-23 06:05:41 UTC` → epoch ms; undefined for `n/a`, nothing, or a form of a later systemd. Throws FleetError
 * `bad-answer` for a date that no calendar has.
 */
function readTime(value: string): number | undefined {
  const match = /(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) UTC$/.exec(value);
  if (match === null) return undefined;
  const time = Date.parse(`${match[1]}T${match[2]}Z`);
  return time >= 0 ? time : readNumber(value, 'clock');
}

/** 2⁶⁴-1, how systemd before 239 spells `[not set]`. */
const NOT_SET = '18446744073709551615';

/** A number, unless nobody counts it: `[not set]`, `[no data]`, or a systemd that knows no such property. */
function readAmount(value: string, range: 'memory' | 'cpu' | 'count'): number | undefined {
  return value === '' || value.startsWith('[') || value === NOT_SET ? undefined : readNumber(value, range);
}

/** LoadError is `org.freedesktop.systemd1.BadUnitSetting "Unit x has a bad unit file setting."`, or `""`. */
function loadError(value: string): string {
  return /"(.*)"\s*$/.exec(value)?.[1] ?? '';
}

/** The alphabet of unit names (systemd.unit(5)), and UNIT_NAME_MAX. systemd shows units of types that fleet does not run, too. */
const NAME = /^[A-Za-z0-9:_.\\@-]{1,255}$/;

/** A name of a unit, as systemd tells it. Throws FleetError `bad-answer` for what cannot be one. */
export function readUnitName(text: string): string {
  return readWord(text, NAME, 'the name of a unit');
}
