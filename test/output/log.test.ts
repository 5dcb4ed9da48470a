import { expect, it } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import { logEntry } from '../../src/output/log.ts';
import type { ControllerEvent } from '../../src/reconcile/events.ts';
import type { Stay } from '../../src/schedule/decision.ts';

const silence = (code: string, message: string) => ({ since: 0, code, message, hint: undefined });
const HELD = {
  at: 1,
  machines: [],
  cause: { kind: 'unhealthy', what: 'command', withinMs: 1 },
} as const;
const stuck = (stays: Stay): ControllerEvent => ({
  kind: 'stuck',
  decision: { kind: 'keep', unit: 'a.service', machine: 'm1', violation: { code: 'drained' }, stays },
});
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
  [
    stuck({ code: 'no-other' }),
    'warning: unit a.service should leave its machine, but no other machine fits: it is drained',
  ],
  [
    stuck({ code: 'is-up' }),
    'warning: unit a.service should leave its machine, but the machine is up and may run it: it is drained',
  ],
  [
    stuck({ code: 'held', hash: '5d7d29e00', held: HELD }),
    'warning: unit a.service should leave its machine, but text 5d7d29e is held, and there is no older one: it is drained',
  ],
])('%o', (event, line) => {
  const entry = logEntry(event);
  expect(`${entry?.level}: ${entry?.message}`).toBe(line);
});

it('a pass that fails again for the same reason is no news', () => {
  expect(logEntry({ kind: 'pass-failed', units: [], error: DENIED, again: true })).toBeUndefined();
});
