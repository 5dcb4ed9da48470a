import { describe, expect, it } from 'vitest';
import type { ClusterSnapshot } from '../../src/cluster/snapshot.ts';
import { orderOf } from '../../src/plan/order.ts';
import type { MachinePlan, Step, Wave } from '../../src/plan/step.ts';
import { cluster, idOf } from '../support/builders.ts';

const RESTART: readonly Step[] = [{ kind: 'restart' }];
const START: readonly Step[] = [{ kind: 'write', text: '' }, { kind: 'start' }];
const REMOVE: readonly Step[] = [{ kind: 'stop' }, { kind: 'remove' }];

/** `m1: b a` as a plan with these steps for its units; `-b` is one that is removed. */
function planOf(text: string, steps = START): MachinePlan {
  const [machine = '', units = ''] = text.split(': ');
  const changes = units.split(' ').map((word) => ({
    unit: nameOf(word.replace('-', '')),
    token: 1,
    steps: word.startsWith('-') ? REMOVE : steps,
    obstacle: undefined,
  }));
  return { machine, changes };
}

function nameOf(word = ''): string {
  return word.includes('.') ? word : `${word}.service`;
}

function words(waves: readonly Wave[]): readonly string[] {
  return waves.map(({ plans }) =>
    plans
      .map(({ machine, changes }) => {
        const units = changes.map(
          ({ unit, steps }) =>
            (steps === REMOVE ? '-' : steps[0]?.kind === 'check' ? '?' : '') + unit.replace('.service', ''),
        );
        return `${machine}: ${units.join(' ')}`;
      })
      .join(', '),
  );
}

/** `moves` are words such as `a m1 m2`: from m1 to m2; `a m1` gives way. */
function order(
  plans: readonly MachinePlan[],
  options: { snapshot?: ClusterSnapshot; moves?: readonly string[]; maxParallel?: number } = {},
): readonly Wave[] {
  const moves = (options.moves ?? []).map((move) => move.split(' '));
  return orderOf({
    plans,
    snapshot: options.snapshot ?? machines().snapshot(),
    placements: new Map(moves.map(([unit, , to]) => [nameOf(unit), to === undefined ? [] : [idOf(to)]])),
    leaving: new Map(moves.map(([unit, from = '']) => [nameOf(unit), idOf(from)])),
    maxParallel: options.maxParallel,
  });
}

const machines = () => cluster().machine('m1').machine('m2').machine('m3');

describe('the order of work', () => {
  it('is one wave where nothing depends on anything', () => {
    expect(words(order(['m1: a', 'm2: a b'].map((text) => planOf(text))))).toEqual(['m1: a, m2: a b']);
    expect(order([])).toEqual([]);
  });

  it('has the new copy up before the old one goes', () => {
    const plans = [planOf('m1: -a b'), planOf('m2: a')];
    expect(words(order(plans, { moves: ['a m1 m2'] }))).toEqual(['m1: ?a', 'm1: b, m2: a', 'm1: -a']);
  });

  it('continues a move that another pass has decided', () => {
    const placements = new Map([['a.service', [idOf('m2')]]]);
    const plans = [planOf('m1: -a b'), planOf('m2: a')];
    const request = { plans, snapshot: machines().snapshot(), placements, maxParallel: undefined };
    expect(words(orderOf({ ...request, leaving: new Map() }))).toEqual(['m1: ?a', 'm1: b, m2: a', 'm1: -a']);
  });

  it('stops a unit first that may never run twice', () => {
    const snapshot = machines().unit('a.service', 'Conflicts=a.service').snapshot();
    const plans = [planOf('m1: -a'), planOf('m2: a')];
    expect(words(order(plans, { snapshot, moves: ['a m1 m2'] }))).toEqual(['m1: -a', 'm2: a']);
  });

  it.each([
    ['what upholds it', 'Upholds=a.service', ['z.service', '']],
    ['a timer that starts it', '', ['a.timer', '']],
    ['what upholds its keeper', 'Upholds=y.service', ['z.service', '[Unit]\nUpholds=a.service\n']],
  ])('stops %s with it', (_, upholds, [name = '', y]) => {
    const service = '[Service]\nExecStart=/bin/true\n';
    const keeper = name.endsWith('.timer') ? {} : { text: `[Unit]\n${upholds}\n${service}` };
    const scene = machines().unit('a.service', 'Conflicts=a.service').unit(name, '', keeper);
    const snapshot = (y === '' ? scene : scene.unit('y.service', '', { text: `${y}${service}` })).snapshot();
    const units = ['a', name.replace('.service', ''), ...(y === '' ? [] : ['y'])];
    const plans = [planOf(`m1: -${units.join(' -')}`), planOf(`m2: ${units.join(' ')}`)];
    const waves = order(plans, { snapshot, moves: units.map((unit) => `${unit} m1 m2`) });
    const ordered = [...units.slice(1), 'a'];
    expect(words(waves)).toEqual([`m1: -${ordered.join(' -')}`, `m2: ${ordered.join(' ')}`]);
  });

  it('lets a unit in only when the one that it replaces has come up elsewhere and left', () => {
    const snapshot = machines().unit('new.service', 'Replaces=old.service').unit('old.service').snapshot();
    const plans = [planOf('m1: -old new'), planOf('m2: old')];
    const waves = order(plans, { snapshot, moves: ['old m1 m2'] });
    expect(words(waves)).toEqual(['m1: ?old', 'm2: old', 'm1: -old', 'm1: new']);
    expect(waves.at(-1)?.waitsFor).toEqual(new Map([['new.service', ['old.service']]]));
  });

  it('lets a unit in when the one that it replaces fits nowhere else and has left', () => {
    const snapshot = machines().unit('new.service', 'Replaces=old.service').unit('old.service').snapshot();
    const waves = order([planOf('m1: -old new')], { snapshot, moves: ['old m1'] });
    expect(words(waves)).toEqual(['m1: -old', 'm1: new']);
  });
});

describe('a change to confirm', () => {
  const ARMED: readonly Step[] = [{ kind: 'arm', windowMs: 5000, hash: '', digest: '' }, ...START];
  const RUNS = 'ExecStart=/bin/true';
  /** `+a` is a unit whose change has to be confirmed. */
  const planned = (text: string): MachinePlan => {
    const { machine, changes } = planOf(text.replaceAll('+', ''));
    const armed = text.split(/[ :]+/).flatMap((word) => (word.startsWith('+') ? nameOf(word.slice(1)) : []));
    return {
      machine,
      changes: changes.map((change) => (armed.includes(change.unit) ? { ...change, steps: ARMED } : change)),
    };
  };

  it.each<[string, readonly string[], readonly string[]]>([
    ['comes after other work', ['m1: +a b'], ['m1: b', 'm1: a']],
    ['is alone with another one', ['m1: +a +c b'], ['m1: b', 'm1: a', 'm1: c']],
    ['is made on all machines at once', ['m1: +a b', 'm2: +a', 'm3: +c'], ['m1: b', 'm1: a, m2: a, m3: c']],
    ['needs no other piece if it is alone', ['m1: +a'], ['m1: a']],
    ['takes the units with it that stop with it', ['m1: +a b y'], ['m1: b', 'm1: a y']],
  ])('%s', (_, plans, expected) => {
    const snapshot = machines()
      .unit('a.service')
      .unit('y.service', '', { text: `[Unit]\nBindsTo=a.service\n[Service]\n${RUNS}\n` })
      .snapshot();
    const waves = order(plans.map(planned), { snapshot });
    expect(words(waves)).toEqual(expected);
    expect(waves.map(({ piece }) => piece)).toEqual(expected.map((__, index) => index));
  });

  it('comes alone in a piece of a limited size, too', () => {
    expect(words(order([planned('m1: +a b +c d')], { maxParallel: 3 }))).toEqual([
      'm1: b',
      'm1: a',
      'm1: c',
      'm1: d',
    ]);
  });

  it.each([undefined, 1])('is made before its machine gets what replaces it (limit %s)', (maxParallel) => {
    const snapshot = machines().unit('new.service', 'Replaces=old.service').unit('old.service').snapshot();
    const waves = order([planOf('m1: -old new'), planned('m2: +old')], {
      snapshot,
      moves: ['old m1 m2'],
      ...(maxParallel !== undefined && { maxParallel }),
    });
    expect(words(waves)).toEqual(['m1: ?old', 'm2: old', 'm1: -old', 'm1: new']);
  });
});

describe('with a limit', () => {
  const plans = ['m2: b a', 'm1: a c'].map((text) => planOf(text, RESTART));

  it.each([
    [1, ['m1: a', 'm2: a', 'm2: b', 'm1: c']],
    [2, ['m1: a, m2: a', 'm2: b, m1: c']],
    [3, ['m1: a, m2: a b', 'm1: c']],
    [100, ['m1: a c, m2: a b']],
  ])('of %d the work goes by unit, then by machine, and everything comes once', (maxParallel, expected) => {
    const waves = order(plans, { maxParallel });
    expect(words(waves)).toEqual(expected);
    expect(waves.every(({ isGate }) => isGate)).toBe(true);
  });

  it('each move is finished before the next one begins', () => {
    const moving = [planOf('m1: -a -b'), planOf('m2: a'), planOf('m3: b')];
    const waves = order(moving, { moves: ['a m1 m2', 'b m1 m3'], maxParallel: 1 });
    expect(words(waves)).toEqual(['m1: ?a', 'm2: a', 'm1: -a', 'm1: ?b', 'm3: b', 'm1: -b']);
    expect(waves.flatMap(({ finishes }, index) => (finishes ? index : []))).toEqual([2, 5]);
    expect(waves.flatMap(({ isCheck }, index) => (isCheck ? index : []))).toEqual([0, 3]);
  });

  it('what others ask to be beside comes first, and a trigger goes with the unit that it starts', () => {
    const snapshot = machines()
      .unit('a.service', 'MachineOf=b.service')
      .unit('b.service')
      .unit('c.timer')
      .unit('c.service')
      .snapshot();
    const moving = [planOf('m2: a b c.timer c')];
    expect(words(order(moving, { snapshot, maxParallel: 1 }))).toEqual(['m2: b', 'm2: c.timer c', 'm2: a']);
  });

  it('what upholds a unit goes with it, and comes before it on each machine', () => {
    const upholding = { text: '[Unit]\nUpholds=a.service b.service\n[Service]\nExecStart=/bin/true\n' };
    const snapshot = machines()
      .unit('a.service')
      .unit('b.service')
      .unit('c.service')
      .unit('z.service', '', upholding)
      .snapshot();
    const moving = [planOf('m1: -a -b -c -z'), planOf('m2: a b z c')];
    const moves = ['a m1 m2', 'b m1 m2', 'z m1 m2', 'c m1 m2'];
    expect(words(order(moving, { snapshot, moves, maxParallel: 2 }))).toEqual([
      'm1: ?z ?a ?b',
      'm2: z a b',
      'm1: -z -a -b',
      'm1: ?c',
      'm2: c',
      'm1: -c',
    ]);
    expect(words(order([planOf('m1: -a -z')], { snapshot }))).toEqual(['m1: -z -a']);
  });

  it('a socket with Accept=yes goes with its template, whose file is needed until the socket has left', () => {
    const socket = { text: '[Socket]\nListenStream=/run/z\nAccept=yes\n' };
    const scene = machines().unit('b.service').unit('z.socket', '', socket).unit('z@.service');
    const snapshot = scene.snapshot();
    const request = (plans: readonly MachinePlan[], templateOn: readonly string[]) => ({
      plans,
      snapshot,
      placements: new Map([
        ['b.service', [idOf('m2')]],
        ['z.socket', [idOf('m2')]],
        ['z@.service', templateOn.map(idOf)],
      ]),
      leaving: new Map([
        ['b.service', idOf('m1')],
        ['z.socket', idOf('m1')],
      ]),
      maxParallel: 1,
    });
    const moveOfB = ['m1: ?b', 'm2: b', 'm1: -b'];
    const template = planOf('m2: z@', [{ kind: 'write', text: '' }]);
    const moved = [planOf('m1: -b -z.socket -z@'), planOf('m2: b z.socket'), template];
    expect(words(orderOf(request(moved, ['m2'])))).toEqual([
      ...moveOfB,
      'm1: ?z.socket ?z@',
      'm2: z.socket z@',
      'm1: -z.socket -z@',
    ]);
    const there = [planOf('m1: -b -z.socket -z@'), planOf('m2: b z.socket')];
    expect(words(orderOf(request(there, ['m2'])))).toEqual([
      ...moveOfB,
      'm1: ?z.socket ?z@',
      'm2: z.socket',
      'm1: -z.socket -z@',
    ]);
  });

  it.each([
    ['PartOf=', '', 'PartOf=a.target'],
    ['BindsTo=', '', 'BindsTo=a.target'],
    ['PropagatesStopTo=', 'PropagatesStopTo=z.service', ''],
  ])('what a stop takes down through %s is up elsewhere before it, and restarted with it', (_, target, z) => {
    const snapshot = machines()
      .unit('a.target', '', { text: `[Unit]\nDescription=a\n${target}\n` })
      .unit('b.service')
      .unit('y.service', '', { text: '[Unit]\nPartOf=z.service\n[Service]\nExecStart=/bin/true\n' })
      .unit('z.service', '', { text: `[Unit]\n${z}\n[Service]\nExecStart=/bin/true\n` })
      .snapshot();
    const moving = [planOf('m1: -a.target -b -y -z'), planOf('m2: a.target b y z')];
    const moves = ['a.target m1 m2', 'b m1 m2', 'y m1 m2', 'z m1 m2'];
    expect(words(order(moving, { snapshot, moves, maxParallel: 1 }))).toEqual([
      'm1: ?a.target ?y ?z',
      'm2: a.target y z',
      'm1: -a.target -y -z',
      'm1: ?b',
      'm2: b',
      'm1: -b',
    ]);
    const restart = [planOf('m1: a.target b y z', RESTART), planOf('m2: z', RESTART)];
    expect(words(order(restart, { snapshot, maxParallel: 1 }))).toEqual([
      'm1: a.target y z',
      'm1: b',
      'm2: z',
    ]);
  });
});
