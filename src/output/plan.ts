import type { MachinePlan, Step, UnitChange } from '../plan/step.ts';

/** One line a step, grouped by machine: `m1: stop web.service`. */
export function planLines({ machine, changes }: MachinePlan): readonly string[] {
  return changes.flatMap((change) => stepTexts(change).map((text) => `${machine}: ${text}`));
}

function stepTexts({ unit, steps, obstacle }: UnitChange): readonly string[] {
  return obstacle === undefined ? steps.map((step) => `${WORDS[step.kind]} ${unit}`) : [];
}

const WORDS: Readonly<Record<Step['kind'], string>> = {
  stop: 'stop',
  write: 'write',
  record: 'note',
  start: 'start',
  remove: 'remove',
};
