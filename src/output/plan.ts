import type { MachinePlan, Step } from '../plan/step.ts';

/** The steps of a machine in the order in which its script takes them, and the words for them. */
const STEPS: readonly (readonly [Step['kind'], string])[] = [
  ['write', 'write the unit file of'],
  ['stop', 'stop'],
  ['record', 'note'],
  ['remove', 'remove'],
  ['start', 'start'],
  ['restart', 'restart'],
];

/** One line a step: `m1: stop web.service`. */
export function planLines({ machine, changes }: MachinePlan): readonly string[] {
  const possible = changes.filter(({ obstacle }) => obstacle === undefined);
  return STEPS.flatMap(([kind, words]) =>
    possible
      .filter(({ steps }) => steps.some((step) => step.kind === kind))
      .map(({ unit }) => `${machine}: ${words} ${unit}`),
  );
}
