import type { Step, UnitChange } from '../plan/step.ts';
import { quote } from '../ssh/shell.ts';
import { isTemplate, parseUnitName } from '../unit/unit-name.ts';

/** What a change waits for. */
export type Waits = {
  /** Whether stops and starts are waited for at all. */
  readonly blocks: boolean;
  /** How long, in ms; undefined for two minutes each. */
  readonly ms: number | undefined;
  /** How long a started unit is watched after that before it counts as up, in ms. */
  readonly settleMs: number;
};

/** A change and its number in the script. */
export type Indexed = { readonly change: UnitChange; readonly index: number };

export function recordOf(change: UnitChange): Extract<Step, { kind: 'record' }> | undefined {
  return change.steps.find((step) => step.kind === 'record');
}

/** Whether it is about a template: its file is all there is of it, and only its instances run. */
export function isOfTemplate({ unit }: Pick<UnitChange, 'unit'>): boolean {
  return isTemplate(parseUnitName(unit));
}

/** `[ "$skip3" ] || step NAME:3 COMMAND || skip3=1` */
export function attempt(index: number, name: string, command: string): string {
  return `[ "$skip${index}" ] || step ${name}:${index} ${command} || skip${index}=1`;
}

/**
 * Sets the positional parameters to the units that have not failed so far; to its instances instead of a template. Those
 * that start others come first: a socket must listen before its service runs, and must have been told to stop before
 * its service has stopped.
 */
export function orderedUnits(units: readonly Indexed[], which?: 'unlessDone'): readonly string[] {
  const isTrigger = ({ change }: Indexed) => /\.(socket|timer|path|automount)$/.test(change.unit);
  const ordered = units.toSorted((a, b) => Number(isTrigger(b)) - Number(isTrigger(a)));
  // Some shells take a backslash for a pattern of file names.
  const expands = ordered.some(({ change }) => isOfTemplate(change));
  return [
    expands ? 'set -f' : '',
    'set --',
    ...ordered.map(({ change, index }) => {
      const done = which === undefined ? '' : `$done${index}`;
      return `[ "$skip${index}${done}" ] || set -- "$@" ${unitWords(change.unit)}`;
    }),
    expands ? 'set +f' : '',
  ].filter((line) => line !== '');
}

function unitWords(unit: string): string {
  return isOfTemplate({ unit }) ? `$(instances ${quote(unit)})` : quote(unit);
}
