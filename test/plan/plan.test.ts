import { describe, expect, it } from 'vitest';
import type { ClusterSnapshot } from '../../src/cluster/snapshot.ts';
import type { ObservedUnit } from '../../src/cluster/unit-state.ts';
import { plan } from '../../src/plan/plan.ts';
import type { MachinePlan, Step } from '../../src/plan/step.ts';
import {
  cluster,
  desiredUnit,
  foreignUnit,
  idOf,
  observedUnit,
  recordOf,
  systemdState,
  type UnitOptions,
} from '../support/builders.ts';

const NAME = 'a.service';
const wanted = (options: UnitOptions = {}) => desiredUnit(NAME, '', { token: 5, machine: 'm1', ...options });
const launched = wanted();
const loaded = wanted({ target: 'loaded' });
const running = systemdState('running');
const earlier = recordOf(launched, { token: 4 });

const stop: Step = { kind: 'stop' };
const remove: Step = { kind: 'remove' };
const write: Step = { kind: 'write', text: launched.text };
const rewrite: Step = { ...write, altered: 'changed' };
const record = (unit = launched): Step => ({
  kind: 'record',
  record: recordOf(unit),
  links: unit.target === 'launched' ? [`fleet.target.wants/${unit.name}`] : [],
});
const start: Step = { kind: 'start' };

/** One machine, m1, that shows these units. */
function machineWith(...units: readonly ObservedUnit[]): ClusterSnapshot {
  return cluster().machine('m1', {}, { units }).snapshot();
}

/** The only steps of a plan for a.service on m1. */
function stepsOf(plans: readonly MachinePlan[]): readonly Step[] {
  expect(plans.flatMap(({ changes }) => changes).length).toBeLessThanOrEqual(1);
  return plans[0]?.changes[0]?.steps ?? [];
}

describe('the steps', () => {
  it.each<readonly [string, typeof launched, Partial<ObservedUnit> | undefined, readonly Step[]]>([
    ['load', loaded, undefined, [write, record(loaded)]],
    ['launch', launched, undefined, [write, record(), start]],
    [
      'launch what failed with another text',
      launched,
      { state: systemdState('failed'), digest: 'old' },
      [rewrite, record(), start],
    ],
    ['restart with another text', launched, { digest: 'old' }, [stop, rewrite, record(), start]],
    ['replace the text of what should not run', loaded, { digest: 'old' }, [stop, rewrite, record(loaded)]],
    ['stop', loaded, { state: running }, [stop, record(loaded)]],
    ['start', launched, { state: systemdState('dead') }, [record(), start]],
    ['start what failed', launched, { state: systemdState('failed') }, [record(), start]],
    ['note a newer token', launched, { record: earlier }, [record()]],
    ['nothing', launched, { record: recordOf(launched) }, []],
  ])('%s', (_, unit, observed, expected) => {
    const units =
      observed === undefined ? [] : [observedUnit(unit, { state: running, record: earlier, ...observed })];
    const snapshot = { ...machineWith(...units), units: [unit] };
    expect(stepsOf(plan(snapshot, new Map([[NAME, [idOf('m1')]]])))).toEqual(expected);
  });

  it.each<readonly [string, ObservedUnit]>([
    ['what runs', observedUnit(launched)],
    ['what seems dead: a timer may start it at any moment', observedUnit(loaded)],
    ['what failed', observedUnit(launched, { state: systemdState('failed') })],
    [
      'a record whose file is gone',
      observedUnit(loaded, { state: systemdState('unknown'), digest: undefined }),
    ],
  ])('always stop before they remove: %s', (_, observed) => {
    const snapshot = { ...machineWith(observed), units: [wanted({ target: 'inactive' })] };
    expect(stepsOf(plan(snapshot, new Map([[NAME, []]])))).toEqual([stop, remove]);
  });
});

describe('a change', () => {
  it('carries the token of the unit, and the revision of the registry for a unit it does not have', () => {
    const snapshot = machineWith(observedUnit(launched), observedUnit(desiredUnit('gone.service')));
    const plans = plan(
      { ...snapshot, units: [wanted({ target: 'inactive', token: 7 })], revision: 99 },
      new Map([
        [NAME, []],
        ['gone.service', []],
      ]),
    );
    expect(plans[0]?.changes.map(({ unit, token }) => [unit, token])).toEqual([
      [NAME, 7],
      ['gone.service', 99],
    ]);
  });

  it('says what is in the way: a foreign unit', () => {
    const snapshot = { ...machineWith(foreignUnit(NAME)), units: [launched] };
    expect(plan(snapshot, new Map([[NAME, [idOf('m1')]]]))).toEqual([
      {
        machine: 'm1',
        changes: [
          {
            unit: NAME,
            token: 5,
            steps: [],
            obstacle: { code: 'foreign', path: '/usr/lib/systemd/system/a.service' },
          },
        ],
      },
    ]);
  });

  it('says what is in the way: a newer decision, also about a unit that is to go', () => {
    const newer = observedUnit(launched, { record: recordOf(launched, { token: 6 }) });
    for (const machines of [[idOf('m1')], []]) {
      const plans = plan({ ...machineWith(newer), units: [launched] }, new Map([[NAME, machines]]));
      expect(plans[0]?.changes).toEqual([
        { unit: NAME, token: 5, steps: [], obstacle: { code: 'stale', token: 5, seen: 6 } },
      ]);
    }
  });

  it('does not report a foreign unit that is wanted elsewhere', () => {
    const snapshot = { ...machineWith(foreignUnit(NAME)), units: [launched] };
    expect(plan(snapshot, new Map([[NAME, [idOf('m2')]]]))).toEqual([]);
  });
});

describe('a plan', () => {
  const here = observedUnit(launched);
  const everywhere = cluster()
    .machine('m1', {}, { units: [here] })
    .machine('m2', {}, { units: [here] })
    .machine('m3')
    .unreachable('m4', 0)
    .machine('m5', {}, { cluster: 'other', units: [here] })
    .machine('m6', {}, { cluster: undefined })
    .never('m7');

  it('covers every reachable machine of this cluster or of none, and leaves out finished units', () => {
    const snapshot = { ...everywhere.snapshot(), units: [launched] };
    const all = ['m1', 'm3', 'm4', 'm5', 'm6'].map(idOf);
    const plans = plan(snapshot, new Map([[NAME, all]]));
    expect(plans.map(({ machine, changes }) => [machine, changes[0]?.steps[0]?.kind])).toEqual([
      ['m2', 'stop'],
      ['m3', 'write'],
      ['m6', 'write'],
    ]);
  });

  it('removes every copy of a unit that is wanted nowhere', () => {
    const snapshot = { ...everywhere.snapshot(), units: [wanted({ target: 'inactive' })] };
    expect(plan(snapshot, new Map([[NAME, []]])).map(({ machine }) => machine)).toEqual(['m1', 'm2']);
  });

  it('orders changes by name, and touches only what is in scope', () => {
    const snapshot = cluster()
      .machine('m1', {}, { units: [observedUnit(desiredUnit('out-of-scope.service'))] })
      .unit('b.service')
      .unit('a.service')
      .snapshot();
    const m1 = [idOf('m1')];
    const plans = plan(
      snapshot,
      new Map([
        ['b.service', m1],
        ['a.service', m1],
      ]),
    );
    expect(plans.flatMap(({ changes }) => changes.map(({ unit }) => unit))).toEqual([
      'a.service',
      'b.service',
    ]);
  });

  it('without a cluster id touches no machine that has one', () => {
    const snapshot = { ...machineWith(here), units: [launched], clusterId: undefined };
    expect(plan(snapshot, new Map([[NAME, []]]))).toEqual([]);
  });
});

describe('a unit that requires another one', () => {
  const text = (line: string): string => `[Unit]\n${line}\n[Service]\nExecStart=x\n`;
  const base = desiredUnit('base.service', '', { machine: 'm1', text: text('Description=x') });

  it.each([
    ['is started with it if it went down with it', 'launched', 'dead', ['start']],
    ['stays down if it has failed by itself', 'launched', 'failed', undefined],
    ['is left as it is while it runs', 'launched', 'running', undefined],
    ['stays down if it is only loaded', 'loaded', 'dead', undefined],
  ] as const)('%s', (_, target, state, expected) => {
    const user = desiredUnit('user.service', '', {
      machine: 'm1',
      target,
      text: text('BindsTo=base.service'),
    });
    const here = [
      observedUnit(base, { state: systemdState('failed') }),
      observedUnit(user, { state: systemdState(state) }),
    ];
    const plans = plan(
      { ...machineWith(...here), units: [base, user] },
      new Map([['base.service', [idOf('m1')]]]),
    );
    const steps = plans
      .flatMap(({ changes }) => changes)
      .find(({ unit }) => unit === 'user.service')
      ?.steps.map(({ kind }) => kind);
    expect(steps).toEqual(expected);
  });
});

describe('a start that brings along a unit which excludes another one', () => {
  const unit = (name: string, line: string, options: UnitOptions = {}) =>
    desiredUnit(name, '', { machine: 'm1', ...options, text: `[Unit]\n${line}\n[Service]\nExecStart=x\n` });
  const main = unit('main.service', 'Description=x');
  const spare = unit('spare.service', 'Conflicts=main.service', { target: 'loaded' });

  it.each([
    ['waits while that one runs', 'Requires=middle.service', 'running', 'excluded'],
    ['goes ahead while that one is down', 'Requires=middle.service', 'dead', undefined],
    ['goes ahead where nothing is brought along', 'After=middle.service', 'running', undefined],
  ] as const)('%s', (_, line, state, expected) => {
    const middle = unit('middle.service', 'Wants=spare.service', { target: 'loaded' });
    const user = unit('user.service', line);
    const units = [main, spare, middle, user];
    const here = units.map((each) =>
      observedUnit(each, { state: systemdState(each === main ? state : 'dead') }),
    );
    const plans = plan({ ...machineWith(...here), units }, new Map([['user.service', [idOf('m1')]]]));
    const [change] = plans.flatMap(({ changes }) => changes);
    expect([change?.unit, change?.obstacle?.code]).toEqual(['user.service', expected]);
  });
});
