import stringWidth from 'string-width';
import { describe, expect, it } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import { type Column, renderTable, selectColumns, type TableOptions } from '../../src/output/table.ts';
import { pickText, seeded } from '../support/random.ts';
import { cliTable } from './cli-table.ts';

type Row = readonly string[];

const COLUMNS: readonly Column<Row>[] = ['unit', 'machine', 'sub'].map((field, index) => ({
  field,
  value: (row) => row[index] ?? '',
}));

const PLAIN: TableOptions = { legend: true, full: false };

function table(rows: readonly Row[], options: Partial<TableOptions> = {}): Promise<string> {
  return renderTable(COLUMNS, rows, { ...PLAIN, ...options });
}

async function linesOf(
  rows: readonly Row[],
  options: Partial<TableOptions> = {},
): Promise<readonly string[]> {
  return (await table(rows, options)).split('\n');
}

describe('a table', () => {
  it('has two spaces between columns, no borders, and titles in capitals', async () => {
    expect(await table([['global-unit.service', 'a', 'b']])).toBe(
      'UNIT                 MACHINE  SUB\nglobal-unit.service  a        b\n',
    );
  });

  it('is as wide as its widest cell, in whatever row', async () => {
    expect(
      await table([
        ['a', '1', 'x'],
        ['abcdefgh', '123456789', 'x'],
      ]),
    ).toBe('UNIT      MACHINE    SUB\na         1          x\nabcdefgh  123456789  x\n');
  });

  it('without rows is its titles', async () => {
    expect(await table([])).toBe('UNIT  MACHINE  SUB\n');
  });

  it('without legend is its rows, as wide as they are', async () => {
    expect(await table([['a', 'b', 'c']], { legend: false })).toBe('a  b  c\n');
    expect(await table([], { legend: false })).toBe('');
  });

  it('shows an empty cell as "-", first, in the middle and last', async () => {
    expect(
      await table([
        ['', 'b', 'c'],
        ['a', '', 'c'],
        ['a', 'b', ''],
        ['', '', ''],
        [' ', '\n', '\t'],
      ]),
    ).toBe(
      'UNIT  MACHINE  SUB\n-     b        c\na     -        c\na     b        -\n-     -        -\n-     -        -\n',
    );
  });

  it('of one column has nothing but that', async () => {
    expect(await renderTable(COLUMNS.slice(0, 1), [['abc'], ['x']], PLAIN)).toBe('UNIT\nabc\nx\n');
  });

  it('keeps a row on one line, whatever a cell holds', async () => {
    expect(await table([['a\nb', 'c\r\n\td', '  e  ']])).toBe('UNIT  MACHINE  SUB\na b   c d      e\n');
  });

  it('hands nothing to the terminal that it would obey', async () => {
    const nasty = '\u001b[31mred\u001b[0m\u0007\u0000\u009b2J';
    expect(await table([[nasty, 'b', 'c']], { legend: false })).toBe(
      '\\u001b[31mred\\u001b[0m\\u0007\\u0000\\u009b2J  b  c\n',
    );
  });

  it.each([
    ['Chinese', '数据库'],
    ['Japanese, half of it narrow', 'ﾃﾞｰﾀベース'],
    ['an emoji', '🚀'],
    ['an emoji of several', '👨‍👩‍👧'],
    ['a combining accent', 'cafe\u0301'],
    ['letters that resemble others', 'ｗｅｂ'],
  ])('stays aligned under %s', async (_, wide) => {
    const lines = await linesOf([
      [wide, 'b', 'c'],
      ['plain.service', 'b', 'c'],
    ]);
    const starts = lines
      .slice(0, 3)
      .map((line) => stringWidth(line.slice(0, line.search(/[ ](MACHINE|b)/) + 1)));
    expect(new Set(starts).size).toBe(1);
    expect(starts[0]).toBe(Math.max(stringWidth(wide), 'plain.service'.length) + 2);
  });

  it('never cuts a cell, at random', async () => {
    const random = seeded(7);
    const text = (): string =>
      pickText(random, ['a', 'bc', ' ', '数', '🚀', 'é', '…', '%', '\\', '|', '─'], 12);
    const rows = Array.from({ length: 300 }, () => [text(), text(), text()]);
    const lines = await linesOf(rows, { legend: false });
    expect(lines).toHaveLength(301);
    const words = (line: string): string => line.split(/\s+/).filter(Boolean).join(' ');
    rows.forEach((row, index) => {
      const expected = row.map((cell) => cell.trim() || '-').join(' ');
      expect(words(lines[index] ?? '')).toBe(words(expected));
      expect(lines[index]).not.toMatch(/\s$/);
    });
  });
});

/** Texts that terminals, cli-table3 or string-width treat in their own way. */
const CELLS = [
  ...[
    '',
    ' ',
    'a',
    'bc',
    'web@1.service',
    '-',
    '|',
    '─',
    '%',
    '\\u001b',
    '…',
    '\n',
    '\t',
    '\r\n',
    '\u3000',
    '\ufeff',
  ],
  ...[
    '数',
    'ﾃﾞ',
    'ｗ',
    '한',
    'e\u0301',
    '\u0301',
    '🚀',
    '👨‍👩‍👧',
    '👍🏽',
    '🇩🇪',
    '1️⃣',
    '☃',
    '☃️',
    '\u200d',
    '\u200b',
  ],
  ...[
    '\u001b[31m',
    '\u001b[0m',
    '\u001b]8;;x\u0007',
    '\u009b2J',
    '\u0000',
    '\u007f',
    '\ud83d',
    '\u202e',
    'ع',
    '\u00ad',
  ],
];

it.each([3, 14, 15, 92])('a table is what cli-table3 makes of it, seed %d', async (seed) => {
  const random = seeded(seed);
  for (let round = 0; round < 25; round++) {
    const choices = round > 0 && random() < 0.3 ? CELLS.slice(0, 11) : CELLS;
    const rows = Array.from({ length: round === 0 ? 200 : Math.floor(random() * 30) }, () =>
      COLUMNS.map(() => pickText(random, choices, 6)),
    );
    const columns = COLUMNS.slice(0, 1 + Math.floor(random() * 3));
    const widths = random() < 0.3 ? columns.map(() => Math.floor(random() * 12)) : [];
    const legend = random() < 0.7;
    const cells = rows.map((row) => row.slice(0, columns.length));
    const titles = columns.map(({ field }) => field.toUpperCase());
    expect(await renderTable(columns, rows, { legend, full: false, widths })).toBe(
      cliTable(legend ? [titles, ...cells] : cells, widths),
    );
  }
});

describe('a long table', () => {
  it.each([99, 100, 101, 199, 200, 201, 5000])(
    'of %d rows has every row once, in order and aligned',
    async (count) => {
      const rows = Array.from({ length: count }, (_, index) => [`u${index}.service`, `m${index % 7}`, 'x']);
      const lines = await linesOf(rows);
      const width = `u${count - 1}.service`.length + 2;
      const line = (unit: string, machine: string, sub: string): string =>
        `${unit.padEnd(width)}${machine.padEnd(9)}${sub}`;
      expect(lines).toEqual([
        line('UNIT', 'MACHINE', 'SUB'),
        ...rows.map(([unit = '', machine = '', sub = '']) => line(unit, machine, sub)),
        '',
      ]);
    },
  );

  it('is as wide as a cell of its last rows needs', async () => {
    const rows = Array.from({ length: 450 }, (_, index) => [index === 449 ? 'a'.repeat(60) : 'a', 'b', 'c']);
    const lines = (await linesOf(rows)).slice(0, -1);
    expect(new Set(lines.map((line) => line.length - line.trimEnd().length))).toEqual(new Set([0]));
    expect(new Set(lines.slice(1).map((line) => line.indexOf('b')))).toEqual(new Set([62]));
  });
});

describe('--fields', () => {
  const fieldsOf = (...fields: string[]): readonly string[] =>
    selectColumns(COLUMNS, fields).map(({ field }) => field);
  const problemOf = (...fields: string[]): unknown => {
    try {
      return fieldsOf(...fields);
    } catch (error) {
      return error instanceof FleetError && [error.code, error.message, error.hint];
    }
  };

  it('chooses columns and their order, one twice if need be', () => {
    expect(fieldsOf('sub', 'unit', 'sub')).toEqual(['sub', 'unit', 'sub']);
  });

  it.each([
    ['machin', 'Did you mean "machine"? Fields: unit, machine, sub'],
    ['UNIT', 'Did you mean "unit"? Fields: unit, machine, sub'],
    ['sbu', 'Did you mean "sub"? Fields: unit, machine, sub'],
    ['hostname', 'Fields: unit, machine, sub'],
    ['', 'Fields: unit, machine, sub'],
    ['toString', 'Fields: unit, machine, sub'],
  ])('%j is no field', (field, hint) => {
    expect(problemOf('unit', field)).toEqual(['usage', `No such field: "${field}"`, hint]);
  });
});
