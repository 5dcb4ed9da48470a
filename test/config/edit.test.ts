import { describe, expect, it } from 'vitest';
import { isFleetError } from '../../src/base/errors.ts';
import { type ConfigEdit, editConfig, type MachineEdit } from '../../src/config/edit.ts';
import { parseSections } from '../../src/config/parse.ts';
import { pick, seeded } from '../support/random.ts';

type Random = () => number;

const FILE = `; our machines
registry = file:registry   ; here

[ssh]
user = core

# the front
[machine.web-1]
address  = 10.10.1.1       ; rack 4
metadata = region=eu

; the database
[machine.db-1]
  address = "10.10.1.2"
  ; port = 2222
  user = root

# the end
`;

const add = (name: string, settings: Record<string, string>): ConfigEdit => ({
  kind: 'add',
  name,
  settings: new Map(Object.entries(settings)),
});
const set = (name: string, settings: Record<string, string | undefined>): ConfigEdit => ({
  kind: 'set',
  name,
  settings: new Map(Object.entries(settings)),
});
const remove = (name: string): ConfigEdit => ({ kind: 'remove', name });
const edit = (text: string, change: ConfigEdit): string => editConfig('/f', text, change);

describe('an edit of fleet.conf', () => {
  it('adds a machine at the end', () => {
    expect(edit(FILE, add('web-2', { address: '10.10.1.3', metadata: 'a=b;c' }))).toBe(
      `${FILE}\n[machine.web-2]\naddress = 10.10.1.3\nmetadata = "a=b;c"\n`,
    );
    expect(edit('', add('a', { address: 'a' }))).toBe('[machine.a]\naddress = a\n');
    expect(edit('[ssh]', add('a', { address: 'a' }))).toBe('[ssh]\n\n[machine.a]\naddress = a\n');
    expect(edit('[ssh]\r\n\r\n', add('a', { address: 'a' }))).toBe(
      '[ssh]\r\n\r\n[machine.a]\r\naddress = a\r\n',
    );
  });

  it('changes a value where it stands', () => {
    expect(edit(FILE, set('web-1', { address: '10.9.9.9' }))).toBe(FILE.replace('10.10.1.1', '10.9.9.9'));
    expect(edit(FILE, set('db-1', { address: 'x;y # z' }))).toBe(FILE.replace('"10.10.1.2"', '"x;y # z"'));
  });

  it('adds a setting after the last one, and takes one away', () => {
    expect(edit(FILE, set('web-1', { port: '22' }))).toBe(
      FILE.replace('metadata = region=eu\n', 'metadata = region=eu\nport = 22\n'),
    );
    expect(edit(FILE, set('db-1', { port: '22', user: undefined }))).toBe(
      FILE.replace('  user = root\n', '  port = 22\n'),
    );
    expect(edit('[machine.a]', set('a', { address: 'a' }))).toBe('[machine.a]\naddress = a\n');
    expect(edit('[machine.a]\nuser = ; who\naddress=a', set('a', { user: 'core' }))).toBe(
      '[machine.a]\nuser = core ; who\naddress=a',
    );
  });

  it('takes a machine out, and leaves what may be about the next one', () => {
    expect(edit(FILE, remove('web-1'))).toBe(FILE.replace(/\[machine.web-1\][\s\S]*?region=eu\n/, ''));
    expect(edit(FILE, remove('db-1'))).toBe(FILE.replace(/\[machine.db-1\][\s\S]*root\n/, ''));
  });

  it('takes out what it has added', () => {
    expect(edit(edit(FILE, add('z', { address: 'z' })), remove('z'))).toBe(FILE);
  });

  it.each<[string, ConfigEdit, string]>([
    ['a machine that is there', add('web-1', { address: 'x' }), 'exists already'],
    ['a machine that is not there', set('web-9', { user: 'x' }), 'No such machine in "/f": "web-9"'],
    ['to take out a machine that is not there', remove('web-9'), 'No such machine in "/f": "web-9"'],
    ['a name that ends its header', add('a]\n[ssh', { address: 'x' }), ''],
    ['a name with a line end', add('a\nb', { address: 'x' }), ''],
    ['a value with a line end', set('web-1', { user: 'x\nport = 1' }), 'control character'],
    ['a key with a line end', set('web-1', { 'x\ny': '1' }), 'must be "key = value"'],
    ['a key that would be a comment', set('web-1', { ';x': '1' }), 'cannot make this change'],
    ['a key that would be a header', set('web-1', { '[ssh]': '1' }), ''],
  ])('refuses %s', (_, change, message) => {
    try {
      expect(edit(FILE, change)).toBe('nothing');
    } catch (error) {
      if (!isFleetError(error)) throw error;
      expect(error.code).toBe(message.startsWith('No such') ? 'machine-not-found' : 'config');
      expect(error.message).toContain(message);
    }
  });
});

const VALUES = [
  'a',
  'core',
  '10.0.0.1',
  'x=y,z=w',
  'a;b',
  'a ; b',
  '"q"',
  "'s'",
  '\\',
  ' # ',
  'é 🚀',
  '[x]',
  '',
];
const KEYS = ['address', 'user', 'port', 'metadata', 'a b', 'k.1'];
const NAMES = ['a', 'b', 'c.d', 'e_f', '10'];

/** A valid file with every kind of blank, comment, quote and line end. */
function randomFile(random: Random): string {
  const end = pick(random, ['\n', '\n', '\r\n', '\r']);
  const noise = (): string => pick(random, ['', '', '  ', '; c', '# [machine.a]', ';k = v', '\t# x = y']);
  const lines: string[] = [];
  const settings = (): void => {
    for (const key of KEYS.filter(() => random() < 0.4)) {
      const value = pick(random, VALUES);
      const written = /^[\w.=,]*$/.test(value) && random() < 0.7 ? value : JSON.stringify(value);
      const blanks = [
        pick(random, ['', ' ', '\t', '  ']),
        pick(random, ['', ' ', '   ']),
        pick(random, ['', ' ', '\t']),
      ];
      lines.push(
        `${blanks[0]}${key}${blanks[1]}=${blanks[2]}${written}${pick(random, ['', ' ', ' ; c', '  # "x" = y'])}`,
      );
      if (random() < 0.4) lines.push(noise());
    }
  };
  settings();
  for (const name of ['ssh', ...NAMES.map((each) => `machine.${each}`)].filter(() => random() < 0.6)) {
    while (random() < 0.4) lines.push(noise());
    lines.push(`[${name}]${pick(random, ['', '', ' ; c'])}`);
    settings();
  }
  while (random() < 0.4) lines.push(noise());
  return lines.join(end) + pick(random, ['', end]);
}

function randomEdit(random: Random): MachineEdit {
  const name = pick(random, NAMES);
  const kind = pick(random, ['add', 'set', 'remove', 'rename'] as const);
  if (kind === 'remove') return { kind, name };
  if (kind === 'rename') return { kind, name, to: `new-${name}` };
  const pairs = KEYS.filter(() => random() < 0.4).map((key) => [key, pick(random, VALUES)] as const);
  if (kind === 'add') return { kind, name, settings: new Map(pairs) };
  return {
    kind,
    name,
    settings: new Map(pairs.map(([key, value]) => [key, random() < 0.3 ? undefined : value])),
  };
}

/** What a file says: `section.key = value`. */
function says(text: string): ReadonlyMap<string, string> {
  const sections = [...parseSections('/f', text).values()];
  return new Map(
    sections.flatMap(({ name, settings }) => [
      [`[${name}]`, ''] as const,
      ...[...settings.values()].map(({ key, value }) => [`[${name}] ${key}`, value] as const),
    ]),
  );
}

const linesOf = (text: string): readonly string[] => text.match(/[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+$/g) ?? [];

/** The numbers of equal lines at the beginning and at the end of two texts. */
function common(a: readonly string[], b: readonly string[]): number {
  let front = 0;
  while (front < Math.min(a.length, b.length) && a[front] === b[front]) front++;
  let back = 0;
  while (back < Math.min(a.length, b.length) - front && a.at(-1 - back) === b.at(-1 - back)) back++;
  return front + back;
}

it.each([
  ['[machine.a]\r\naddress = 1.1.1.1\r\n', 'registry = file:/r\r\n[machine.a]\r\naddress = 1.1.1.1\r\n'],
  ['; ours\nregistry = old ; why\n\n[machine.a]\n', '; ours\nregistry = file:/r ; why\n\n[machine.a]\n'],
  [
    'settle = 1s\n; registry = x\n[ssh]\nport = 1\n',
    'settle = 1s\nregistry = file:/r\n; registry = x\n[ssh]\nport = 1\n',
  ],
  ['', 'registry = file:/r\n'],
])('sets a key at the top: %j', (text, wanted) => {
  expect(edit(text, { kind: 'top', settings: new Map([['registry', 'file:/r']]) })).toBe(wanted);
});

it('any edit of any file says exactly what is meant, and leaves every other line to the byte; or is refused', () => {
  const seen = { add: 0, set: 0, remove: 0, rename: 0, refused: 0 };
  for (let seed = 1; seed <= 4000; seed++) {
    const random = seeded(seed);
    const text = randomFile(random);
    const change = randomEdit(random);
    const before = says(text);
    const header = `[machine.${change.name}]`;
    const wanted = new Map(before);
    if (change.kind === 'remove' || change.kind === 'rename')
      for (const key of before.keys()) if (key.startsWith(header)) wanted.delete(key);
    if (change.kind === 'rename')
      for (const [key, value] of before)
        if (key.startsWith(header)) wanted.set(key.replace(header, `[machine.${change.to}]`), value);
    if (change.kind === 'add' || change.kind === 'set') wanted.set(header, '');
    if (change.kind === 'add' || change.kind === 'set')
      for (const [key, value] of change.settings) {
        if (value === undefined) wanted.delete(`${header} ${key}`);
        else wanted.set(`${header} ${key}`, value);
      }
    let after: string;
    try {
      after = edit(text, change);
    } catch (error) {
      expect([seed, isFleetError(error, change.kind === 'add' ? 'config' : 'machine-not-found')]).toEqual([
        seed,
        true,
      ]);
      expect([seed, before.has(header)]).toEqual([seed, change.kind === 'add']);
      seen.refused++;
      continue;
    }
    seen[change.kind]++;
    const sort = (map: ReadonlyMap<string, string>) =>
      new Map([...map].toSorted(([a], [b]) => (a < b ? -1 : 1)));
    expect([seed, sort(says(after))]).toEqual([seed, sort(wanted)]);
    const [old, now] = [linesOf(text), linesOf(after)];
    if (change.kind === 'add') expect([seed, after.startsWith(text)]).toEqual([seed, true]);
    if (change.kind === 'remove') expect([seed, common(old, now)]).toEqual([seed, now.length]);
    if (change.kind === 'rename') expect([seed, common(old, now)]).toEqual([seed, old.length - 1]);
    if (change.kind === 'set' && change.settings.size === 1 && !/[^\r\n]$/.test(text))
      expect([seed, common(old, now)]).toEqual([seed, expect.toBeOneOf([old.length, old.length - 1])]);
    // Text after a value on its line is a comment of a user.
    const notes = (lines: readonly string[]) =>
      lines.filter((line) => /=.* (; c|# "x" = y)\s*$/.test(line)).length;
    if (change.kind === 'set' && [...change.settings.values()].every((value) => value !== undefined))
      expect([seed, notes(now)]).toEqual([seed, notes(old)]);
  }
  expect(Math.min(...Object.values(seen))).toBeGreaterThan(300);
});
