import { hasStep, type UnitChange } from '../plan/step.ts';
import { quote } from '../ssh/shell.ts';
import { attempt, type Indexed, isOfTemplate, orderedUnits, recordOf, type Waits } from './change-words.ts';

/**
 * Stops what is to stop. A stop is waited for if a write, removal or start follows it; with `blocks`, always. The lock is
 * free meanwhile, and `guards` are checked again after it. What is not down then is skipped. A unit that was down when it
 * was looked at may have been started with another text since: it is stopped as well where fleet has put it there, for a
 * start would leave what runs as it is.
 */
export function stopUnits(
  all: readonly Indexed[],
  guards: readonly string[],
  { blocks }: Waits,
): readonly string[] {
  const stops = all.filter(({ change }) => hasStep(change, 'stop') || isLaunch(change));
  if (stops.length === 0) return [];
  const awaited = stops.filter(({ change }) => blocks || hasStep(change, 'write', 'remove', 'start'));
  return [
    ...stops.map(isDone),
    ...stops.map(({ change, index }) =>
      unlessDone(index, attempt(index, 'claim', `claim ${quote(change.unit)} ${change.token}`)),
    ),
    ...stops
      .filter(({ change }) => !isRestart(change))
      .map(({ change, index }) =>
        unlessDone(
          index,
          attempt(index, 'loosen', `loosen ${[change.unit, ...keptLinks(change)].map(quote).join(' ')}`),
        ),
      ),
    // systemd must not start again what it is about to stop.
    '[ -z "$changed" ] || step reload reload || return',
    ...(stops.some(({ change }) => isOfTemplate(change)) ? ['step look look'] : []),
    ...orderedUnits(stops, 'unlessDone'),
    'if [ $# -gt 0 ]; then',
    'ran=$(runs "$@" 2>/dev/null)',
    'step stop batch stop_job "$@"',
    'fi',
    ...(awaited.length < stops.length ? orderedUnits(awaited, 'unlessDone') : []),
    'if [ $# -gt 0 ]; then',
    'unlock',
    'step await-stop await "$@"',
    'step lock lock || return',
    ...guards,
    'step look look',
    ...awaited.map(({ change, index }) => unlessDone(index, attempt(index, 'stopped', isDown(change)))),
    'section left left "$@"',
    'fi',
  ];
}

/** Whether the last look found it down; one that is to be started may be up again already. */
export function isDown(change: UnitChange): string {
  const word = isOfTemplate(change) ? 'stopped_all' : 'stopped';
  const may = isRestart(change) ? ' again' : isLaunch(change) ? ' replace' : '';
  return `${word} ${quote(change.unit)}${may}`;
}

function isRestart(change: UnitChange): boolean {
  return hasStep(change, 'start') && !hasStep(change, 'write');
}

/** The links that are to stay while it is stopped: those through which systemd starts nothing that is down. */
function keptLinks(change: UnitChange): readonly string[] {
  return (recordOf(change)?.links ?? []).filter((link) => !link.includes('.upholds/'));
}

function isLaunch(change: UnitChange): boolean {
  return hasStep(change, 'write') && hasStep(change, 'start');
}

/**
 * A unit that gets a new text and has it by now: while this script waited for the lock another one has carried out the
 * same decision. What runs is what is wanted, and is not stopped again.
 */
function isDone({ change, index }: Indexed): string {
  const digest = isLaunch(change) ? recordOf(change)?.record.digest : undefined;
  const unit = quote(change.unit);
  const lookup = `[ "$skip${index}" ] || ! has ${unit} ${digest} || { done${index}=1; rm -f .fleet-$$-${index}; }`;
  // What fleet did not put there yet has nothing to stop.
  const isNew = hasStep(change, 'stop') ? '' : `; [ -f "$L/units/"${unit} ] || done${index}=1`;
  return digest === undefined ? `done${index}=` : `done${index}=; ${lookup}${isNew}`;
}

function unlessDone(index: number, command: string): string {
  return `[ "$done${index}" ] || ${command}`;
}
