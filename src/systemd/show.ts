import { parseTimeSpan } from '../base/time.ts';
import { isActive, NO_STATE, type SystemdState, unknownState } from '../cluster/unit-state.ts';
import { beyond, keepTo, LIMITS, readNumber, readWord } from '../machine/limits.ts';

/** The properties of one unit. */
type Block = ReadonlyMap<string, string>;

/**
 * A property and the field of the state that is read from it; undefined leaves the field as in {@link NO_STATE}. A property
 * without a field is read together with another one. `booted` is the time at which the machine booted, in epoch ms.
 */
type Property =
  | readonly [name: string]
  | {
      readonly [F in keyof SystemdState]-?: readonly [
        name: string,
        field: F,
        read: (value: string, block: Block, booted: number | undefined) => SystemdState[F] | undefined,
      ];
    }[keyof SystemdState];

/** All properties that are read with `systemctl show`, the only output of systemctl that is meant to be parsed. */
const PROPERTIES: readonly Property[] = [
  ['Id'],
  ['Names'],
  ['LoadState', 'load', readState],
  ['LoadError', 'loadError', readLoadError],
  ['ActiveState', 'active', readState],
  ['SubState', 'sub', readState],
  ['Type', 'type', (value) => value],
  ['RemainAfterExit', 'remains', (value) => value === 'yes' || undefined],
  ['Result', 'result', readState],
  ['ExecMainStatus', 'exitStatus', (value) => readAmount(value, 'count')],
  ['ExecMainCode', 'exitCode', (value) => readAmount(value, 'count')],
  ['NRestarts', 'restarts', (value) => readAmount(value, 'count')],
  ['InvocationID', 'invocation', (value) => readWord(value, /^[\w-]{0,64}$/, 'an InvocationID')],
  ['FragmentPath', 'fragment', (value) => value],
  ['DropInPaths', 'dropIns', readDropIns],
  ['ActiveEnterTimestamp'],
  ['StateChangeTimestamp', 'since', readSince],
  ['MemoryCurrent', 'memoryBytes', (value) => readAmount(value, 'memory')],
  ['CPUUsageNSec', 'cpuNs', (value) => readAmount(value, 'cpu')],
  ['InactiveEnterTimestamp', 'activeExit', readTime],
  ['NextElapseUSecRealtime'],
  ['NextElapseUSecMonotonic', 'nextElapse', readNextElapse],
  ['LastTriggerUSec', 'lastTrigger', readTime],
  ['Job', 'jobId', (value) => readAmount(value, 'count') || undefined],
];

export const SHOW_PROPERTIES: readonly string[] = PROPERTIES.map(([name]) => name);
export const STATE_PROPERTIES = PROPERTIES.flatMap(([, field]) => field ?? []);

/** One unit in the output of `systemctl show`, under all of its names. */
export type ShownUnit = { readonly names: readonly string[]; readonly state: SystemdState };

/**
 * Reads blocks of `Key=Value` lines with an empty line between units; keys come in any order. A unit whose block lacks
 * its state is in an unknown one, with the reason in a line `Unknown=`. Without `booted`, the time at which the machine
 * booted in epoch ms, times since boot are left out.
 */
export function parseShow(text: string, booted?: number): readonly ShownUnit[] {
  const shown = blocksOf(text).map((block) => ({ names: namesOf(block), state: stateOf(block, booted) }));
  keepTo(
    'names',
    shown.reduce((sum, { names }) => sum + names.length, 0),
  );
  return shown;
}

/** The properties of each unit that has a name, up to the number that was requested. */
function blocksOf(text: string): readonly Block[] {
  const blocks: Block[] = [];
  let block = new Map<string, string>();
  const finish = (): void => {
    if (block.has('Id')) keepTo('units', blocks.push(block));
    block = new Map();
  };
  for (const line of text.split('\n')) {
    const equals = line.indexOf('=');
    if (equals > 0 && block.size <= PROPERTIES.length) {
      if (line.length > LIMITS.value.most) throw beyond('value');
      block.set(line.slice(0, equals), line.slice(equals + 1));
    } else if (line === '' && block.size > 0) finish();
  }
  finish();
  return blocks;
}

/** In the list `Names`, a name with a backslash is in quotes, with every backslash doubled. */
function namesOf(block: Block): readonly string[] {
  const id = block.get('Id') ?? '';
  // The usual case.
  if (block.get('Names') === id) return [readUnitName(id)];
  const listed = (block.get('Names') ?? '').matchAll(/"((?:[^"\\]|\\.)*)"|\S+/g);
  const names = [...listed].map(([word, quoted]) => quoted?.replaceAll(/\\(.)/g, '$1') ?? word);
  return [...new Set([id, ...names].filter((name) => name !== ''))].map(readUnitName);
}

function stateOf(block: Block, booted: number | undefined): SystemdState {
  if (!['LoadState', 'ActiveState', 'SubState'].every((name) => block.get(name)))
    return unknownState(reasonOf(block));
  const fields = PROPERTIES.map(([name, field, read]) => [
    field,
    read?.(block.get(name) ?? '', block, booted),
  ]);
  return {
    ...NO_STATE,
    ...Object.fromEntries(fields.filter(([, value]) => value !== undefined)),
  } as SystemdState;
}

/** The error of systemctl in place of the state, and the one property that is known. */
function reasonOf(block: Block): string {
  const said = block.get('Unknown');
  if (said === undefined) return 'systemctl show has left out its state';
  const active = block.get('ActiveState');
  return `${said || 'systemctl show failed'}${active ? ` (systemctl is-active: ${active})` : ''}`;
}

/** A state or a result. */
function readState(value: string): string {
  return readWord(value, /^[a-z0-9-]{0,64}$/, 'a state of systemd');
}

/** `org.freedesktop.systemd1.BadUnitSetting "Unit x has a bad unit file setting."`, or `""`. */
function readLoadError(value: string): string | undefined {
  return /"(.*)"\s*$/.exec(value)?.[1];
}

/** Drop-ins of the unit itself, without those of fleet and those for a whole unit type. */
function readDropIns(value: string): readonly string[] | undefined {
  const paths = value.split(' ').filter((path) => path !== '');
  const dropIns = paths.filter((path) => !/\/zz-fleet-fenced\.conf$|\/[a-z]+\.d\/[^/]*$/.test(path));
  return dropIns.length === 0 ? undefined : dropIns;
}

/** As in `systemctl status`, a reload of an active unit does not count. */
function readSince(changed: string, block: Block): number | undefined {
  const active = block.get('ActiveState') ?? '';
  return readTime(isActive({ active }) ? (block.get('ActiveEnterTimestamp') ?? '') : changed);
}

/** The earlier of the times by the clock and since boot. */
function readNextElapse(sinceBoot: string, block: Block, booted = Number.NaN): number | undefined {
  const realtime = readTime(block.get('NextElapseUSecRealtime') ?? '') ?? Number.NaN;
  // `0` means never.
  const monotonic = Math.round(booted + (parseTimeSpan(sinceBoot) || Number.NaN));
  const times = [realtime, monotonic].filter((time) => Math.abs(time) <= LAST_TIME);
  return times.length === 0 ? undefined : Math.min(...times);
}

/** The last time that a Date can be, in epoch ms. */
const LAST_TIME = 8.64e15;

/**
 * `Mon 2026-11-23 06:05:41 UTC` → epoch ms; undefined for `n/a`, nothing, or a form of a later systemd. Throws FleetError
 * `bad-answer` for an invalid date.
 */
function readTime(value: string): number | undefined {
  const match = /(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) UTC$/.exec(value);
  if (match === null) return undefined;
  const time = Date.parse(`${match[1]}T${match[2]}Z`);
  return time >= 0 ? time : readNumber(value, 'clock');
}

/** 2⁶⁴-1: `[not set]` before systemd 239. */
const NOT_SET = '18446744073709551615';

/** A number; undefined for `[not set]`, `[no data]`, and for a systemd without the property. */
function readAmount(value: string, range: 'memory' | 'cpu' | 'count'): number | undefined {
  return value === '' || value.startsWith('[') || value === NOT_SET ? undefined : readNumber(value, range);
}

/** The alphabet of unit names (systemd.unit(5)), and UNIT_NAME_MAX, for all unit types. */
const NAME = /^[A-Za-z0-9:_.\\@-]{1,255}$/;

/** Throws FleetError `bad-answer` for what cannot be the name of a unit. */
export function readUnitName(text: string): string {
  return readWord(text, NAME, 'the name of a unit');
}
