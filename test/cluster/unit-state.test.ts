import { describe, expect, it } from 'vitest';
import {
  hasStarted,
  isFinished,
  isForeign,
  isRunning,
  isUp,
  type ObservedUnit,
  reachedState,
  type SystemdState,
} from '../../src/cluster/unit-state.ts';
import {
  desiredUnit,
  foreignUnit,
  observedUnit,
  recordOf,
  type StateName,
  systemdState,
} from '../support/builders.ts';

const launched = desiredUnit('a.service');
const loaded = desiredUnit('a.service', '', { target: 'loaded' });

describe('up, running, finished', () => {
  it.each<readonly [string, SystemdState, up: boolean, running: boolean, finished: boolean]>([
    ['a service that runs', systemdState('running'), true, true, false],
    ['a timer or socket that waits', systemdState('waiting', { sub: 'listening' }), true, true, false],
    ['a mount', systemdState('waiting', { sub: 'mounted' }), true, true, false],
    [
      'a oneshot with RemainAfterExit=',
      systemdState('running', { type: 'oneshot', sub: 'exited' }),
      true,
      true,
      false,
    ],
    ['a service that reloads', systemdState('reloading'), true, true, false],
    [
      'a service whose mounts are renewed',
      systemdState('reloading', { active: 'refreshing' }),
      true,
      true,
      false,
    ],
    ['a unit that never ran', systemdState('dead'), false, false, false],
    ['a unit that systemd does not know', systemdState('unknown'), false, false, false],
    [
      'a service that ended well',
      systemdState('dead', { exitCode: 1, invocation: 'run1' }),
      false,
      false,
      false,
    ],
    ['a service that failed', systemdState('failed'), false, false, false],
    ['a service between automatic restarts', systemdState('restarting'), false, true, false],
    [
      'the same in systemd 254 and later',
      systemdState('restarting', { sub: 'auto-restart-queued' }),
      false,
      true,
      false,
    ],
    ['a service that starts', systemdState('starting'), false, true, false],
    ['a oneshot at its work', systemdState('starting', { type: 'oneshot' }), false, true, false],
    ['a service that stops', systemdState('stopping'), false, true, false],
    ['a oneshot that succeeded', systemdState('finished'), true, false, true],
    [
      'a oneshot with RemainAfterExit= that was stopped',
      systemdState('finished', { remains: true }),
      false,
      false,
      false,
    ],
    ['a oneshot that failed', systemdState('failed', { type: 'oneshot' }), false, false, false],
    [
      'a oneshot that did not run since the machine booted',
      systemdState('finished', { invocation: '', exitCode: 0 }),
      false,
      false,
      false,
    ],
    [
      'a oneshot that was killed and stopped',
      systemdState('finished', { result: 'signal', exitCode: 2, exitStatus: 9 }),
      false,
      false,
      false,
    ],
    ['a unit that was masked while it ran', systemdState('running', { load: 'masked' }), true, true, false],
  ])('%s', (_, state, up, running, finished) => {
    expect({ up: isUp(state), running: isRunning(state), finished: isFinished(state) }).toEqual({
      up,
      running,
      finished,
    });
  });
});

describe('a start', () => {
  const run = (name: StateName, invocation: string, restarts = 0): SystemdState =>
    systemdState(name, { invocation, restarts });

  it.each<readonly [string, SystemdState, SystemdState, boolean]>([
    ['runs on', run('running', 'one'), run('running', 'one'), true],
    ['reloads meanwhile', run('running', 'one'), run('reloading', 'one'), true],
    ['becomes ready within the window', run('starting', 'one'), run('running', 'one'), true],
    ['runs on after restarts of another day', run('running', 'one', 4), run('running', 'one', 4), true],
    ['was restarted within the window', run('running', 'one'), run('running', 'two', 1), false],
    ['was restarted, by a systemd that does not count', run('running', 'one'), run('running', 'two'), false],
    ['was counted as restarted', run('running', 'one'), run('running', 'one', 1), false],
    ['died within the window', run('running', 'one'), run('failed', 'one'), false],
    ['ended within the window', run('running', 'one'), run('dead', 'one'), false],
    ['waits for its restart', run('running', 'one'), run('restarting', 'one'), false],
    ['was dead at once, and is up again', run('failed', 'one'), run('running', 'two', 1), false],
    ['is still starting', run('starting', 'one'), run('starting', 'one'), false],
    ['was a oneshot that succeeded', run('finished', 'one'), run('finished', 'one'), true],
    ['was skipped for a condition', run('dead', ''), run('dead', ''), false],
  ])('%s', (_, before, after, expected) => {
    expect(hasStarted(before, after)).toBe(expected);
  });
});

describe('foreign', () => {
  const name = 'a.service';
  it.each<readonly [string, ObservedUnit, boolean]>([
    ['ours', observedUnit(launched), false],
    [
      'ours, though systemd cannot read it',
      observedUnit(launched, { state: systemdState('dead', { load: 'bad-setting' }) }),
      false,
    ],
    ['ours, though its file is gone', observedUnit(launched, { state: systemdState('unknown') }), false],
    ['unknown', foreignUnit(name, { load: 'not-found', fragment: '' }), false],
    ['a unit of a package', foreignUnit(name), true],
    ['a slice, which needs no file', foreignUnit('a.slice', { fragment: '' }), false],
    ['a slice in use that has no file', foreignUnit('a.slice', { fragment: '', active: 'active' }), false],
    ['a slice of a package', foreignUnit('a.slice'), true],
    ['a slice that is masked', foreignUnit('a.slice', { load: 'masked', fragment: '' }), true],
    ['a unit of a package, running', foreignUnit(name, { active: 'active', sub: 'running' }), true],
    ['an instance of a template of a package', foreignUnit('a@1.service'), true],
    ['masked', foreignUnit(name, { load: 'masked' }), true],
    ['one that systemd cannot read', foreignUnit(name, { load: 'bad-setting' }), true],
    ['running, its file deleted', foreignUnit(name, { load: 'not-found', active: 'active' }), true],
    [
      'failed and gone: nothing is left of it',
      foreignUnit(name, { load: 'not-found', active: 'failed' }),
      false,
    ],
  ])('%s', (_, observed, expected) => {
    expect(isForeign(observed)).toBe(expected);
  });
});

describe('the state that was reached', () => {
  it.each<readonly [string, ObservedUnit, string]>([
    ['runs as wanted', observedUnit(launched), 'launched'],
    ['failed', observedUnit(launched, { state: systemdState('failed') }), 'loaded'],
    ['between restarts', observedUnit(launched, { state: systemdState('restarting') }), 'loaded'],
    ['a oneshot that succeeded', observedUnit(launched, { state: systemdState('finished') }), 'launched'],
    ['loaded as wanted', observedUnit(loaded), 'loaded'],
    ['runs, and was only to be loaded', observedUnit(loaded, { state: systemdState('running') }), 'loaded'],
    ['its file is gone', observedUnit(launched, { state: systemdState('unknown') }), 'inactive'],
    ['not ours', foreignUnit('a.service', { active: 'active' }), 'inactive'],
    [
      'noted as loaded, by the decision before',
      observedUnit(launched, { record: recordOf(loaded) }),
      'loaded',
    ],
  ])('%s', (_, observed, expected) => {
    expect(reachedState(observed)).toBe(expected);
  });
});
