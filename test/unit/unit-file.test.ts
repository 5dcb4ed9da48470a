import { describe, expect, it } from 'vitest';
import { FleetError, isFleetError } from '../../src/base/errors.ts';
import {
  description,
  hashUnitFile,
  optionValues,
  parseUnitFile,
  serialise,
  type UnitFile,
} from '../../src/unit/unit-file.ts';
import { pick, pickText, seeded } from '../support/random.ts';

/** Options as `Section.Name=Value`, which reads better in a table than objects. */
function options(file: UnitFile): string[] {
  return file.options.map(({ section, name, value }) => `${section}.${name}=${value}`);
}

function errorOf(text: string, source?: string): FleetError {
  try {
    parseUnitFile(text, source);
  } catch (error) {
    if (isFleetError(error, 'unit-file')) return error;
    throw error;
  }
  throw new Error(`no error for ${JSON.stringify(text)}`);
}

describe('parseUnitFile', () => {
  it.each([
    ['one option', '[Unit]\nDescription=Foo\n', ['Unit.Description=Foo']],
    ['no final line end', '[Unit]\nDescription=Foo', ['Unit.Description=Foo']],
    ['a repeated option stays in order', '[S]\nA=1\nB=2\nA=3\n', ['S.A=1', 'S.B=2', 'S.A=3']],
    ['an emptied option is an option', '[S]\nA=1\nA=\n', ['S.A=1', 'S.A=']],
    ['a repeated section continues', '[A]\nx=1\n[B]\ny=2\n[A]\nz=3\n', ['A.x=1', 'B.y=2', 'A.z=3']],
    ['a section without options vanishes', '[A]\n[B]\ny=2\n', ['B.y=2']],
    ['comments and empty lines', '# a\n; b\n\n[S]\n  # c=d\n;e\n\nA=1\n#f', ['S.A=1']],
    ['blanks around name and value', '[S]\n  A \t= \t b c \t\n', ['S.A=b c']],
    ['blanks around a header', '  [S]  \nA=1\n', ['S.A=1']],
    ['; and # in a value are no comment', '[S]\nA=a; b # c\n', ['S.A=a; b # c']],
    ['= in a value', '[S]\nEnvironment=A=1\n', ['S.Environment=A=1']],
    ['quotes stay', '[S]\nA="x y" \'z\'\n', ['S.A="x y" \'z\'']],
    ['a name with a blank', '[S]\nSome Thing=1\n', ['S.Some Thing=1']],
    ['text beyond ASCII', '[©]\nµ☃=Ç💡\n', ['©.µ☃=Ç💡']],
    ['CR LF', '[S]\r\nA=1\r\n\r\nB=2\r\n', ['S.A=1', 'S.B=2']],
    ['CR LF in a continuation', '[S]\r\nA=1 \\\r\n  2\r\nB=3\r\n', ['S.A=1 \\\n  2', 'S.B=3']],
    ['a byte order mark', '\ufeff[S]\nA=1\n', ['S.A=1']],
    ['a byte order mark before a comment', '\ufeff# c\n[S]\nA=1\n', ['S.A=1']],
    [
      'a continuation is kept as written',
      '[S]\nA=1 \\\n  2 \\\n\t3\nB=4\n',
      ['S.A=1 \\\n  2 \\\n\t3', 'S.B=4'],
    ],
    [
      'a comment inside a continuation is kept',
      '[S]\nA=1 \\\n# c\n; d\n  2\nB=4\n',
      ['S.A=1 \\\n# c\n; d\n  2', 'S.B=4'],
    ],
    [
      'it may end in a backslash itself',
      '[S]\nA=1 \\\n# c \\\n  2\nB=4\n',
      ['S.A=1 \\\n# c \\\n  2', 'S.B=4'],
    ],
    ['a header inside a continuation is value', '[S]\nA=1 \\\n[T]\nB=2\n', ['S.A=1 \\\n[T]', 'S.B=2']],
    ['an empty line ends a continuation', '[S]\nA=1 \\\n\nB=2\n', ['S.A=1 \\\n', 'S.B=2']],
    ['so does a line of blanks', '[S]\nA=1 \\\n  \t\nB=2\n', ['S.A=1 \\\n', 'S.B=2']],
    ['so does the end of the file', '[S]\nA=1 \\', ['S.A=1 \\\n']],
    ['also behind a comment', '[S]\nA=1 \\\n# c', ['S.A=1 \\\n# c\n']],
    ['two backslashes continue nothing', '[S]\nA=1\\\\\nB=2\n', ['S.A=1\\\\', 'S.B=2']],
    ['three do', '[S]\nA=1\\\\\\\nB=2\n', ['S.A=1\\\\\\\nB=2']],
    ['a comment that ends in a backslash hides nothing', '[S]\n# c \\\nA=1\n', ['S.A=1']],
  ])('%s', (_, text, expected) => {
    const file = parseUnitFile(text);
    expect(options(file)).toEqual(expected);
    expect(file.text).toBe(text);
  });

  it('gives every option its first line', () => {
    const file = parseUnitFile('# c\r\n[S]\r\nA=1 \\\r\n  2\r\n\r\nB=3\r\n[T]\r\nC=4');
    expect(file.options.map(({ name, line }) => [name, line])).toEqual([
      ['A', 3],
      ['B', 6],
      ['C', 8],
    ]);
  });

  it.each([
    [
      'an option before any section',
      'ExecStart=/bin/true\n',
      'line 1: "ExecStart=/bin/true" is before the first section',
    ],
    ['text before any section', '\n\n<<<<\n[S]\nA=1', 'line 3: this is before the first section'],
    ['another file', 'root:$6$x$y:1:0:::::\n', 'line 1: this is before the first section'],
    ['no =', '[S]\nA=1\nno equals here\n', 'line 3: "=" is missing: "no equals here"'],
    ['= only on the next line', '[S]\nA\\\n=1\n', 'line 2: "=" is missing: "A\\"'],
    ['no name', '[S]\n = 1\n', 'line 2: the name before "=" is missing: "= 1"'],
    ['a header that is not closed', '[S\nA=1\n', 'line 1: the section header is not closed: "[S"'],
    ['text behind a header', '[S] # c\nA=1\n', 'line 1: invalid section header: "[S] # c"'],
    ['two headers on a line', '[S][T]\nA=1\n', 'line 1: invalid section header: "[S][T]"'],
    ['an empty section name', '[]\nA=1\n', 'line 1: invalid section header: "[]"'],
    ['blanks in the brackets', '[ S ]\nA=1\n', 'line 1: invalid section header: "[ S ]"'],
    [
      'a control character in a section name',
      '[S\x07]\nA=1\n',
      'line 1: invalid section header: "[S\\u0007]"',
    ],
    ['a NUL byte', '[S]\nA=1\nB=\0\n', 'line 3: it contains a NUL byte'],
    ['what a decoder puts for bytes it cannot read', '[S]\nA=\ufffd\n', 'line 2: it is not UTF-8'],
    ['half a surrogate pair', '[S]\nA=\ud83d\n', 'line 2: it is not UTF-8'],
    ['a lone carriage return', '[S]\nA=1\rB=2\n', 'line 2: a carriage return without a line feed'],
    ['blanks behind a backslash', '[S]\nA=1 \\ \nB=2\n', 'line 2: blanks follow the backslash'],
    [
      'blanks behind the second backslash',
      '[S]\nA=1 \\\n 2 \\\t\nB=2\n',
      'line 3: blanks follow the backslash',
    ],
    ['nothing', '', 'line 1: the file has no options'],
    ['comments only', '# a\n\n', 'line 1: the file has no options'],
    ['sections only', '[Unit]\n[Service]\n', 'line 1: the file has no options'],
  ])('refuses %s', (_, text, problem) => {
    expect(errorOf(text, 'x.service').message).toBe(`Cannot read unit file "x.service", ${problem}`);
    expect(errorOf(text).message).toBe(`Cannot read the unit file, ${problem}`);
  });

  it('cuts a long line in its message', () => {
    expect(errorOf(`[S]\n${'x'.repeat(100_000)}`).message.length).toBeLessThan(300);
  });

  it.each([
    ['one long value', `A=${'x'.repeat(1_000_000)}`],
    ['one long run of blanks', `A=x${' '.repeat(1_000_000)}x`],
    ['one long run of backslashes', `A=${'\\'.repeat(1_000_000)}x`],
    ['a value of very many lines', `A=1 \\\n${'# c\nx \\\n'.repeat(100_000)}x`],
    ['very many options', 'A=1\n'.repeat(100_000)],
    ['very many repeated sections', '[S]\nA=1\n'.repeat(50_000)],
  ])('reads, writes and hashes %s', (_, body) => {
    const file = parseUnitFile(`[S]\n${body}\n`);
    expect(hashUnitFile(parseUnitFile(serialise(file.options)))).toBe(hashUnitFile(file));
    expect(optionValues(file, 'S', 'A').length).toBe(file.options.length);
  });
});

describe('serialise', () => {
  it('writes fleet’s canonical form: comments gone, sections gathered, continuations as they were', () => {
    const text = [
      '# leading comment',
      '[Unit]',
      '; semicolon',
      'Description=multi \\',
      '  line',
      '[Service]',
      'Environment=A=1',
      'Environment=B=2',
      'ExecStart=',
      `ExecStart=/bin/sh -c 'while true; do echo "$A $B"; sleep 1; done'`,
    ].join('\n');
    const canonical = serialise(parseUnitFile(text).options);
    expect(canonical).toBe(
      [
        '[Unit]',
        'Description=multi \\',
        '  line',
        '',
        '[Service]',
        'Environment=A=1',
        'Environment=B=2',
        'ExecStart=',
        `ExecStart=/bin/sh -c 'while true; do echo "$A $B"; sleep 1; done'`,
        '',
      ].join('\n'),
    );
    // The size of the file that fleet itself put on a machine for it.
    expect(Buffer.byteLength(canonical)).toBe(154);
  });

  it('gathers a repeated section where it first stood', () => {
    expect(serialise(parseUnitFile('[A]\nx=1\n[B]\ny=2\n[A]\nz=3').options)).toBe(
      '[A]\nx=1\nz=3\n\n[B]\ny=2\n',
    );
  });

  it('keeps a continuation into nothing apart from what follows it', () => {
    const { options: read } = parseUnitFile('[S]\nA=1 \\\n\n[T]\nC=3\n[S]\nB=2\n');
    expect(serialise(read)).toBe('[S]\nA=1 \\\n\nB=2\n\n[T]\nC=3\n');
  });

  it('writes nothing for nothing', () => {
    expect(serialise([])).toBe('');
  });
});

describe('optionValues', () => {
  it.each([
    ['every assignment in order', 'A=1\nB=x\nA=2', ['1', '2']],
    ['an empty one forgets those before it', 'A=1\nA=2\nA=\nA=3', ['3']],
    ['nothing is left behind an empty one', 'A=1\nA=', []],
    ['lines joined, the backslash a blank', 'A=multi \\\n  line', ['multi    line']],
    ['comments inside left out', 'A=1 \\\n# c\n  ; d \\\n2', ['1  2']],
    ['a continuation into nothing', 'A=1 \\\n\nB=2', ['1']],
    ['a continuation of nothing is empty', 'A=1\nA=\\\n\nA=2', ['2']],
    ['escaped backslashes stay', 'A=1\\\\\nB=2', ['1\\\\']],
    ['a value in the form of a comment', 'A=# 1 \\\n2', ['# 1  2']],
    ['names are exact', 'a=1', []],
  ])('%s', (_, body, expected) => {
    expect(optionValues(parseUnitFile(`[S]\n${body}\n[T]\nA=other\n`), 'S', 'A')).toEqual(expected);
  });
});

describe('description', () => {
  it.each([
    ['[Unit]\nDescription=Hello World\n', 'Hello World'],
    ['[Unit]\nDescription=one\nDescription=two \\\n  lines\n', 'two    lines'],
    ['[Unit]\nDescription=one\nDescription=\n', undefined],
    ['[Service]\nDescription=elsewhere\n', undefined],
  ])('%j → %j', (text, expected) => {
    expect(description(parseUnitFile(text))).toBe(expected);
  });
});

describe('on arbitrary input', () => {
  const PIECES = [
    '[',
    ']',
    '[S]\n',
    '[X-Fleet]\n',
    '=',
    'A=1',
    'Name',
    '\\',
    '\\\n',
    '\n',
    '\r\n',
    ' ',
    '\t',
    '#',
    ';',
    '\\ ',
    '☃',
    '"',
  ];

  it('keeps the text, and reads the same from its own canonical form', () => {
    let read = 0;
    for (let seed = 0; seed < 5000; seed++) {
      const random = seeded(seed);
      const text = (random() < 0.9 ? '[S]\nA=1\n' : '') + pickText(random, PIECES, 30);
      const file = parseOrRefuse(text, seed);
      if (file === undefined) continue;
      read++;
      expect(file.text, `seed ${seed}`).toBe(text);
      const canonical = serialise(file.options);
      const again = parseUnitFile(canonical);
      expect(serialise(again.options), `seed ${seed}: ${JSON.stringify(text)}`).toBe(canonical);
      expect(again.options.map(({ line, ...rest }) => rest)).toEqual(gathered(file));
    }
    expect(read).toBeGreaterThan(500);
  });

  it('meets bytes with a FleetError or a file', () => {
    for (let seed = 0; seed < 3000; seed++) {
      const random = seeded(seed);
      const bytes = Uint8Array.from({ length: Math.floor(random() * 200) }, () => Math.floor(random() * 256));
      parseOrRefuse(new TextDecoder().decode(bytes), seed);
      parseOrRefuse(String.fromCharCode(...bytes), seed);
    }
  });

  it('hashes the same whatever comments, empty lines and line ends stand between options', () => {
    for (let seed = 0; seed < 500; seed++) {
      const random = seeded(seed);
      const body = Array.from({ length: 12 }, () =>
        pick(random, [
          '[Unit]',
          '[Service]',
          'A=1',
          'B=x \\\n  y',
          'C=',
          'D=a # b',
          'E=1 \\\n# c\n  2',
          '  F  =  z  ',
        ]),
      );
      const plain = ['[Unit]', 'A=0', ...body].join('\n');
      const between = (): string => pickText(random, ['\n', '# c\n', '  ; d\\\n', '\t\n'], 3);
      const decorated =
        ['[Unit]', 'A=0', ...body].map((line) => `${between()}${line}\n`).join('') + between();
      const hash = hashUnitFile(parseUnitFile(plain));
      expect(hashUnitFile(parseUnitFile(decorated)), `seed ${seed}`).toBe(hash);
      expect(hashUnitFile(parseUnitFile(`\ufeff${decorated.replaceAll('\n', '\r\n')}`)), `seed ${seed}`).toBe(
        hash,
      );
    }
  });

  function parseOrRefuse(text: string, seed: number): UnitFile | undefined {
    try {
      return parseUnitFile(text);
    } catch (error) {
      expect(error, `seed ${seed}: ${JSON.stringify(text)}`).toBeInstanceOf(FleetError);
      expect((error as FleetError).message).toMatch(/^Cannot read the unit file, line \d+: /);
      return undefined;
    }
  }

  /** The options in the order of the canonical form, without lines. */
  function gathered(file: UnitFile): object[] {
    const sections = [...new Set(file.options.map(({ section }) => section))];
    return sections.flatMap((section) =>
      file.options.filter((option) => option.section === section).map(({ line, ...rest }) => rest),
    );
  }
});

const LOOP = 'ExecStart=/bin/sh -c "while true; do echo Hello; sleep 1; done"';

/** Unit files that were given to the original fleet, and the hashes it showed for them. */
const RECORDED: readonly (readonly [name: string, hash: string, ...lines: string[]])[] = [
  [
    'hello',
    '8c2d57110ebadc563d8409054afa5149b06db453',
    '[Unit]',
    'Description=Hello World',
    '',
    '[Service]',
    LOOP,
  ],
  [
    'hello v2',
    '22260de9e7387c870494b4a4c31d5de7d5d5322c',
    '[Unit]',
    'Description=Hello World v2',
    '',
    '[Service]',
    LOOP,
  ],
  [
    'hello@',
    '22d3dc37b5c797b4c9bcc279d7b769c13ec6a865',
    '[Unit]',
    'Description=Hello instance %i on %H',
    '',
    '[Service]',
    'ExecStart=/bin/sh -c "while true; do echo Hello %i %m %n; sleep 1; done"',
  ],
  ['new', '2d432f4a06608c1a8b2848b66c836793a1d48ce6', '[Service]', 'ExecStart=/bin/sleep 1000'],
  ['false', '1fa41b0', '[Service]', 'ExecStart=/bin/false'],
  ['noexec', '26e69de', '[Service]', 'ExecStart=/usr/bin/does-not-exist'],
  ['noservice', 'f09f706', '[Unit]', 'Description=no ExecStart at all'],
  ['nowhere', 'df7b458', '[Service]', LOOP, '', '[X-Fleet]', 'MachineMetadata=role=nonexistent'],
  ['machidgone', 'e83ae45', '[Service]', LOOP, '', '[X-Fleet]', 'MachineID=deadbeefdeadbeefdeadbeefdeadbeef'],
  [
    'spread@',
    '938818c',
    '[Unit]',
    'Description=Spread %i',
    '',
    '[Service]',
    LOOP,
    '',
    '[X-Fleet]',
    'Conflicts=spread@*.service',
  ],
  ['buddy', '9179772', '[Service]', LOOP, '', '[X-Fleet]', 'MachineOf=hello.service'],
  ['orphan', '26463a6', '[Service]', LOOP, '', '[X-Fleet]', 'MachineOf=notthere.service'],
  ['replacer', 'e364803', '[Service]', LOOP, '', '[X-Fleet]', 'Replaces=hello.service'],
  [
    'global',
    '1ef15be',
    '[Unit]',
    'Description=Global one',
    '',
    '[Service]',
    LOOP,
    '',
    '[X-Fleet]',
    'Global=true',
  ],
  ['globalweb', 'e5ec4f3', '[Service]', LOOP, '', '[X-Fleet]', 'Global=true', 'MachineMetadata=role=web'],
];

describe('hashUnitFile', () => {
  it.each(RECORDED)('gives %s the hash of fleet, %s', (_, expected, ...lines) => {
    const hash = hashUnitFile(parseUnitFile(`${lines.join('\n')}\n`));
    expect(hash).toMatch(/^[0-9a-f]{40}$/);
    expect(hash.slice(0, expected.length)).toBe(expected);
  });

  it('changes with a value, a name, a section and the order', () => {
    const texts = [
      '[S]\nA=1\nB=2',
      '[S]\nA=1\nB=3',
      '[S]\nA=1\nC=2',
      '[T]\nA=1\nB=2',
      '[S]\nB=2\nA=1',
      '[S]\nA=1\n[T]\nB=2',
    ];
    expect(new Set(texts.map((text) => hashUnitFile(parseUnitFile(text)))).size).toBe(texts.length);
  });
});
