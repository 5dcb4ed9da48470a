import { describe, expect, it } from 'vitest';
import { type ObservedUnit, type UnitRecord, unknownState } from '../../src/cluster/unit-state.ts';
import { classify, type Situation } from '../../src/plan/classify.ts';
import { desiredUnit, foreignUnit, observedUnit, recordOf, systemdState } from '../support/builders.ts';

const NAME = 'a.service';
const launched = desiredUnit(NAME, '', { token: 5 });
const loaded = desiredUnit(NAME, '', { token: 5, target: 'loaded' });
const oneshot = desiredUnit(NAME, '', { token: 5, text: '[Service]\nType=oneshot\nExecStart=/bin/true\n' });

const running = systemdState('running');
const dead = systemdState('dead');
const unknown: ObservedUnit = {
  name: NAME,
  state: systemdState('unknown'),
  record: undefined,
  digest: undefined,
};
const withToken = (token: number, state = running): ObservedUnit =>
  observedUnit(launched, { record: recordOf(launched, { token }), state });
const oldText = { digest: 'old', record: recordOf(launched, { digest: 'old', token: 4 }) };

const masked = (unit: typeof launched, record: Partial<UnitRecord>): ObservedUnit => ({
  ...observedUnit(unit, { record: recordOf(unit, record), state: systemdState('dead', { load: 'masked' }) }),
  digest: undefined,
});

type Row = readonly [string, typeof launched | undefined, ObservedUnit | undefined, Situation];

describe('classify', () => {
  it.each<Row>([
    ['wanted nowhere, never heard of', undefined, undefined, 'absent'],
    ['wanted nowhere, unknown to systemd', undefined, unknown, 'absent'],
    ['wanted nowhere, and not ours', undefined, foreignUnit(NAME, { active: 'active' }), 'absent'],
    ['wanted nowhere, and ours', undefined, withToken(4), 'surplus'],
    ['wanted nowhere, ours, and long dead', undefined, withToken(5, dead), 'surplus'],
    ['wanted nowhere, ours, its file gone', undefined, { ...withToken(4), digest: undefined }, 'surplus'],
    ['wanted nowhere, but put there later', undefined, withToken(6), 'stale'],
    ['wanted, but put there later', launched, withToken(6), 'stale'],
    ['wanted, put there later, another text', launched, { ...withToken(6), digest: 'new' }, 'stale'],
    ['wanted, never heard of', launched, undefined, 'to-launch'],
    ['wanted, unknown to systemd', launched, unknown, 'to-launch'],
    ['wanted loaded, unknown to systemd', loaded, unknown, 'to-load'],
    ['wanted, and a foreign one runs', launched, foreignUnit(NAME, { active: 'active' }), 'foreign'],
    ['wanted, and a foreign one exists', loaded, foreignUnit(NAME), 'foreign'],
    ['wanted, and masked by another user', launched, foreignUnit(NAME, { load: 'masked' }), 'foreign'],
    [
      'wanted, runs without a file or a record',
      launched,
      { ...unknown, state: systemdState('unknown', { active: 'active' }) },
      'foreign',
    ],
    ['another text, and dead', launched, { ...withToken(4, dead), ...oldText }, 'to-launch'],
    [
      'another text, and failed',
      launched,
      { ...withToken(4), ...oldText, state: systemdState('failed') },
      'to-launch',
    ],
    ['another text, and running', launched, { ...withToken(4), ...oldText }, 'to-restart'],
    [
      'another text, between restarts',
      launched,
      { ...withToken(4), ...oldText, state: systemdState('restarting') },
      'to-restart',
    ],
    ['another text, loaded from now on, running', loaded, { ...withToken(4), ...oldText }, 'to-rewrite'],
    [
      'another text, loaded as before, and running',
      loaded,
      { ...observedUnit(loaded, { state: running }), digest: 'old' },
      'to-load',
    ],
    ['another text, wanted loaded, dead', loaded, { ...withToken(4, dead), ...oldText }, 'to-load'],
    ['its file was deleted while it ran', launched, { ...withToken(5), digest: undefined }, 'to-restart'],
    [
      'its file was deleted when it was dead',
      launched,
      { ...withToken(5, dead), digest: undefined },
      'to-launch',
    ],
    ['loaded, and started by something else', loaded, observedUnit(loaded, { state: running }), 'in-place'],
    ['loaded from now on, and running', loaded, withToken(4), 'to-stop'],
    ['loaded from now on, and between restarts', loaded, withToken(4, systemdState('restarting')), 'to-stop'],
    ['loaded from now on, and still stopping', loaded, withToken(4, systemdState('stopping')), 'to-stop'],
    ['loaded from now on, and failed', loaded, withToken(4, systemdState('failed')), 'to-record'],
    ['loaded, and failed', loaded, observedUnit(loaded, { state: systemdState('failed') }), 'in-place'],
    ['launched, and nothing is known of its run', launched, withToken(5, unknownState('')), 'unknown'],
    [
      'another text, and nothing is known of its run',
      launched,
      { ...withToken(4, unknownState('')), ...oldText },
      'to-restart',
    ],
    [
      'loaded, and nothing is known of its run',
      loaded,
      observedUnit(loaded, { state: unknownState('') }),
      'in-place',
    ],
    [
      'loaded from now on, and nothing is known of its run',
      loaded,
      withToken(4, unknownState('')),
      'to-stop',
    ],
    ['dead, and should run', launched, withToken(5, dead), 'to-start'],
    ['failed, and should run', launched, withToken(5, systemdState('failed')), 'to-start'],
    ['between restarts, and should run', launched, withToken(5, systemdState('restarting')), 'to-start'],
    ['being started', launched, withToken(5, systemdState('starting')), 'to-start'],
    ['being stopped, and should run', launched, withToken(5, systemdState('stopping')), 'to-start'],
    ['reloading', launched, withToken(5, systemdState('reloading')), 'in-place'],
    ['runs as wanted', launched, withToken(5), 'in-place'],
    ['loaded as wanted', loaded, observedUnit(loaded), 'in-place'],
    [
      'a oneshot that has finished',
      oneshot,
      observedUnit(oneshot, { state: systemdState('finished') }),
      'in-place',
    ],
    [
      'a oneshot that has finished, is noted as loaded, and should be launched',
      oneshot,
      observedUnit(oneshot, {
        state: systemdState('finished'),
        record: recordOf(oneshot, { target: 'loaded' }),
      }),
      'to-start',
    ],
    [
      'a oneshot with RemainAfterExit= that was stopped',
      oneshot,
      observedUnit(oneshot, { state: systemdState('finished', { remains: true }) }),
      'to-start',
    ],
    ['masked there, and should run', launched, masked(launched, {}), 'to-start'],
    ['masked there, and loaded as wanted', loaded, masked(loaded, {}), 'in-place'],
    ['masked there, and noted as launched', loaded, masked(loaded, { target: 'launched' }), 'to-record'],
    ['masked there, with an older text', loaded, masked(loaded, { digest: 'old' }), 'to-load'],
    [
      'a oneshot that has not run since the machine booted',
      oneshot,
      observedUnit(oneshot, { state: systemdState('finished', { invocation: '' }) }),
      'to-start',
    ],
    ['runs as wanted, by an older decision', launched, withToken(4), 'to-record'],
    [
      'runs as wanted, and is noted as loaded',
      launched,
      observedUnit(launched, { record: recordOf(launched, { target: 'loaded' }) }),
      'to-record',
    ],
    [
      'its text is right and its note is not',
      launched,
      observedUnit(launched, { record: recordOf(launched, { digest: 'old' }) }),
      'to-record',
    ],
    [
      'loaded as wanted, by an older decision',
      loaded,
      observedUnit(loaded, { record: recordOf(loaded, { token: 4 }) }),
      'to-record',
    ],
  ])('%s', (_, wanted, observed, situation) => {
    expect(classify({ wanted, token: 5, observed })).toBe(situation);
  });

  it.each([
    ['that something else started', observedUnit(loaded, { state: running }), 'lingering'],
    ['that fleet started', withToken(4), 'surplus'],
    ['that has ended', observedUnit(loaded), 'surplus'],
  ] as const)('lets a run %s come to its end, or not, where the unit has moved', (_, observed, situation) => {
    expect(classify({ wanted: undefined, token: 5, observed, mayLinger: true })).toBe(situation);
    expect(classify({ wanted: undefined, token: 5, observed, mayLinger: false })).toBe('surplus');
  });
});
