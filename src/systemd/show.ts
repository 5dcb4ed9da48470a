import type { SystemdState } from '../cluster/unit-state.ts';

/** The properties asked of `systemctl show`, the only systemctl output that is meant to be parsed. */
export const SHOW_PROPERTIES = [
  'Id',
  'Names',
  'LoadState',
  'LoadError',
  'ActiveState',
  'SubState',
  'Type',
  'Result',
  'ExecMainStatus',
  'ExecMainCode',
  'NRestarts',
  'InvocationID',
  'FragmentPath',
  'ActiveEnterTimestamp',
  'StateChangeTimestamp',
  'MemoryCurrent',
  'CPUUsageNSec',
] as const;

/** One unit of a `systemctl show` answer, under every name it goes by. */
export type ShownUnit = { readonly names: readonly string[]; readonly state: SystemdState };

/** Blocks of `Key=Value` lines with an empty line between units; keys come in any order and may be missing. */
export function parseShow(text: string): readonly ShownUnit[] {
  return text
    .split(/\n\n+/)
    .map((block) => parseBlock(block))
    .filter((properties) => properties.has('Id'))
    .map((properties) => ({ names: namesOf(properties), state: stateOf(properties) }));
}

function parseBlock(block: string): ReadonlyMap<string, string> {
  const properties = new Map<string, string>();
  for (const line of block.split('\n')) {
    const equals = line.indexOf('=');
    if (equals > 0) properties.set(line.slice(0, equals), line.slice(equals + 1));
  }
  return properties;
}

/** `Names` is a list: one with a backslash in it stands in quotes there, with every backslash doubled. */
function namesOf(properties: ReadonlyMap<string, string>): readonly string[] {
  const listed = (properties.get('Names') ?? '').matchAll(/"((?:[^"\\]|\\.)*)"|\S+/g);
  const names = [...listed].map(([word, quoted]) => quoted?.replaceAll(/\\(.)/g, '$1') ?? word);
  return [...new Set([properties.get('Id') ?? '', ...names].filter((name) => name !== ''))];
}

function stateOf(properties: ReadonlyMap<string, string>): SystemdState {
  const text = (key: (typeof SHOW_PROPERTIES)[number]): string => properties.get(key) ?? '';
  const number = (key: (typeof SHOW_PROPERTIES)[number]): number => Number(properties.get(key) ?? 0) || 0;
  return {
    load: text('LoadState'),
    active: text('ActiveState'),
    sub: text('SubState'),
    result: text('Result'),
    type: text('Type'),
    exitStatus: number('ExecMainStatus'),
    exitCode: number('ExecMainCode'),
    restarts: number('NRestarts'),
    invocation: text('InvocationID'),
    fragment: text('FragmentPath'),
    loadError: loadError(text('LoadError')),
    since: readTime(
      text(IS_ACTIVE.has(text('ActiveState')) ? 'ActiveEnterTimestamp' : 'StateChangeTimestamp'),
    ),
    memoryBytes: readAmount(text('MemoryCurrent')),
    cpuNs: readAmount(text('CPUUsageNSec')),
  };
}

/** Where `systemctl status`, too, says since when a unit has been active: a reload does not count. */
const IS_ACTIVE = new Set(['active', 'reloading', 'refreshing']);

/** `Mon 2026-11-23 06:05:41 UTC` → epoch ms; undefined for `n/a` or nothing. */
function readTime(value: string): number | undefined {
  const match = /(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) UTC$/.exec(value);
  return match === null ? undefined : Date.parse(`${match[1]}T${match[2]}Z`);
}

/** 2⁶⁴-1, how systemd before 239 spells `[not set]`. */
const NOT_SET = '18446744073709551615';

/** A number, unless nobody counts it: `[not set]`, `[no data]`, or a systemd that knows no such property. */
function readAmount(value: string): number | undefined {
  return /^\d+$/.test(value) && value !== NOT_SET ? Number(value) : undefined;
}

/** LoadError is `org.freedesktop.systemd1.BadUnitSetting "Unit x has a bad unit file setting."`, or `""`. */
function loadError(value: string): string {
  return /"(.*)"\s*$/.exec(value)?.[1] ?? '';
}
