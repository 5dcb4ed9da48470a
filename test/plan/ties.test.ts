import { expect, it } from 'vitest';
import { orderOf } from '../../src/plan/order.ts';
import type { MachinePlan, Step } from '../../src/plan/step.ts';
import { cluster, desiredUnit, idOf } from '../support/builders.ts';

const START: readonly Step[] = [{ kind: 'start' }];
const BRING: readonly Step[] = [{ kind: 'write', text: '' }, { kind: 'start' }];
const REMOVE: readonly Step[] = [{ kind: 'stop' }, { kind: 'remove' }];

/** db moves from m1 to m2; web stays on m1 and has these steps. */
function waves(option: string, steps: readonly Step[]): readonly string[] {
  const text = `[Unit]\n${option}=db.service\n[Service]\nExecStart=/bin/sleep infinity\n`;
  const snapshot = {
    ...cluster().machine('m1').machine('m2').snapshot(),
    units: [desiredUnit('db.service'), desiredUnit('web.service', '', { text, machine: 'm1' })],
  };
  const change = (unit: string, own: readonly Step[]) => ({
    unit,
    token: 1,
    steps: own,
    obstacle: undefined,
  });
  const plans: readonly MachinePlan[] = [
    { machine: 'm1', changes: [change('db.service', REMOVE), change('web.service', steps)] },
    { machine: 'm2', changes: [change('db.service', BRING)] },
  ];
  const order = orderOf({
    plans,
    snapshot,
    placements: new Map([['db.service', [idOf('m2')]]]),
    leaving: new Map([['db.service', idOf('m1')]]),
    maxParallel: undefined,
  });
  return order
    .filter(({ isCheck }) => !isCheck)
    .map((wave) =>
      wave.plans
        .map(({ machine, changes }) => `${machine}: ${changes.map(({ unit }) => unit.charAt(0)).join(' ')}`)
        .join(', '),
    );
}

it.each([
  ['is started again with the stop that takes it down', 'PartOf', START, ['m2: d', 'm1: w d']],
  ['that nothing takes down is started at once', 'Wants', START, ['m1: w, m2: d', 'm1: d']],
  ['with a new text is brought at once', 'PartOf', BRING, ['m1: w, m2: d', 'm1: d']],
])('a unit beside one that moves %s', (_, option, steps, expected) => {
  expect(waves(option, steps)).toEqual(expected);
});
