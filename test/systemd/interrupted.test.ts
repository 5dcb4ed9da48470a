import { rm } from 'node:fs/promises';
import { basename } from 'node:path';
import { describe, expect, it } from 'vitest';
import { observeQuery } from '../../src/systemd/observation.ts';
import { CLUSTER, createLocalMachine, type LocalMachine } from '../support/local-machine.ts';
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

/** How many different states of the machine there are at least, so that the loop is known to have seen them. */
const FEWEST = 40;
const FEWEST_TOGETHER = 25;

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
    ['of all kinds of changes', BEFORE, AFTER, FEWEST],
    ['of changes together', BEFORE_TOGETHER, AFTER_TOGETHER, FEWEST_TOGETHER],
  ])(
    'before any command %s leaves whole files, and the next pass ends as if nothing had been',
    async (...given) => {
      const [, before, after, fewest] = given;
      const machine = await arrange(before);
      const killed = await machine.copy();
      const states = await machine.snapshots((snapshots) => pass(machine, after, { snapshots }));
      const reference = stateOf(machine);
      expect(states.length).toBeGreaterThan(fewest);
      const middle = states[Math.floor(states.length / 2)] ?? '';
      await pass(killed, after, { killAt: Number(basename(middle)) }).catch(() => undefined);
      for (const state of states) {
        machine.restore(state);
        if (state === middle) expect(rawStateOf(killed)).toEqual(rawStateOf(machine));
        expectWholeFiles(machine);
        await expectRepair(machine, after, basename(state));
        expect([state, stateOf(machine)]).toEqual([state, reference]);
      }
    },
  );
});

/** Another pass changes what is left to change, and the one after that would change nothing. */
async function expectRepair(machine: LocalMachine, wishes: readonly Wish[], call: string): Promise<void> {
  const { session, shell } = machine.connect();
  const query = observeQuery({ names: wishes.map(({ name }) => name), digests: true });
  const outcomes = await session.change(planFor(wishes, await session.ask(query)), CLUSTER);
  expect([call, outcomes.filter(({ failure }) => failure !== undefined)]).toEqual([call, []]);
  expect([call, planFor(wishes, await session.ask(query))]).toEqual([call, []]);
  session.close();
  await shell.close();
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

/** The same with what a script leaves on its way, whose names have its process id. */
function rawStateOf(machine: LocalMachine): unknown {
  const plain = (text: string): string => text.replaceAll(/(?<=\.fleet-|tmp\/)\d+/g, 'PID');
  return JSON.parse(plain(JSON.stringify([stateOf(machine), machine.files('run'), machine.events()])));
}
