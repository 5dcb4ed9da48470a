import { spawnSync } from 'node:child_process';
import { truncateSync } from 'node:fs';
import { expect, it } from 'vitest';
import { sha256 } from '../../src/base/hash.ts';
import type { VoterAnswer, VoterRequest } from '../../src/quorum/voters.ts';
import { registerQuery } from '../../src/systemd/register.ts';
import { openingScript } from '../../src/systemd/script.ts';
import { createLocalMachine } from '../support/local-machine.ts';
import { seeded } from '../support/random.ts';

type Action = VoterRequest['action'];
type State = Pick<VoterAnswer, 'state' | 'stored' | 'invalid'>;

/** A change of a register, which is damaged before or not, and the state after it. */
type Change = {
  readonly isDamaged?: true;
  readonly action: (state: string) => Action;
  readonly after: (before: State) => State;
};

const BALLOT = { round: 5, proposer: 7 };
const HIGHER = { round: 9, proposer: 1 };
const FRESH = 'f'.repeat(32);
const OLD_VALUE = '{"old":1}';
const NEW_VALUE = '{"new":1}';
const OLD_TEXT = 'old\n';
const NEW_TEXT = 'new\n';

const proposal = {
  ballot: HIGHER,
  value: NEW_VALUE,
  contents: [{ hash: sha256(NEW_TEXT), text: NEW_TEXT }],
};
const accepted = {
  promised: { round: 10, proposer: 1 },
  accepted: { ballot: HIGHER, value: NEW_VALUE },
};
const created: State = {
  state: expect.stringMatching(/^[0-9a-f]{32}$/),
  stored: { promised: { round: 0, proposer: 0 } },
};
const found = (state: string): Action => ({
  ...{ kind: 'found', state: FRESH, replaced: { state, accepted: BALLOT } },
  ...proposal,
});

const CHANGES: [name: string, change: Change][] = [
  [
    'prepare',
    {
      action: (state) => ({ kind: 'prepare', state, ballot: HIGHER }),
      after: ({ state, stored }) => ({ state, stored: { ...stored, promised: HIGHER } }),
    },
  ],
  [
    'accept',
    {
      action: (state) => ({ kind: 'accept', state, ...proposal }),
      after: ({ state }) => ({ state, stored: accepted }),
    },
  ],
  ['found', { action: found, after: () => ({ state: FRESH, stored: accepted }) }],
  ['create', { action: (unless) => ({ kind: 'create', unless }), after: () => created }],
  ['create, after damage', { isDamaged: true, action: () => ({ kind: 'create' }), after: () => created }],
];

/**
 * A machine with a register, and a request that changes it. `which` returns which of the two states the machine has, and expects that this
 * is whole.
 */
async function prepare({ isDamaged, action, after }: Change) {
  const machine = await createLocalMachine({ shared: true });
  const query = (each: Action) => registerQuery({ register: 'head', action: each, unlessKnown: [] });
  const ask = (each: Action): Promise<VoterAnswer> => machine.connect().session.ask(query(each));
  const { state = '' } = await ask({ kind: 'create' });
  const contents = [{ hash: sha256(OLD_TEXT), text: OLD_TEXT }];
  await ask({ kind: 'accept', state, ballot: BALLOT, value: OLD_VALUE, contents });
  if (isDamaged) truncateSync(machine.path('var/registry/head.register'), 50);
  const read = async (): Promise<State> => {
    const { texts, contents: _, ...rest } = await ask({ kind: 'read' });
    const { accepted: proposed } = rest.stored;
    if (proposed) expect(texts).toContain(proposed.value === OLD_VALUE ? OLD_TEXT : NEW_TEXT);
    return rest;
  };
  const before = await read();
  const which = async (): Promise<'old' | 'new'> => {
    const now = await read();
    if (JSON.stringify(now) === JSON.stringify(before)) return 'old';
    expect(now).toEqual(after(before));
    return 'new';
  };
  return { machine, request: query(action(state)), which };
}

it.each(CHANGES)('a register has the old or the new state, wherever "%s" is killed', async (_, change) => {
  for (let killAt = 1; ; killAt++) {
    const { machine, request, which } = await prepare(change);
    const answer = await machine
      .connect({ killAt })
      .session.ask(request)
      .catch(() => undefined);
    const state = await which();
    if (answer === undefined) continue;
    expect(state).toBe('new');
    expect(killAt).toBeGreaterThan(4);
    return;
  }
});

it.each(CHANGES)('a register has the old state until all of "%s" has arrived', async (_, change) => {
  const { machine, request, which } = await prepare(change);
  const { script } = request;
  const random = seeded(3);
  // The last line calls the function that all others define.
  const call = script.trimEnd().lastIndexOf('\n') + 1;
  const ends = [
    ...Array.from({ length: 5 }, () => Math.floor(random() * call)),
    call,
    call + 'registe'.length,
  ];
  const after = async (end: number): Promise<string> => {
    const input = openingScript('marker', machine.paths, 'read') + script.slice(0, end);
    spawnSync('sh', { input, stdio: ['pipe', 'ignore', 'ignore'] });
    return await which();
  };
  for (const end of ends) expect(await after(end), script.slice(0, end)).toBe('old');
  expect(await after(call + 'register'.length)).toBe('new');
  expect(await after(script.length)).toBe('new');
});
