import { describe, expect, it } from 'vitest';
import { ApiError } from '../../src/api/call.ts';
import {
  answerLine,
  type PassAnswer,
  readAnswer,
  readRequest,
  requestText,
} from '../../src/api/pass-lines.ts';
import { FleetError } from '../../src/base/errors.ts';
import type { Failure, UnitOutcome } from '../../src/cluster/failure.ts';
import type { Step } from '../../src/plan/step.ts';
import type { PassEvent } from '../../src/reconcile/events.ts';
import type { PassRequest, ReconcileReport } from '../../src/reconcile/pass.ts';
import type { Decision } from '../../src/schedule/decision.ts';
import {
  cluster,
  desiredUnit,
  idOf,
  NOW,
  observedUnit,
  recordOf,
  systemdState,
} from '../support/builders.ts';

/** What the other side reads of an answer. */
function passed(answer: PassAnswer): PassAnswer | undefined {
  const line = answerLine(answer);
  expect(line.indexOf('\n')).toBe(line.length - 1);
  return readAnswer(line.slice(0, -1));
}

const UNIT = desiredUnit('a.service');
const REASON = {
  code: 'conflict',
  unit: 'b.service',
  pattern: 'b*',
  declaredBy: 'this',
  global: false,
} as const;
const REJECTED = [{ machine: 'm1', reason: REASON }];
const TIE = {
  unit: 'b.service',
  declaredBy: 'b.service',
  dependency: { kind: 'Conflicts', unit: 'a.service', source: 'Conflicts=a.service' },
} as const;
const UNREACHABLE = { since: NOW, code: 'ssh-timeout', message: 'No answer', hint: undefined };

const EVENTS: { readonly [K in PassEvent['kind']]: Extract<PassEvent, { kind: K }> } = {
  'pass-begun': { kind: 'pass-begun', scope: new Set(['a.service']) },
  'machine-asked': { kind: 'machine-asked', machine: 'm1' },
  'machine-answered': { kind: 'machine-answered', machine: 'm1', id: idOf('m1') },
  'machine-unreachable': {
    kind: 'machine-unreachable',
    machine: 'm1',
    id: undefined,
    unreachable: UNREACHABLE,
  },
  decided: {
    kind: 'decided',
    unit: 'a.service',
    decision: 'move',
    from: { id: idOf('m1'), machine: undefined },
    to: { id: idOf('m2'), machine: 'm2' },
    because: REASON,
    token: 7,
  },
  planned: { kind: 'planned', waves: [[{ machine: 'm1', changes: [] }]] },
  'wave-begun': { kind: 'wave-begun', wave: 1, waves: 2 },
  'changes-sent': {
    kind: 'changes-sent',
    machine: 'm1',
    changes: [{ unit: 'a.service', token: 7, steps: ['stop'], obstacle: { code: 'foreign', path: '/x' } }],
  },
  outcome: { kind: 'outcome', unit: 'a.service', machine: 'm1', state: undefined, failure: undefined },
  'former-registry': { kind: 'former-registry', machine: 'm1', revision: 7 },
  voters: { kind: 'voters', gone: ['m1'], come: ['m2'] },
  'pass-done': { kind: 'pass-done', failures: 1, ms: 12 },
};

const FAILURES: { readonly [C in Failure['code']]: Extract<Failure, { code: C }> } = {
  foreign: { code: 'foreign', path: '/x' },
  unrecorded: { code: 'unrecorded', path: '' },
  'alias-taken': { code: 'alias-taken', alias: 'b.service', path: '/x' },
  stale: { code: 'stale', token: 1, seen: 2 },
  overtaken: { code: 'overtaken', token: 1, seen: 2 },
  'other-cluster': { code: 'other-cluster', cluster: 'c' },
  unknown: { code: 'unknown', detail: 'why' },
  excluded: { code: 'excluded', tie: TIE },
  waits: { code: 'waits', unit: 'b.service' },
  held: {
    code: 'held',
    hash: 'a'.repeat(40),
    held: {
      at: 1,
      machines: [{ id: idOf('m1'), name: 'm1' }],
      cause: { kind: 'not-up', state: systemdState('failed') },
    },
  },
  gated: { code: 'gated', limit: 1, down: [{ unit: 'a.service', machine: 'm2', isUnreachable: true }] },
  fenced: { code: 'fenced', reason: { code: 'lease-may-hold', machine: 'm2', forMs: undefined } },
  locked: { code: 'locked', holder: { pid: 1, user: 'root', command: 'sh' } },
  tools: { code: 'tools', tools: ['flock'] },
  step: { code: 'step', step: 'write', detail: 'two\nlines' },
  'not-down': { code: 'not-down', state: 'active', again: true, causes: [], detail: '', journal: ['x'] },
  queued: { code: 'queued', waitsFor: ['db.service/start'] },
  unverified: { code: 'unverified' },
  'not-up': { code: 'not-up', state: systemdState('failed'), detail: '', journal: ['ü\u2028'] },
  unhealthy: { code: 'unhealthy', what: 'command', withinMs: 30_000, lines: ['x'] },
  'awaits-confirmation': { code: 'awaits-confirmation', leftMs: 1500 },
  unconfirmed: {
    code: 'unconfirmed',
    windowMs: 30_000,
    reverted: 'timeout',
    cause: { code: 'unverified' },
  },
  unreachable: { code: 'unreachable', message: 'lost', hint: undefined, mayBeDown: true },
};

const DECISIONS: { readonly [K in Decision['kind']]: Extract<Decision, { kind: K }> } = {
  place: { kind: 'place', unit: 'a.service', machine: idOf('m1'), rejected: REJECTED },
  keep: {
    kind: 'keep',
    unit: 'a.service',
    machine: idOf('m1'),
    violation: REASON,
    stays: { code: 'no-other' },
  },
  move: {
    kind: 'move',
    unit: 'a.service',
    from: idOf('m1'),
    machine: idOf('m2'),
    because: REASON,
    rejected: REJECTED,
  },
  release: { kind: 'release', unit: 'a.service', from: undefined },
  unschedulable: { kind: 'unschedulable', unit: 'a.service', rejected: REJECTED },
  global: { kind: 'global', unit: 'a.service', machines: [idOf('m1')], rejected: REJECTED },
};

const LEASE = { bootId: 'b', deadline: 12.5 };
const STEPS: { readonly [K in Step['kind']]: Extract<Step, { kind: K }> } = {
  arm: { kind: 'arm', windowMs: 30_000, hash: UNIT.hash, digest: UNIT.digest },
  stop: { kind: 'stop' },
  write: { kind: 'write', text: UNIT.text, altered: 'masked', under: LEASE },
  adopt: { kind: 'adopt', record: recordOf(UNIT) },
  record: { kind: 'record', record: recordOf(UNIT), links: ['x.wants/a.service'], fence: '[Unit]' },
  start: { kind: 'start', under: undefined },
  watch: { kind: 'watch' },
  restart: { kind: 'restart', under: LEASE },
  check: { kind: 'check' },
  forbid: { kind: 'forbid' },
  remove: { kind: 'remove' },
};

const OUTCOMES = Object.values(FAILURES).map(
  (failure): UnitOutcome => ({ unit: 'a.service', machine: 'm1', state: systemdState('running'), failure }),
);

function report(): ReconcileReport {
  const other = desiredUnit('other.service');
  const snapshot = cluster().machine('m1').machine('m2').unit('a.service').unit('other.service').snapshot();
  const [first, ...rest] = snapshot.machines;
  if (first?.observation === undefined) throw new Error('no machine');
  const units = [observedUnit(UNIT), observedUnit(other)];
  const machines = [{ ...first, observation: { ...first.observation, units } }, ...rest];
  const change = { unit: 'a.service', token: 7, steps: Object.values(STEPS), obstacle: undefined };
  const waves = [[{ machine: 'm1', changes: [change] }], [{ machine: 'm2', changes: [change] }]];
  return {
    snapshot: { ...snapshot, machines, cordons: new Map([['m1', 'all']]) },
    decisions: Object.values(DECISIONS),
    plans: waves.flat(),
    outcomes: OUTCOMES,
    waves,
  };
}

describe('an answer', () => {
  it.each(Object.values(EVENTS))('has the event $kind unchanged', (event) => {
    expect(passed({ kind: 'event', event })).toEqual({ kind: 'event', event });
  });

  it.each(OUTCOMES)('has the outcome $failure.code unchanged', (outcome) => {
    const event: PassEvent = { kind: 'outcome', ...outcome };
    expect(passed({ kind: 'event', event })).toEqual({ kind: 'event', event });
  });

  it('has an error with its code and hint', () => {
    const error = new FleetError('registry-outdated', 'The registry is older', {
      hint: 'Put a newer one back',
    });
    const read = passed({ kind: 'error', error });
    expect(read?.kind === 'error' && read.error).toMatchObject({
      code: 'registry-outdated',
      message: 'The registry is older',
      hint: 'Put a newer one back',
    });
  });

  it('has a report without the texts and observations of other units', () => {
    const sent = report();
    const read = passed({ kind: 'report', report: sent });
    if (read?.kind !== 'report') throw new Error('no report');
    const { snapshot, ...rest } = read.report;
    const { snapshot: before, ...same } = sent;
    expect(rest).toEqual(same);
    expect(snapshot.cordons).toEqual(before.cordons);
    expect(snapshot.units.map(({ name, text }) => [name, text !== ''])).toEqual([
      ['a.service', true],
      ['other.service', false],
    ]);
    expect(snapshot.units[0]).toEqual(before.units[0]);
    expect(snapshot.machines[0]?.observation?.units).toEqual([observedUnit(UNIT)]);
  });

  it.each(['', '{', '[]', 'null', '{"kind":"ready","version":1}', '{"kind":"other"}', '<html>'])(
    'is not %s',
    (line) => {
      expect(readAnswer(line)).toBeUndefined();
    },
  );
});

const REQUEST: PassRequest = {
  units: new Set(['a.service', 'web@1.service']),
  actions: new Map([['a.service', 'start']]),
  maxParallel: 3,
  waits: { blocks: true, ms: 1_500, settleMs: 500 },
  author: 'me@here',
  clusterId: 'c',
  revision: 12,
};

describe('a request', () => {
  it('is read as it was sent', () => {
    expect(readRequest(requestText(REQUEST))).toEqual(REQUEST);
    const least = {
      ...REQUEST,
      actions: new Map(),
      maxParallel: undefined,
      waits: { blocks: false, ms: undefined, settleMs: 0 },
      clusterId: undefined,
    };
    expect(readRequest(requestText(least))).toEqual(least);
  });

  it.each<readonly [string, object]>([
    ['another version', { version: 1 }],
    ['a unit that is none', { units: ['../etc/passwd'] }],
    ['a unit that is no text', { units: [7] }],
    ['no units', { units: {} }],
    ['an unknown question', { actions: [['a.service', 'explode']] }],
    ['a question without a unit', { actions: [['start']] }],
    ['a part of a copy', { maxParallel: 0.5 }],
    ['a negative wait', { waits: { blocks: true, settleMs: -1 } }],
    ['an endless wait', { waits: { blocks: true, settleMs: 0, ms: 1e12 } }],
    ['no waits', { waits: undefined }],
    ['a long name of a user', { author: 'x'.repeat(2_000) }],
    ['no revision', { revision: null }],
  ])('with %s is refused', (_, change) => {
    const text = JSON.stringify({ ...JSON.parse(requestText(REQUEST)), ...change });
    expect(() => readRequest(text)).toThrow(ApiError);
  });

  it('that is not JSON is refused', () => {
    expect(() => readRequest('{')).toThrow(ApiError);
  });
});
