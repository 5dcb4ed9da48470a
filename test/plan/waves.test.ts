import { describe, expect, it } from 'vitest';
import type { MachinePlan } from '../../src/plan/step.ts';
import { wavesOf } from '../../src/plan/waves.ts';

/** `m1: b a` as a plan that restarts these units. */
function planOf(text: string): MachinePlan {
  const [machine = '', units = ''] = text.split(': ');
  const changes = units.split(' ').map((unit) => ({
    unit,
    token: 1,
    steps: [{ kind: 'restart' } as const],
    obstacle: undefined,
  }));
  return { machine, changes };
}

function words(waves: readonly (readonly MachinePlan[])[]): readonly string[] {
  return waves.map((plans) =>
    plans
      .map(({ machine, changes }) => `${machine}: ${changes.map(({ unit }) => unit).join(' ')}`)
      .join(', '),
  );
}

describe('waves', () => {
  const plans = ['m2: b a', 'm1: a c'].map(planOf);

  it.each([
    [1, ['m1: a', 'm2: a', 'm2: b', 'm1: c']],
    [2, ['m1: a, m2: a', 'm1: c, m2: b']],
    [3, ['m1: a, m2: a b', 'm1: c']],
    [100, ['m1: a c, m2: a b']],
  ])('of %d go by unit, then by machine, and have everything once', (size, expected) => {
    expect(words(wavesOf(plans, size))).toEqual(expected);
  });

  it('are none when there is nothing to do', () => {
    expect(wavesOf([], 1)).toEqual([]);
  });
});
