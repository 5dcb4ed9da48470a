import { failureText } from './failure.ts';
import type { PassWatch, Standing } from './pass-watch.ts';

/** What a command that is ended in the middle has to say: what is done, what goes on without it, what never began. */
export function interruptionLines(watch: PassWatch, dryRun: boolean): readonly string[] {
  if (dryRun) return ['Interrupted. Nothing was changed.'];
  if (!watch.hasBegun) return ['Interrupted.'];
  const { standings } = watch;
  const told = standings.some(({ stage }) => stage !== 'planned');
  const failed = standings.filter(({ stage }) => stage === 'failed');
  return [
    told
      ? 'Interrupted. What machines were told already goes on there.'
      : 'Interrupted before any machine was changed. The registry has what was asked for.',
    ...byMachine('Done', standings, 'done'),
    ...failed.map(failedLine),
    ...byMachine('Under way', standings, 'sent'),
    ...byMachine('Not begun', standings, 'planned'),
    'hint: See where it stands: fleetctl list-units; the same command again does the rest',
  ];
}

/** `Done on "m1": a.service b.service` */
function byMachine(
  word: string,
  standings: readonly Standing[],
  stage: Standing['stage'],
): readonly string[] {
  const units = new Map<string, string[]>();
  for (const { machine, unit } of standings.filter((each) => each.stage === stage))
    units.set(machine, [...(units.get(machine) ?? []), unit]);
  return [...units].map(([machine, names]) => `${word} on "${machine}": ${names.join(' ')}`);
}

function failedLine({ machine, unit, failure }: Standing): string {
  const why = failure === undefined ? '' : `: ${failureText(failure).summary}`;
  return `Failed on "${machine}": ${unit}${why}`;
}
