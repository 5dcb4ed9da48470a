import { expect, it } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import { logEntry } from '../../src/output/log.ts';
import type { ControllerEvent } from '../../src/reconcile/events.ts';

const silence = (code: string, message: string) => ({ since: 0, code, message, hint: undefined });
const DENIED = new FleetError('registry-unavailable', 'The etcd registry refused: permission denied');

it.each<[ControllerEvent, string]>([
  [
    { kind: 'machine-lost', machine: 'm1', unreachable: silence('ssh-timeout', 'no answer') },
    'warning: machine "m1" does not answer: no answer',
  ],
  [
    { kind: 'machine-lost', machine: 'm1', unreachable: silence('ssh-host-key', 'its host key has changed') },
    'warning: machine "m1" cannot be used: its host key has changed',
  ],
  [
    {
      kind: 'lease-refused',
      machine: 'm1',
      error: new FleetError('machine-stopping', 'Machine "m1" is shutting down'),
    },
    'info: machine "m1" is shutting down',
  ],
  [
    { kind: 'election-failed', error: DENIED },
    `error: this controller cannot stand for election: ${DENIED.message}`,
  ],
  [
    { kind: 'leadership-given-up', trouble: 'no machine is reachable, of 3: refused' },
    'error: this controller gives up the leadership: no machine is reachable, of 3: refused',
  ],
  [
    { kind: 'pass-failed', units: ['a.service'], error: DENIED, again: false },
    `error: a pass failed: ${DENIED.message}`,
  ],
])('%o', (event, line) => {
  const entry = logEntry(event);
  expect(`${entry?.level}: ${entry?.message}`).toBe(line);
});

it('a pass that fails again for the same reason is no news', () => {
  expect(logEntry({ kind: 'pass-failed', units: [], error: DENIED, again: true })).toBeUndefined();
});
