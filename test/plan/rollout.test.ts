import { describe, expect, it } from 'vitest';
import type { ClusterSnapshot, DesiredUnit } from '../../src/cluster/snapshot.ts';
import { orderOf } from '../../src/plan/order.ts';
import { plan } from '../../src/plan/plan.ts';
import { rolloutsOf } from '../../src/plan/rollout.ts';
import {
  cluster,
  desiredUnit,
  idOf,
  observedUnit,
  recordOf,
  type StateName,
  systemdState,
} from '../support/builders.ts';

/** A copy on a machine: its text (`old` or `new`) and its state; undefined for none. */
type Copy = readonly ['old' | 'new', StateName] | undefined;

const OLD = '0'.repeat(64);

function observedAs(unit: DesiredUnit, copy: Copy) {
  if (copy === undefined) return [];
  const [text, state] = copy;
  const digest = text === 'new' ? unit.digest : OLD;
  // systemd shall not start a held text where it failed.
  const links = unit.held !== undefined && copy === BROKEN ? [] : [`fleet.target.wants/${unit.name}`];
  return [
    observedUnit(unit, { state: systemdState(state), digest, links, record: recordOf(unit, { digest }) }),
  ];
}

function snapshotWith(
  copies: readonly Copy[],
  options = '',
  changes: Partial<DesiredUnit> = {},
): ClusterSnapshot {
  const unit = { ...desiredUnit('g.service', `Global=true\n${options}`), ...changes };
  const builder = copies.reduce(
    (all, copy, index) => all.machine(`m${index + 1}`, {}, { units: observedAs(unit, copy) }),
    cluster(),
  );
  return { ...builder.snapshot(), units: [unit] };
}

/** The waves of the only unit: `m1 stop+write+record+start`, or the code of an obstacle. */
function waves(
  snapshot: ClusterSnapshot,
  unseen: readonly string[] = [],
  excluded: readonly string[] = [],
): readonly string[] {
  const machines = snapshot.machines.filter(({ machine }) => !excluded.includes(machine.name));
  const placements = new Map([['g.service', machines.flatMap(({ id }) => id ?? [])]]);
  const context = { unseen: new Map([['g.service', unseen]]) };
  const plans = plan(snapshot, placements, { rollouts: context });
  const rollouts = rolloutsOf(plans, { snapshot, placements, ...context });
  const order = orderOf({
    plans,
    snapshot,
    placements,
    leaving: new Map(),
    maxParallel: undefined,
    rollouts,
  });
  return order.map(({ plans: there }) =>
    there
      .flatMap(({ machine, changes }) =>
        changes.map(({ steps, obstacle }) => `${machine} ${obstacle?.code ?? steps.at(-1)?.kind}`),
      )
      .join(', '),
  );
}

const UP: Copy = ['old', 'running'];
const DOWN: Copy = ['old', 'failed'];
const DONE: Copy = ['new', 'running'];
const BROKEN: Copy = ['new', 'failed'];

describe('a new text', () => {
  it.each<[string, readonly Copy[], string, readonly string[]]>([
    ['goes to one copy after the other', [UP, UP, UP], '', ['m1 start', 'm2 start', 'm3 start']],
    [
      'goes to MaxParallel= copies at once',
      [UP, UP, UP],
      'MaxParallel=2',
      ['m1 start, m2 start', 'm3 start'],
    ],
    [
      'goes to a share of them',
      [UP, UP, UP, UP],
      'MaxParallel=50%',
      ['m1 start, m2 start', 'm3 start, m4 start'],
    ],
    ['goes to copies first that are down', [UP, DOWN, UP], '', ['m2 start', 'm1 start', 'm3 start']],
    ['counts copies that are down', [UP, DOWN, UP], 'MaxParallel=2', ['m2 start, m1 start', 'm3 start']],
    [
      'begins with the copy that another process has left',
      [UP, BROKEN, UP],
      '',
      ['m2 start', 'm1 start', 'm3 start'],
    ],
    [
      'is verified where it is before it goes further',
      [UP, DONE, UP],
      '',
      ['m2 watch', 'm1 start', 'm3 start'],
    ],
    [
      'reaches machines without a copy like those that are down',
      [UP, undefined, UP],
      '',
      ['m2 start', 'm1 start', 'm3 start'],
    ],
    ['starts everywhere at once if it replaces none', [undefined, undefined], '', ['m1 start, m2 start']],
    ['is not limited where it only has to be started again', [BROKEN, BROKEN], '', ['m1 start, m2 start']],
  ])('%s', (_, copies, options, expected) => {
    expect(waves(snapshotWith(copies, options))).toEqual(expected);
  });

  it('waits while as many copies may be down are on machines that do not answer', () => {
    expect(waves(snapshotWith([UP, UP]), ['m9'])).toEqual(['m1 gated, m2 gated']);
    expect(waves(snapshotWith([UP, UP], 'MaxParallel=2'), ['m9'])).toEqual(['m1 start', 'm2 start']);
    expect(waves(snapshotWith([UP, DOWN]), ['m9'])).toEqual(['m2 start, m1 gated']);
  });

  it('leaves copies on machines that it excludes until the others are updated', () => {
    expect(waves(snapshotWith([UP, UP]), [], ['m2'])).toEqual(['m1 start', 'm2 remove']);
    expect(waves(snapshotWith([DOWN, UP, UP]), ['m9'], ['m3'])).toEqual(['m1 start, m2 gated', 'm3 remove']);
    expect(waves(snapshotWith([UP, UP]), ['m9'], ['m2'])).toEqual(['m1 gated, m2 gated']);
    expect(waves(snapshotWith([DONE, UP]), ['m9'], ['m2'])).toEqual(['m2 remove']);
  });

  it('names the machines that do not answer', () => {
    const snapshot = snapshotWith([UP]);
    const rollouts = { unseen: new Map([['g.service', ['m9']]]) };
    const [{ changes = [] } = {}] = plan(snapshot, new Map([['g.service', [idOf('m1')]]]), { rollouts });
    expect(changes.map(({ obstacle }) => obstacle)).toEqual([
      { code: 'gated', limit: 1, down: [{ unit: 'g.service', machine: 'm9', isUnreachable: true }] },
    ]);
  });

  it('counts copies whose state is not known', () => {
    const odd = snapshotWith([UP, ['new', 'unknown'], UP]);
    expect(waves(odd)).toEqual(['m2 start', 'm1 start', 'm3 start']);
  });
});

describe('a held text', () => {
  const held = {
    at: 1,
    machines: [{ id: idOf('m1'), name: 'm1' }],
    cause: { kind: 'not-up', state: systemdState('failed') },
  } as const;
  const heldWith = (copies: readonly Copy[]): ClusterSnapshot => {
    const snapshot = snapshotWith(copies, '', { held });
    const [unit] = snapshot.units as [DesiredUnit];
    return {
      ...snapshot,
      keptTexts: [{ unit: { ...unit, text: '[Service]\n', digest: OLD }, isBase: true }],
    };
  };

  it('goes nowhere, and is not started again where it failed', () => {
    expect(waves(heldWith([BROKEN, UP, UP]))).toEqual(['m1 held, m2 held, m3 held']);
  });

  it('is not started by systemd where it failed', () => {
    const unlinked = ['m1 record', 'm2 held'];
    expect(waves(heldWith([['new', 'failed'], UP]))).toEqual([unlinked.join(', ')]);
    expect(waves(heldWith([['new', 'running'], UP]))).toEqual([unlinked.join(', ')]);
    const plans = plan(heldWith([['new', 'failed']]), new Map([['g.service', [idOf('m1')]]]));
    const [{ steps = [] } = {}] = plans.flatMap(({ changes }) => changes);
    expect(steps).toEqual([expect.objectContaining({ kind: 'record', links: [] })]);
  });

  it('is started again where it has been up', () => {
    expect(waves(heldWith([BROKEN, BROKEN, UP]))).toEqual(['m1 held, m2 start, m3 held']);
  });

  it('leaves the old text to copies that are down, and to machines without one', () => {
    const snapshot = heldWith([BROKEN, DOWN, undefined]);
    expect(waves(snapshot)).toEqual(['m1 held, m2 start, m3 start']);
    const placements = new Map([['g.service', ['m1', 'm2', 'm3'].map(idOf)]]);
    const written = plan(snapshot, placements).flatMap(({ changes }) =>
      changes.flatMap(({ steps }) => steps),
    );
    expect(written.flatMap((step) => (step.kind === 'record' ? step.record.digest : []))).toEqual([OLD, OLD]);
  });
});
