import type { MachinePlan, Step } from '../plan/step.ts';

/** The steps of a machine in the order in which its script takes them, and the words for them. */
const STEPS: readonly (readonly [Step['kind'], string])[] = [
  ['adopt', 'adopt'],
  ['write', 'write the unit file of'],
  ['stop', 'stop'],
  ['record', 'record'],
  ['remove', 'remove'],
  ['start', 'start'],
  ['restart', 'restart'],
  ['watch', 'watch'],
];

/** One line a step: `m1: stop web.service`. */
export function planLines({ machine, changes }: MachinePlan): readonly string[] {
  const possible = changes.filter(({ obstacle }) => obstacle === undefined);
  return STEPS.flatMap(([kind, words]) =>
    possible.flatMap(({ unit, steps }) =>
      steps.filter((step) => step.kind === kind).map((step) => `${machine}: ${words} ${unit}${remark(step)}`),
    ),
  );
}

/** What `[Install]` asks for, where a launched unit starts at boot in any case; and that a file is not as fleet left it. */
function remark(step: Step): string {
  if (step.kind === 'write' && step.altered) return `, which was ${step.altered} there`;
  if (step.kind !== 'record') return '';
  const links = step.links.filter((link) => !link.startsWith('fleet.target.wants/'));
  return links.length === 0 ? '' : `, enable it: ${links.join(' ')}`;
}
