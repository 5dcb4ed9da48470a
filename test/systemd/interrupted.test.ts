import { rm } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { createLocalMachine, type LocalMachine } from '../support/local-machine.ts';
import { unitText } from './changes.ts';
import { pass, planFor, type Wish } from './pass.ts';

const OLD = unitText(
  'old',
  'ExecStart=/bin/sleep 1000',
  'ExecStop=three-looks',
  '[Install]\nAlias=old-%n both-%n\nWantedBy=old.target',
);
const NEW = unitText(
  'new',
  'ExecStart=/bin/sleep 1000',
  '[Install]\nAlias=new-%n both-%n\nRequiredBy=new.target',
);

/** Bounds for the commands that the script calls, so that the loop is known to have seen them and to end. */
const FEWEST_CALLS = 40;
const FEWEST_CALLS_TOGETHER = 25;
const MOST_CALLS = 160;
/** How many machines are killed at once. */
const AT_ONCE = 4;

const BEFORE: readonly Wish[] = [
  { name: 'gone.service', text: OLD, target: 'launched', token: 1 },
  { name: 'new.service', text: OLD, target: 'launched', token: 1 },
  { name: 'rest.service', text: OLD, target: 'launched', token: 1 },
];

const AFTER: readonly Wish[] = [
  { name: 'first.service', text: NEW, target: 'launched', token: 2 },
  { name: 'gone.service', text: OLD, target: 'inactive', token: 2 },
  { name: 'new.service', text: NEW, target: 'launched', token: 2 },
  { name: 'rest.service', text: NEW, target: 'loaded', token: 2 },
  { name: 'spare.service', text: NEW, target: 'loaded', token: 2 },
];

/** Units with no links but that for the boot, whose files are moved together. */
const PLAIN = unitText('plain');
const three = (name: string, target: Wish['target'], token: number): readonly Wish[] =>
  [1, 2, 3].map((index) => ({ name: `${name}${index}.service`, text: PLAIN, target, token }));
const BEFORE_TOGETHER = three('gone', 'launched', 1);
const AFTER_TOGETHER = [...three('gone', 'inactive', 2), ...three('first', 'launched', 2)];

describe('a script that is killed', () => {
  it.each([
    ['of all kinds of changes', BEFORE, AFTER, FEWEST_CALLS],
    ['of changes together', BEFORE_TOGETHER, AFTER_TOGETHER, FEWEST_CALLS_TOGETHER],
  ])(
    'before any command %s leaves whole files, and the next pass ends as if nothing had been',
    async (...given) => {
      const [, before, after, fewest] = given;
      const prepared = await arrange(before);
      const reference = await prepared.copy();
      await pass(reference, after);
      let calls = 0;
      let isOver = false;
      while (!isOver && calls < MOST_CALLS) {
        const kills = Array.from({ length: AT_ONCE }, () =>
          killAndRepair(prepared, reference, after, ++calls),
        );
        isOver = (await Promise.all(kills)).includes('nothing to kill');
      }
      expect(calls).toBeGreaterThan(fewest);
      expect(isOver).toBe(true);
    },
  );
});

async function killAndRepair(
  prepared: LocalMachine,
  reference: LocalMachine,
  after: readonly Wish[],
  call: number,
): Promise<'repaired' | 'nothing to kill'> {
  const machine = await prepared.copy();
  await pass(machine, after, { killAt: call }).catch(() => undefined);
  if (Number(machine.text('stub/killing') ?? 0) < call) return 'nothing to kill';
  expectWholeFiles(machine);
  const outcomes = await pass(machine, after);
  expect([call, outcomes.filter(({ failure }) => failure !== undefined)]).toEqual([call, []]);
  expect([call, stateOf(machine)]).toEqual([call, stateOf(reference)]);
  expect([call, planFor(after, await machine.observe())]).toEqual([call, []]);
  return 'repaired';
}

/** The machine before: units run, and their links for the boot were removed. */
async function arrange(before: readonly Wish[]): Promise<LocalMachine> {
  const machine = await createLocalMachine();
  await pass(machine, before);
  await rm(machine.path('etc/fleet.target'));
  await rm(machine.path('etc/multi-user.target.wants'), { recursive: true });
  return machine;
}

function expectWholeFiles(machine: LocalMachine): void {
  const files = machine.files('etc').filter((name) => /^\w+\.service$/.test(name));
  for (const file of files) {
    const texts = [...BEFORE, ...AFTER, ...BEFORE_TOGETHER, ...AFTER_TOGETHER]
      .filter(({ name }) => name === file)
      .map(({ text }) => text);
    expect(texts).toContain(machine.text('etc', file));
  }
}

/** What has to be the same in the end, whatever happened on the way. */
function stateOf(machine: LocalMachine): unknown {
  const contents = (folder: string): unknown =>
    machine.files(folder).map((file) => [file, machine.text(folder, file)]);
  const active = machine
    .files('stub/active')
    .map((file) => [file, machine.text('stub/active', file)?.replace(/ invocation=.*/s, '')]);
  return { etc: contents('etc'), var: contents('var'), known: contents('stub/loaded'), active };
}
