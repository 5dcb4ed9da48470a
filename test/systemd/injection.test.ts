import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { compareText } from '../../src/base/text.ts';
import { UNIT_TYPES, unitNameProblem } from '../../src/unit/unit-name.ts';
import { createLocalMachine, type LocalMachine } from '../support/local-machine.ts';
import { SHELLS } from '../support/local-shell.ts';
import { pick, pickText, seeded } from '../support/random.ts';
import { changes } from './changes.ts';

/** What would run, expand or end something if it were not quoted; everything it did would show as a file. */
const HOSTILE = [
  '$(touch pwned)',
  '`touch pwned`',
  ';touch pwned;',
  '\ntouch pwned\n',
  '&touch pwned&',
  '|touch pwned',
  '>pwned',
  "'",
  '"',
  "'\\''",
  "';touch pwned;'",
  '";touch pwned;"',
  '$HOME',
  '$M$L',
  '$$',
  '!!',
  '*',
  '~',
  '#',
  '\\',
  '\\\\',
  '\\n',
  '\\c',
  '\\0101',
  '\\x41',
  '%s',
  '%b',
  '%%',
  '%n',
  '\n',
  '\r\n',
  '\t',
  ' ',
  '\u0001',
  '\u001b[31m',
  '\u007f',
  '\u0080',
  '\u00ff',
  'ä',
  '🚢',
  '\u2028',
  '\ufeff',
  '\ud800',
  'EOF\n',
  '}\n',
  'plain',
  '[Unit]\n',
  '-n',
];

const NAME_PARTS = ['a', 'Z', '0', '-', '--', '_', ':', '.', '\\', '\\\\', '\\x2d', '\\n', '\\c', '@', '@@'];

/** Names that systemd takes, with all that a shell could trip over. */
function nameOf(random: () => number): string {
  for (;;) {
    const name = `${pick(random, ['a', '-', ':', '\\', '_'])}${pickText(random, NAME_PARTS, 12)}.${pick(random, UNIT_TYPES)}`;
    // A template is not put on machines.
    if (unitNameProblem(name) === undefined && !/^[^@]+@\.[a-z]+$/.test(name)) return name;
  }
}

/** The bytes of a file; a name may hold what a path in a message would not show. */
const bytesOf = (machine: LocalMachine, name: string): string =>
  readFileSync(machine.path('etc', name)).toString('hex');

const hex = (text: string): string => Buffer.from(text).toString('hex');

describe.each(SHELLS)('whatever a unit is called and holds, %s', (shell) => {
  it.each([1, 2])('puts exactly that there and runs none of it (seed %i)', async (seed) => {
    const random = seeded(seed);
    const machine = await createLocalMachine({ shell, name: `it's "$(touch pwned)" \`x\` \\n %s; & * #` });
    mkdirSync(machine.path('canary'));
    const setup = 'cd "$STUB/../canary"';
    const units = new Map(
      Array.from({ length: 20 }, () => [nameOf(random), pickText(random, HOSTILE, 60)] as const),
    );
    const all = [...units].map(([name, text]) => changes.load(name, text, seed));
    const outcomes = await machine.change(all, { setup });
    expect(outcomes.filter(({ failure }) => failure !== undefined)).toEqual([]);
    expect(machine.files('etc')).toEqual([...units.keys()].sort(compareText));
    for (const [name, text] of units) expect([name, bytesOf(machine, name)]).toEqual([name, hex(text)]);
    expect(machine.files('var').filter((file) => !file.startsWith('units/'))).toEqual(['cluster']);
    expect(readdirSync(machine.path('canary'))).toEqual([]);
    expect(await noted(machine)).toEqual(expectedNotes(all));
    await machine.change(
      [...units.keys()].map((name) => changes.remove(name, seed + 1)),
      { setup },
    );
    expect([machine.files('etc'), machine.files('var').length]).toEqual([[], units.size + 1]);
  });

  it('puts a line of 1 MB there, and many quotes and bytes that are no text', async () => {
    const machine = await createLocalMachine({ shell });
    const texts = {
      'long.service': `[Unit]\nDescription=${'x'.repeat(1024 * 1024)}\n`,
      'quotes.service': `'"\\$\``.repeat(12 * 1024),
      'unicode.service': '🚢\u0001'.repeat(6 * 1024),
      'empty.service': '',
    };
    const outcomes = await machine.change(
      Object.entries(texts).map(([name, text]) => changes.load(name, text, 1)),
    );
    expect(outcomes.filter(({ failure }) => failure !== undefined)).toEqual([]);
    for (const [name, text] of Object.entries(texts)) {
      expect([name, machine.text('etc', name) === text]).toEqual([name, true]);
    }
  });
});

describe('a cluster id', () => {
  it.each(["it's", '$(touch pwned)', 'a b', 'ü'])('is a word like any other: %s', async (cluster) => {
    const machine = await createLocalMachine();
    await machine.change([changes.load('a.service', 'a', 1)], { cluster });
    expect(machine.text('var/cluster')).toBe(`${cluster}\n`);
    expect(machine.files('etc')).toEqual(['a.service']);
  });
});

/** Unit → digest of the file, token of the record, as a look at the machine finds them. */
async function noted(machine: LocalMachine): Promise<unknown> {
  const { units } = await machine.observe();
  return Object.fromEntries(units.map(({ name, digest, record }) => [name, [digest, record]]));
}

function expectedNotes(all: readonly ReturnType<typeof changes.load>[]): unknown {
  return Object.fromEntries(
    all.map(({ unit, steps }) => {
      const record = steps.find((step) => step.kind === 'record')?.record;
      return [unit, [record?.digest, record]];
    }),
  );
}
