import { describe, expect, it } from 'vitest';
import { type ErrorCode, FleetError } from '../../src/base/errors.ts';
import { EXIT, exitStatusOf, requestStatus } from '../../src/cli/exit-status.ts';
import type { RequestResult, UnitResult } from '../../src/operations/unit-result.ts';
import { systemdState } from '../support/builders.ts';

/** The status of every error, by what it means to the person who typed the command. */
const STATUSES: { readonly [code in ErrorCode]: number } = {
  // Something failed.
  'unit-file': 1,
  placement: 1,
  'not-loaded': 1,
  contradiction: 1,
  overruled: 1,
  'registry-corrupt': 1,
  'registry-newer': 1,
  'registry-unavailable': 1,
  'registry-locked': 1,
  'registry-conflict': 1,
  'registry-outdated': 1,
  'not-recoverable': 1,
  'not-copyable': 1,
  'remote-script': 1,
  'bad-answer': 1,
  'machine-stopping': 1,
  'become-password': 1,
  'become-refused': 1,
  'become-denied': 1,
  'become-tty': 1,
  'become-missing': 1,
  'cannot-listen': 1,
  endpoint: 1,
  install: 1,
  output: 1,
  // The command line or the configuration is wrong.
  usage: 2,
  config: 2,
  'unit-name': 2,
  'machine-untrusted': 1,
  // There is no such thing.
  'unit-not-found': 4,
  'machine-not-found': 4,
  // A machine did not answer.
  'registry-no-majority': 5,
  'ssh-name': 5,
  'ssh-refused': 5,
  'ssh-timeout': 5,
  'ssh-host-key': 5,
  'ssh-authentication': 5,
  'ssh-lost': 5,
  'ssh-turned-away': 5,
  'ssh-local': 5,
  interrupted: 130,
  local: 1,
  defect: 1,
};

describe('the exit status of an error', () => {
  it.each(Object.entries(STATUSES))('%s: %d', (code, status) => {
    expect(exitStatusOf(new FleetError(code as ErrorCode, 'x'))).toBe(status);
  });

  it('of another kind is 1', () => {
    expect(exitStatusOf(new Error('x'))).toBe(1);
    expect(exitStatusOf('x')).toBe(1);
  });
});

it('the numbers are those that are documented', () => {
  expect(EXIT).toMatchObject({ done: 0, failed: 1, usage: 2, notFound: 4, unreachable: 5, interrupted: 130 });
  expect(new Set(Object.values(EXIT)).size).toBe(Object.keys(EXIT).length);
});

describe('the exit status of a request', () => {
  const machine = { name: 'm1', id: undefined, address: '10.0.0.1' };
  const result = (changes: Partial<UnitResult>): UnitResult => ({
    unit: 'a.service',
    target: 'launched',
    global: false,
    machines: [machine],
    triggered: [],
    triggers: [],
    ran: [],
    outdated: [],
    eligible: 1,
    failures: [],
    violation: undefined,
    unschedulable: false,
    rejected: [],
    ...changes,
  });
  const problem = (code: ErrorCode) => ({ unit: 'p.service', error: new FleetError(code, 'x') });
  const fine = result({});
  const silent = result({
    failures: [{ machine, failure: { code: 'unreachable', message: 'x', hint: undefined, mayBeDown: true } }],
  });
  const down = result({
    failures: [
      { machine, failure: { code: 'not-up', state: systemdState('failed'), detail: '', journal: [] } },
    ],
  });
  const gated = (...silences: readonly boolean[]): UnitResult => {
    const copies = silences.map((isUnreachable) => ({ unit: 'a.service', machine: 'm2', isUnreachable }));
    return result({ failures: [{ machine, failure: { code: 'gated', limit: 1, down: copies } }] });
  };
  const lost = result({ unschedulable: true, machines: [], eligible: 0 });
  const lostGlobal = result({ global: true, machines: [], eligible: 0 });
  const request = (
    results: readonly UnitResult[],
    problems: RequestResult['problems'] = [],
    differing: RequestResult['differing'] = [],
  ): RequestResult => ({ results, problems, differing, plans: [], unreachable: [] });

  it.each<readonly [string, number, RequestResult]>([
    ['nothing asked, nothing failed', 0, request([])],
    ['everything holds', 0, request([fine, fine])],
    [
      'a file that differs is only a warning',
      0,
      request([fine], [], [{ unit: 'a', path: 'a', registryText: '', fileText: ' ' }]),
    ],
    ['a unit that is not up', 1, request([fine, down])],
    ['a unit that fits nowhere', 1, request([fine, lost])],
    ['a global unit that fits nowhere', 1, request([lostGlobal])],
    ['a global unit that is wanted nowhere', 0, request([{ ...lostGlobal, target: 'inactive' }])],
    ['a unit file that is no good', 1, request([fine], [problem('unit-file')])],
    ['a unit that is not loaded', 1, request([], [problem('not-loaded')])],
    ['a unit that is not there', 4, request([fine], [problem('unit-not-found')])],
    ['an unreachable machine', 5, request([fine, silent])],
    ['a copy that waits for one on an unreachable machine', 5, request([silent, gated(true)])],
    ['a copy that waits for one that is not up, too', 1, request([silent, gated(true, false)])],
    [
      'a machine that has left fleet.conf',
      5,
      request([result({ machines: [], violation: { code: 'machine-removed', machine: 'a'.repeat(32) } })]),
    ],
    ['a failure outweighs a missing unit', 1, request([down], [problem('unit-not-found')])],
    ['a failure outweighs an unreachable machine', 1, request([silent, down])],
    ['a missing unit outweighs an unreachable machine', 4, request([silent], [problem('unit-not-found')])],
    [
      'a wrong command line outweighs all',
      2,
      request([down, silent], [problem('usage'), problem('unit-not-found')]),
    ],
    [
      'every failure of a machine except unreachable is a failure',
      1,
      request([result({ failures: [{ machine, failure: { code: 'locked' } }] })]),
    ],
  ])('%s', (_, status, asked) => {
    expect(requestStatus(asked)).toBe(status);
  });
});
