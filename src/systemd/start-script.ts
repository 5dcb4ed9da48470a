import { hasStep, type Step } from '../plan/step.ts';
import { attempt, type Indexed, isOfTemplate, orderedUnits, type Waits } from './change-words.ts';
import { isDown } from './stop-script.ts';

/** Starts what is to start. */
export function startUnits(all: readonly Indexed[]): readonly string[] {
  const runnable = all.filter(isNoTemplate);
  if (runnable.every(({ change }) => !hasStep(change, 'start', 'restart'))) return [];
  return [
    // Earlier starts would count against its start limit, and these are asked for.
    ...job(runnable, ['start', 'restart'], 'reset', 'reset_failed'),
    // Queued under the lock, waited for without it: a newer decision can stop a unit that hangs in its start.
    ...job(runnable, ['start'], 'start', 'start_job'),
    ...job(runnable, ['restart'], 'restart', 'restart_job'),
  ];
}

function job(all: readonly Indexed[], kinds: readonly Step['kind'][], name: string, command: string) {
  const units = all.filter(({ change }) => hasStep(change, ...kinds));
  if (units.length === 0) return [];
  return [...orderedUnits(units), `[ $# -eq 0 ] || step ${name} batch ${command} "$@"`];
}

/** Waits until what was started is up, watches it for a while, and reports what became of everything. */
export function watchStarts(all: readonly Indexed[], { blocks, settleMs }: Waits): readonly string[] {
  const runnable = all.filter(isNoTemplate);
  const watched = runnable.filter(({ change }) => hasStep(change, 'start', 'restart', 'watch'));
  const lowered = all.filter(({ change }) => hasStep(change, 'stop') && !hasStep(change, 'start', 'remove'));
  const kept = runnable.filter(({ change }) => !hasStep(change, 'remove', 'forbid', 'check'));
  const watch = [
    ...orderedUnits(watched),
    'if [ $# -gt 0 ]; then',
    'step await-start await "$@" ||',
    'section queue order systemctl list-jobs --before --full --plain --no-legend --no-pager',
    ...report('started'),
    // Only a process that runs can still die: nothing is waited for when none does.
    ...(settleMs === 0
      ? []
      : [`case "$out" in *SubState=running* | *' running|'*) sleep ${settleMs / 1000} || sleep 1 ;; esac`]),
    'fi',
  ];
  return [
    ...(blocks && watched.length > 0 ? watch : []),
    ...(blocks && lowered.length > 0
      ? ['step look look', ...lowered.map(({ change, index }) => attempt(index, 'down', isDown(change)))]
      : []),
    ...(kept.length > 0 ? [...orderedUnits(kept), 'if [ $# -gt 0 ]; then', ...report('units'), 'fi'] : []),
  ];
}

/** What systemd tells of the units; of those that it cannot show, at least whether they are up. */
function report(section: string): readonly string[] {
  return [
    `section ${section} show "$@" && case "$out" in *Unknown=*) false ;; esac ||`,
    `{ step look look && section ${section}-sighted sighted "$@"; }`,
  ];
}

function isNoTemplate({ change }: Indexed): boolean {
  return !isOfTemplate(change);
}
