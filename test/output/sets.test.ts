import { describe, expect, it } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import { planStatus } from '../../src/cli/exit-status.ts';
import type { PlannedUnit } from '../../src/operations/sets/changes.ts';
import type { SetPlan } from '../../src/operations/sets/plan.ts';
import { differenceLines } from '../../src/output/difference.ts';
import { changeText, countsText, reasonLines } from '../../src/output/sets/change.ts';
import { planMarkdown } from '../../src/output/sets/markdown.ts';
import { planLines, staleLines } from '../../src/output/sets/plan.ts';
import { RegistryView } from '../../src/registry/view.ts';
import { NOW } from '../support/builders.ts';

const UNIT: PlannedUnit = {
  unit: 'a.service',
  kind: 'new',
  path: 'units/a.service',
  text: undefined,
  target: { before: 'launched', after: 'launched' },
  machines: ['m1'],
  from: undefined,
  because: undefined,
  rejected: [],
  isUnschedulable: false,
  fits: 3,
  beside: undefined,
  global: false,
  oneshot: false,
  steps: [],
  confirmMs: undefined,
  basis: [],
};

const steps = (
  machine: string,
  ...kinds: PlannedUnit['steps'][number]['steps']
): PlannedUnit['steps'][number] => ({
  machine,
  steps: kinds,
  obstacle: undefined,
});

const RESTART = [steps('m1', 'stop', 'write', 'record', 'start')];
const REJECTED = [{ machine: 'm2', reason: { code: 'cordoned' } as const }];

describe('a change', () => {
  it.each<[string, Partial<PlannedUnit>]>([
    ['launched on m1, which has the fewest standard units of the 3 that fit', {}],
    ['launched on m1, the only machine that fits', { fits: 1 }],
    ['loaded on m1, with a.timer', { target: { before: undefined, after: 'loaded' }, beside: 'a.timer' }],
    ['stored in the registry', { target: { before: undefined, after: 'inactive' } }],
    ['launched on 2 of 3 machines', { global: true, machines: ['m1', 'm3'], rejected: REJECTED }],
    ['launched on no machine: no machine fits', { isUnschedulable: true, machines: [] }],
    ['new text, restarts on m1', { kind: 'changed', text: { before: '', after: '' }, steps: RESTART }],
    [
      'launched → loaded, stops on m1',
      {
        kind: 'changed',
        target: { before: 'launched', after: 'loaded' },
        steps: [steps('m1', 'stop', 'record')],
      },
    ],
    [
      'new text, is written to m1',
      { kind: 'changed', text: { before: '', after: '' }, steps: [steps('m1', 'write', 'record')] },
    ],
    ['moves from m2 to m1', { kind: 'moved', from: 'm2' }],
    ['restarts on m1: its file there differs', { kind: 'restarted', steps: RESTART }],
    [
      'loaded → launched, runs now on m1',
      {
        kind: 'changed',
        oneshot: true,
        target: { before: 'loaded', after: 'launched' },
        steps: [steps('m1', 'record', 'start')],
      },
    ],
    ['starts on m1: it is not running', { kind: 'started', steps: [steps('m1', 'record', 'start')] }],
    [
      'starts on m1, m2: it is not running, or stops with db.service',
      {
        kind: 'started',
        steps: [steps('m1', 'start'), { ...steps('m2', 'start'), stopsWith: 'db.service' }],
      },
    ],
    [
      'is repaired on m1: its file, links or record differ',
      { kind: 'repaired', steps: [steps('m1', 'record')] },
    ],
    ['stopped and removed from m1', { kind: 'removed', steps: [steps('m1', 'stop', 'remove')] }],
    ['removed from the registry', { kind: 'removed' }],
    [
      'launched on m1, the only machine that fits; confirmed within 30s, or reverted',
      { fits: 1, confirmMs: 30_000 },
    ],
  ])('%s', (text, change) => {
    expect(changeText({ ...UNIT, ...change })).toBe(text);
  });

  it('has its reasons below it', () => {
    const drained = { code: 'drained' } as const;
    expect(reasonLines({ ...UNIT, kind: 'moved', because: drained, rejected: REJECTED }, false)).toEqual([
      'it is drained',
    ]);
    expect(reasonLines({ ...UNIT, rejected: REJECTED }, false)).toEqual([]);
    expect(reasonLines({ ...UNIT, rejected: REJECTED }, true)).toEqual(['not m2: it is cordoned']);
    expect(reasonLines({ ...UNIT, isUnschedulable: true, rejected: REJECTED }, false)).toEqual([
      'not m2: it is cordoned',
    ]);
  });
});

const LONG = Array.from({ length: 30 }, (_, index) => `Environment=A=${index}\n`).join('');

const PLAN: SetPlan = {
  set: 'units',
  id: '0123456789abcdef-7',
  changes: [
    {
      ...UNIT,
      kind: 'changed',
      text: { before: '[Service]\n', after: `[Service]\n${LONG}` },
      steps: RESTART,
    },
    {
      ...UNIT,
      unit: 'b.service',
      target: { before: undefined, after: 'launched' },
      text: { before: undefined, after: 'x\n' },
    },
  ],
  unchanged: 4,
  edits: {
    units: [],
    scope: new Set(),
    pruned: [],
    left: ['old.service'],
    joined: ['j1.service', 'j2.service', 'j3.service', 'j4.service', 'j5.service'],
    held: [],
    problems: [],
  },
  skipped: ['units/notes.txt'],
  problems: [],
  before: new RegistryView(0, []),
  expected: { results: [], problems: [], differing: [], plans: [], unreachable: [] },
};

/** Lines without colours. */
function plain(lines: ReturnType<typeof planLines>): readonly string[] {
  return lines.map((line) =>
    typeof line === 'string'
      ? line
      : line.map((part) => (typeof part === 'string' ? part : part.text)).join(''),
  );
}

describe('a plan', () => {
  it('is short: differences are cut, and new texts are not shown', () => {
    const lines = plain(planLines(PLAN, { full: false, diff: differenceLines }));
    expect(lines.slice(0, 5)).toEqual([
      '~ a.service  new text, restarts on m1',
      '    --- registry:a.service',
      '    +++ units/a.service',
      '    @@ -1,1 +1,31 @@',
      '     [Service]',
    ]);
    expect(lines.slice(17)).toEqual([
      '    … 18 more lines: -v',
      '+ b.service  launched on m1, which has the fewest standard units of the 3 that fit',
      'Not in the folder, and left as they are: old.service (to end them: --prune)',
      'Join set "units": j1.service, j2.service, j3.service, j4.service and 1 more',
      'Skipped, not unit files: units/notes.txt',
      'Plan: 0123456789abcdef-7 (1 new, 1 changed, 4 unchanged)',
    ]);
  });

  it('is whole with -v', () => {
    const lines = plain(planLines(PLAN, { full: true, diff: differenceLines }));
    expect(lines).toContain('    +Environment=A=29');
    expect(lines).toContain('    +x');
    expect(lines.join('\n')).not.toContain('more');
  });

  it('has one line if nothing changes', () => {
    const edits = { ...PLAN.edits, left: [], joined: [] };
    const unchanged = { ...PLAN, changes: [], edits };
    expect(planLines(unchanged, { full: false, diff: differenceLines })).toEqual([
      'No changes: set "units" is as wanted (4 unchanged)',
    ]);
    expect(countsText(unchanged)).toBe('4 unchanged');
  });

  it('as Markdown has a table and folded differences, and quotes what the files say', () => {
    const evil = '```\n</details>\n';
    const changes = [
      { ...UNIT, kind: 'changed' as const, text: { before: '', after: evil }, steps: RESTART },
    ];
    const page = planMarkdown({ ...PLAN, changes }, differenceLines);
    expect(page).toContain('| <code>~</code> | <code>a.service</code> | new text, restarts on m1 |\n');
    expect(page).toContain('<details><summary><code>a.service</code></summary>\n\n````diff\n');
    expect(page).toContain('\n````\n\n</details>');
    expect(page).toContain('Plan <code>0123456789abcdef-7</code>');
    const edits = { ...PLAN.edits, left: [], joined: [] };
    expect(planMarkdown({ ...PLAN, changes: [], edits }, differenceLines)).toContain(
      'No changes (4 unchanged).',
    );
  });

  it('shows the same difference of a template and its instances once', () => {
    const text = { before: 'a\n', after: 'b\n' };
    const change = { ...UNIT, kind: 'changed' as const, text, steps: RESTART, path: 'units/web@.service' };
    const changes = [
      ...['web@.service', 'web@1.service'].map((unit) => ({ ...change, unit })),
      { ...change, unit: 'x.service', path: 'units/x.service' },
    ];
    const lines = plain(planLines({ ...PLAN, changes }, { full: false, diff: differenceLines }));
    expect(lines.filter((line) => line.includes('+++'))).toEqual([
      '    +++ units/web@.service',
      '    +++ units/x.service',
    ]);
    expect(planMarkdown({ ...PLAN, changes }, differenceLines)).toContain(
      '<summary><code>web@.service</code>, <code>web@1.service</code></summary>',
    );
  });

  it('that only joins units has its id', () => {
    const joins = { ...PLAN, changes: [] };
    expect(planLines(joins, { full: false, diff: differenceLines }).at(-1)).toBe(
      'Plan: 0123456789abcdef-7 (4 unchanged)',
    );
    const page = planMarkdown(joins, differenceLines);
    expect(page).toContain('Plan <code>0123456789abcdef-7</code>');
    expect(page).toContain('Join the set: <code>j1.service</code>, ');
    expect(planStatus(joins)).toBe(6);
  });

  it('with failures and without changes does not say that all is as wanted', () => {
    const error = new FleetError('contradiction', 'Cannot apply unit "a.service": it is held');
    const expected = { ...PLAN.expected, problems: [{ unit: 'a.service', error }] };
    const failing = { ...PLAN, changes: [], edits: { ...PLAN.edits, left: [], joined: [] }, expected };
    expect(planLines(failing, { full: false, diff: differenceLines })).toEqual([
      'No changes now (4 unchanged)',
    ]);
    expect(planMarkdown(failing, differenceLines)).toContain(
      'No changes now (4 unchanged).\n\n- Error: Cannot apply unit "a.service": it is held\n',
    );
    expect(planStatus(failing)).toBe(1);
  });

  it('that is stale names the changes since then, with their authors', () => {
    const event = { kind: 'text', unit: 'db.service', hash: '5d7d29e000' } as const;
    const events = [{ at: NOW - 180_000, by: 'user@host', event }];
    expect(staleLines('id', { events, isOtherRequest: false, hasWork: true }, NOW)).toEqual([
      'Error: Cannot apply plan id: it has changed since it was made',
      '  db.service has a new text, 5d7d29e: 3m ago by user@host',
      'hint: Check the new plan, and apply that one',
    ]);
    expect(staleLines('id', { events: [], isOtherRequest: false, hasWork: true }, NOW)[1]).toContain(
      'state of the machines',
    );
    expect(staleLines('id', { events: [], isOtherRequest: true, hasWork: true }, NOW).slice(1)).toEqual([
      '  The files or the options are not those of the plan',
      'hint: Give the options of the plan too, such as --prune; or check the new plan, and apply that one',
    ]);
    // There is no new plan to check, and nothing that changes would explain.
    expect(staleLines('id', { events, isOtherRequest: true, hasWork: false }, NOW)).toEqual([
      'Error: Cannot apply plan id: the files or the options are not those of the plan',
      'hint: With these, there is nothing to do; give the options of the plan too, such as --prune',
    ]);
  });
});
