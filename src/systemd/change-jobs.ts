import { expectsUp, hasStep, type Step, type UnitChange } from '../plan/step.ts';
import { quote } from '../ssh/shell.ts';
import { isTemplate, parseUnitName } from '../unit/unit-name.ts';

/** What a change waits for. */
export type Waits = {
  /** Whether the script waits for stops and starts. */
  readonly blocks: boolean;
  /** The limit of all waits together, in ms; undefined for two minutes each. */
  readonly ms: number | undefined;
  /** How long a started unit is watched after that before it counts as up, in ms. */
  readonly settleMs: number;
};

/** A change, its number in the script, and its unit as a quoted word. */
export type Numbered = { readonly change: UnitChange; readonly index: number; readonly unit: string };

export function numbered(change: UnitChange, index: number): Numbered {
  return { change, index, unit: quote(change.unit) };
}

export function recordOf({ steps }: UnitChange): Extract<Step, { kind: 'record' }> | undefined {
  return steps.find((step) => step.kind === 'record');
}

/** Whether the unit is a template, of which only the instances run. */
export function isOfTemplate({ unit }: Pick<UnitChange, 'unit'>): boolean {
  return isTemplate(parseUnitName(unit));
}

/** `[ "$skip3" ] || attempt NAME:3 COMMAND || skip3=1`: only a failure has a section. `instead` follows a failure that does not end the change. */
export function stepCommand(each: Numbered, name: string, command: string, instead?: string): string {
  return unlessSkipped(each, `attempt ${name}`, command, instead);
}

/** The same for a step that proves the success of its change, and has a section therefore. */
export function provenStep(each: Numbered, name: string, command: string): string {
  return unlessSkipped(each, `step ${name}`, command);
}

function unlessSkipped({ index }: Numbered, step: string, command: string, instead?: string): string {
  return `[ "$skip${index}" ] || ${step}:${index} ${command} || ${instead ?? `skip${index}=1`}`;
}

/** The step that succeeds if the unit was down in the last lists. `down` is the last one, which proves the stop. */
export function downCommand(each: Numbered, name: 'stopped' | 'gone' | 'down'): string {
  const { change, unit } = each;
  const mayRun = isRestart(change) ? ' again' : isLaunch(change) ? ' replace' : '';
  const command = `${isOfTemplate(change) ? 'stopped_all' : 'stopped'} ${unit}${mayRun}`;
  return name === 'down' ? provenStep(each, name, command) : stepCommand(each, name, command);
}

function isRestart(change: UnitChange): boolean {
  return hasStep(change, 'start') && !hasStep(change, 'write');
}

/** Whether the unit is stopped, and stays on the machine. */
export function isStopOnly(change: UnitChange): boolean {
  return hasStep(change, 'stop') && !hasStep(change, 'start', 'remove');
}

/** Whether the unit is stopped, and gets another text for its next start. */
export function isLowered(change: UnitChange): boolean {
  return isStopOnly(change) && hasStep(change, 'write');
}

function isLaunch(change: UnitChange): boolean {
  return hasStep(change, 'write') && hasStep(change, 'start');
}

/**
 * Sets the positional parameters to the units that have not failed so far; to its instances for a template. Units that
 * start others come first: a socket must listen before its service runs, and its stop must be queued before its service
 * has stopped.
 */
export function setUnits(all: readonly Numbered[], which?: 'unlessDone'): readonly string[] {
  const isTrigger = ({ change }: Numbered): boolean => /\.(socket|timer|path|automount)$/.test(change.unit);
  // Some shells take a backslash for a pattern of file names.
  const expands = all.some(({ change }) => isOfTemplate(change));
  return [
    ...(expands ? ['set -f'] : []),
    'set --',
    ...all
      .toSorted((a, b) => Number(isTrigger(b)) - Number(isTrigger(a)))
      .map(({ change, index, unit }) => {
        const done = which === undefined ? '' : `$done${index}`;
        const words = isOfTemplate(change) ? `$(instances ${unit})` : unit;
        return `[ "$skip${index}${done}" ] || set -- "$@" ${words}`;
      }),
    ...(expands ? ['set +f'] : []),
  ];
}

/** The commands for all of `units` that have not failed, if there are any. */
export function ifAny(units: readonly string[], ...commands: readonly string[]): readonly string[] {
  return [...units, 'if [ $# -gt 0 ]; then', ...commands, 'fi'];
}

/**
 * The stops. The script waits for a stop that a write, removal or start follows; with `blocks`, for every stop. The lock
 * is free during the wait, and `guards` are checked again after it. A unit that is not down then is skipped. A launch
 * stops its unit too if fleet has put it there, because the unit may have been started with another text since it was
 * observed, and a start would leave that running.
 */
export function stopUnits(
  all: readonly Numbered[],
  guards: readonly string[],
  { blocks }: Waits,
): readonly string[] {
  const stops = all.filter(({ change }) => hasStep(change, 'stop') || isLaunch(change));
  if (stops.length === 0) return [];
  const awaited = stops.filter(({ change }) => blocks || hasStep(change, 'write', 'remove', 'start'));
  const unlessDone = ({ index }: Numbered, command: string): string => `[ "$done${index}" ] || ${command}`;
  return [
    ...ifAny(setUnits(stops.filter(({ change }) => isLaunch(change))), 'step present read_present "$@"'),
    ...stops.map(setDone),
    ...ifAny(awaited.length === 0 ? ['set --'] : setUnits(awaited, 'unlessDone'), 'step lock mark || return'),
    ...stops.map((each) =>
      unlessDone(each, stepCommand(each, 'claim', `claim ${each.unit} ${each.change.token}`)),
    ),
    ...ifAny(setUnits(stops.filter(losesBoot), 'unlessDone'), 'erase fleet.target.wants "$@"'),
    ...stops
      .filter(({ change }) => !isRestart(change))
      .map((each) =>
        unlessDone(
          each,
          stepCommand(each, 'unlink', `unlink_pulls ${[each.unit, ...keptLinks(each.change)].join(' ')}`),
        ),
      ),
    // Otherwise systemd may start a unit again that it has just stopped.
    '[ -z "$changed" ] || step reload reload || return',
    ...(stops.some(({ change }) => isOfTemplate(change)) ? ['step lists read_lists'] : []),
    ...ifAny(
      setUnits(stops, 'unlessDone'),
      'invocations "$@" 2>/dev/null; ran=$out',
      'step stop batch stop_job "$@"',
    ),
    ...ifAny(
      awaited.length < stops.length ? setUnits(awaited, 'unlessDone') : [],
      'step lists stops_soon "$@" || {',
      'unlock',
      'step await-stop await "$@"',
      'step lock lock || return',
      ...guards,
      'step lists read_lists',
      '}',
      ...awaited.map((each) => unlessDone(each, downCommand(each, 'stopped'))),
      'section left left "$@"',
    ),
  ];
}

/** Whether the unit does not start at boot any more. */
function losesBoot({ change }: Numbered): boolean {
  const keeps = recordOf(change)?.links.some((link) => link.startsWith('fleet.target.wants/'));
  return !isRestart(change) && !isOfTemplate(change) && keeps !== true;
}

/** The links that stay while the unit is stopped: systemd starts nothing through them. */
function keptLinks(change: UnitChange): readonly string[] {
  return (recordOf(change)?.links ?? []).filter((link) => !link.includes('.upholds/')).map(quote);
}

/**
 * Sets `done3` if a launch has nothing to stop: fleet has not put the unit there, or another script has carried out the
 * same decision while this one waited for the lock.
 */
function setDone({ change, index, unit }: Numbered): string {
  const digest = isLaunch(change) ? recordOf(change)?.record.digest : undefined;
  if (digest === undefined) return `done${index}=`;
  const isSame = `[ "$skip${index}" ] || ! is_present ${unit} ${digest} || { done${index}=1; discard ${index} ${unit}; }`;
  const isNew = hasStep(change, 'stop') ? '' : `; [ -f "$L/units/"${unit} ] || done${index}=1`;
  return `done${index}=; ${isSame}${isNew}`;
}

/** The starts. They are queued under the lock and awaited without it, so that a newer decision can stop a unit that hangs. */
export function startUnits(all: readonly Numbered[]): readonly string[] {
  const job = (kinds: readonly Step['kind'][], name: string, command: string): readonly string[] => {
    const units = all.filter(({ change }) => !isOfTemplate(change) && hasStep(change, ...kinds));
    return units.length === 0
      ? []
      : [...setUnits(units), `[ $# -eq 0 ] || step ${name} batch ${command} "$@"`];
  };
  return [
    // Otherwise earlier starts would count against the start limit.
    ...job(['start', 'restart'], 'reset', 'reset_failed'),
    ...job(['start'], 'start', 'start_job'),
    ...job(['restart'], 'restart', 'restart_job'),
  ];
}

/** Waits until started units are up, watches them for the settle time, and reports the states of all units. */
export function watchStarts(all: readonly Numbered[], { blocks, settleMs }: Waits): readonly string[] {
  const runnable = all.filter(({ change }) => !isOfTemplate(change));
  const watched = runnable.filter(({ change }) => expectsUp(change));
  const stopped = all.filter(({ change }) => hasStep(change, 'stop') && !hasStep(change, 'start', 'remove'));
  const kept = runnable.filter(({ change }) => !hasStep(change, 'remove', 'forbid', 'check'));
  // Only a process that runs can still fail.
  const settle = `case "$out" in *SubState=running* | *' running|'*) sleep ${settleMs / 1000} || sleep 1 ;; esac`;
  const watch = ifAny(
    setUnits(watched),
    'is_whole=yes',
    'if [ $# -gt 3 ] || ! starts_soon "$@"; then',
    'step await-start await "$@" ||',
    'section queue from order request list-jobs --before --full --plain --no-legend --no-pager',
    'report started "$@"',
    'fi',
    ...(settleMs === 0 ? [] : [settle]),
  );
  const isAgain = blocks && watched.length === kept.length;
  return [
    ...(blocks && watched.length > 0 ? watch : []),
    ...(blocks && stopped.length > 0
      ? ['step lists read_lists', ...stopped.map((each) => downCommand(each, 'down'))]
      : []),
    ...(kept.length > 0 ? ifAny(setUnits(kept), isAgain ? 'report_again "$@"' : 'report units "$@"') : []),
  ];
}
