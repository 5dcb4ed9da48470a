import { describe, expect, it } from 'vitest';
import { interruptionLines, PassWatch, type Wait } from '../../src/output/pass-watch.ts';
import { liveLines, slowLine, waitText } from '../../src/output/progress.ts';
import type { PassEvent, PlannedChange } from '../../src/reconcile/events.ts';

type StepKind = PlannedChange['steps'][number];

const change = (unit: string, ...steps: readonly StepKind[]): PlannedChange => ({
  unit,
  token: 1,
  steps,
  obstacle: undefined,
});
const wait = (machine: string, ...changes: readonly PlannedChange[]): Wait => ({
  machine,
  changes,
  sinceMs: 0,
});
const START = change('a.service', 'write', 'record', 'start');
const TERMINAL = { columns: 80, rows: 24 };

describe('what is waited for, in words', () => {
  it.each<readonly [string, readonly PlannedChange[]]>([
    ['answer', []],
    ['start a.service', [START]],
    ['restart a.service', [change('a.service', 'restart')]],
    ['restart a.service', [change('a.service', 'stop', 'write', 'record', 'start')]],
    ['stop a.service', [change('a.service', 'stop', 'record')]],
    ['remove a.service', [change('a.service', 'stop', 'remove')]],
    ['load a.service', [change('a.service', 'write', 'record')]],
    ['record a.service', [change('a.service', 'record')]],
    [
      'start a.service, b.service and to stop c.service',
      [START, change('c.service', 'stop'), change('b.service', 'start')],
    ],
    [
      'start 0.service, 1.service, 2.service and 3 more units',
      [0, 1, 2, 3, 4, 5].map((index) => change(`${index}.service`, 'start')),
    ],
  ])('%s', (words, changes) => {
    expect(waitText(wait('m1', ...changes))).toBe(`Waiting for m1 to ${words}`);
  });
});

describe('progress', () => {
  const texts = (waits: readonly Wait[], nowMs: number, size = TERMINAL): readonly string[] =>
    liveLines(waits, nowMs, size).map(({ text }) => text);

  it('on a terminal is a line a machine, by name, with the time', () => {
    expect(texts([wait('m2'), wait('m1', START)], 12_300)).toEqual([
      'Waiting for m1 to start a.service  12s',
      'Waiting for m2 to answer  12s',
    ]);
  });

  it('is cut to less than the width, the time excepted', () => {
    expect(texts([wait('m1', START)], 1000, { columns: 24, rows: 24 })).toEqual(['Waiting for m1 to …  1s']);
  });

  it('counts characters that take two columns as two', () => {
    const [line] = liveLines([wait('機械機械機械', START)], 1000, { columns: 24, rows: 24 });
    expect(line).toEqual({ text: 'Waiting for 機械機…  1s', width: 23 });
  });

  it('has fewer lines than the terminal', () => {
    const waits = Array.from({ length: 9 }, (_, index) => wait(`m${index}`));
    expect(texts(waits, 1000, { columns: 80, rows: 4 })).toEqual([
      'Waiting for m0 to answer  1s',
      'Waiting for m1 to answer  1s',
      '… and 7 more machines',
    ]);
  });

  it('in a log tells the time when it is not the first line', () => {
    expect(slowLine(wait('m1', START), 3000, false)).toBe('Waiting for m1 to start a.service');
    expect(slowLine(wait('m1', START), 33_000, true)).toBe('Waiting for m1 to start a.service (33s)');
  });
});

describe('an interruption', () => {
  const outcome = (machine: string, unit: string, failed = false): PassEvent => ({
    kind: 'outcome',
    machine,
    unit,
    state: undefined,
    failure: failed ? { code: 'step', step: 'write', detail: 'No space left on device' } : undefined,
  });
  const sent = (machine: string, ...changes: readonly PlannedChange[]): PassEvent => ({
    kind: 'changes-sent',
    machine,
    changes,
  });
  const BEGUN: PassEvent = { kind: 'pass-begun', scope: 'everything' };
  const PLANNED: PassEvent = {
    kind: 'planned',
    waves: [
      [
        { machine: 'm1', changes: [START, change('b.service', 'start')] },
        { machine: 'm2', changes: [START] },
      ],
      [{ machine: 'm3', changes: [START] }],
    ],
  };
  const HINT = 'hint: To see the state: fleetctl list-units; to continue, run the same command again';

  function said(events: readonly PassEvent[], dryRun = false): readonly string[] {
    const watch = new PassWatch();
    for (const event of events) watch.note(event, 0);
    return interruptionLines(watch, dryRun, 3000);
  }

  it('of a command that changes nothing is just that', () => {
    expect(said([{ kind: 'machine-asked', machine: 'm1' }])).toEqual(['Interrupted.']);
    expect(said([BEGUN, PLANNED, sent('m1', START)], true)).toEqual(['Interrupted. Nothing was changed.']);
  });

  it('before the first change says what stands in the registry', () => {
    expect(said([BEGUN])).toEqual([
      'Interrupted before any machine was changed. The request is stored in the registry.',
      HINT,
    ]);
  });

  it('in the window of Confirm= says that the machine reverts the change, and when', () => {
    const armed = { ...change('b.service', 'arm', 'start'), confirmMs: 30_000 };
    expect(said([BEGUN, sent('m1', START, armed), outcome('m1', 'a.service')])).toEqual([
      'Interrupted. Machines complete the work that they have received.',
      'Done on "m1": a.service',
      'In progress on "m1": b.service',
      'Not confirmed on "m1": b.service; the machine reverts it in 27s, unless fleetd runs this command and confirms it',
      `${HINT}, with --retry after a revert`,
    ]);
    expect(said([BEGUN, sent('m1', armed), outcome('m1', 'b.service')]).join()).not.toContain('reverts');
  });

  it('in the middle tells of every unit on every machine', () => {
    const events = [
      BEGUN,
      PLANNED,
      sent('m1', START, change('b.service', 'start')),
      sent('m2', START),
      outcome('m1', 'a.service'),
      outcome('m1', 'b.service', true),
    ];
    expect(said(events)).toEqual([
      'Interrupted. Machines complete the work that they have received.',
      'Done on "m1": a.service',
      'Failed on "m1": b.service: could not write the unit file: "No space left on device"',
      'In progress on "m2": a.service',
      'Not started on "m3": a.service',
      HINT,
    ]);
  });
});
