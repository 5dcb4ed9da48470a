import { describe, expect, it } from 'vitest';
import { FleetError, isFleetError } from '../../src/base/errors.ts';
import { type Placement, parsePlacement } from '../../src/unit/placement.ts';
import { parseUnitFile } from '../../src/unit/unit-file.ts';
import { parseUnitName } from '../../src/unit/unit-name.ts';
import { pickText, seeded } from '../support/random.ts';

const ID = '4b9e6343d3256ef6877f201be0a19a18';

const NOTHING: Placement = {
  machineId: undefined,
  metadata: {},
  machineOf: [],
  conflicts: [],
  global: false,
  replaces: [],
  fence: undefined,
  target: undefined,
  instances: [],
  maxParallel: undefined,
  healthyForMs: undefined,
  healthExec: undefined,
  healthyWithinMs: undefined,
  onFailedUpdate: undefined,
  confirmMs: undefined,
};

/** The placement of a unit with these lines in `[X-Fleet]`, which begins on line 4. */
function place(lines: string, name = 'web.service'): Placement {
  return parsePlacement(
    parseUnitFile(`[Service]\nExecStart=/bin/true\n\n[X-Fleet]\n${lines}\n`),
    parseUnitName(name),
  );
}

function errorOf(lines: string, name?: string): FleetError {
  try {
    place(lines, name);
  } catch (error) {
    if (isFleetError(error, 'placement')) return error;
    throw error;
  }
  throw new Error(`no error for ${JSON.stringify(lines)}`);
}

describe('parsePlacement', () => {
  it('asks for nothing without [X-Fleet]', () => {
    const file = parseUnitFile('[Service]\nExecStart=/bin/true\nMachineID=ignored\n');
    expect(parsePlacement(file, parseUnitName('web.service'))).toEqual(NOTHING);
  });

  it.each<[string, string, Partial<Placement>]>([
    ['a machine id', `MachineID=${ID}`, { machineId: ID }],
    ['in upper case', `MachineID=${ID.toUpperCase()}`, { machineId: ID }],
    ['as a UUID', 'MachineID=4b9e6343-d325-6ef6-877f-201be0a19a18', { machineId: ID }],
    ['by its first eight digits', 'MachineID=4B9E6343', { machineId: '4b9e6343' }],
    ['the same one twice', `MachineID=${ID}\nMachineID=${ID}`, { machineId: ID }],
    ['short and long', `MachineID=4b9e6343\nMachineID=${ID}`, { machineId: ID }],
    ['long and short', `MachineID=${ID}\nMachineID=4b9e6343`, { machineId: ID }],
    ['one pair', 'MachineMetadata=role=web', { metadata: { role: ['web'] } }],
    [
      'two keys, both to match',
      'MachineMetadata=role=web\nMachineMetadata=region=a',
      { metadata: { role: ['web'], region: ['a'] } },
    ],
    [
      'two values of a key, either will do',
      'MachineMetadata="region=b" "region=zz"',
      { metadata: { region: ['b', 'zz'] } },
    ],
    [
      'several a line without quotes',
      'MachineMetadata=region=b region=zz  disk=ssd',
      { metadata: { region: ['b', 'zz'], disk: ['ssd'] } },
    ],
    ['the same pair twice', 'MachineMetadata=role=web role=web', { metadata: { role: ['web'] } }],
    ['a value with blanks', 'MachineMetadata="city=New York"', { metadata: { city: ['New York'] } }],
    ['single quotes', "MachineMetadata='role=web'", { metadata: { role: ['web'] } }],
    ['quotes around the value only', 'MachineMetadata=role="web"', { metadata: { role: ['web'] } }],
    [
      'a key with a name that objects know',
      'MachineMetadata=__proto__=x',
      { metadata: Object.fromEntries([['__proto__', ['x']]]) },
    ],
    [
      'values over several lines',
      'MachineMetadata=role=web \\\n# not db\n  disk=ssd',
      { metadata: { role: ['web'], disk: ['ssd'] } },
    ],
    ['the unit to be with', 'MachineOf=hello.service', { machineOf: ['hello.service'] }],
    ['without its suffix', 'MachineOf=hello tick.timer', { machineOf: ['hello.service', 'tick.timer'] }],
    [
      'units to stay away from',
      'Conflicts=a.service b@*.service',
      { conflicts: ['a.service', 'b@*.service'] },
    ],
    ['a plain one without its suffix', 'Conflicts=a\nConflicts=b*', { conflicts: ['a.service', 'b*'] }],
    ['a name with a backslash', 'Conflicts=foo\\x2dbar', { conflicts: ['foo\\x2dbar.service'] }],
    ['its own siblings and itself', 'Conflicts=web*', { conflicts: ['web*'] }],
    ['the unit to replace', 'Replaces=old', { replaces: ['old.service'] }],
    ['global', 'Global=true', { global: true }],
    ['the last Global holds', 'Global=true\nGlobal=false', { global: false }],
    [
      'global with metadata',
      'Global=yes\nMachineMetadata=role=web',
      { global: true, metadata: { role: ['web'] } },
    ],
    ['global with conflicts', 'Global=1\nConflicts=a.service', { global: true, conflicts: ['a.service'] }],
    ['not global, so it may name a machine', `Global=no\nMachineID=${ID}`, { machineId: ID }],
    ['an emptied list', 'Conflicts=a.service\nConflicts=\nConflicts=b.service', { conflicts: ['b.service'] }],
    ['an emptied machine id', `MachineID=${ID}\nMachineID=`, {}],
    ['an emptied Global', 'Global=true\nGlobal=', {}],
    [
      'the deprecated spellings',
      `X-ConditionMachineID=${ID}\nX-ConditionMachineMetadata=role=web`,
      { machineId: ID, metadata: { role: ['web'] } },
    ],
    [
      'more of them',
      'X-ConditionMachineOf=a.service\nX-Conflicts=b.service',
      { machineOf: ['a.service'], conflicts: ['b.service'] },
    ],
    [
      'both spellings add up',
      'X-Conflicts=a.service\nConflicts=b.service',
      { conflicts: ['a.service', 'b.service'] },
    ],
    ['either spelling empties both', 'X-Conflicts=a.service\nConflicts=', {}],
  ])('reads %s', (_, lines, expected) => {
    expect(place(lines)).toEqual({ ...NOTHING, ...expected });
  });

  it.each(['1', 'yes', 'true', 'on', 'YES', 'True', 't', 'y'])('takes Global=%s for true', (value) => {
    expect(place(`Global=${value}`).global).toBe(true);
  });

  it.each(['0', 'no', 'false', 'off', 'OFF', 'False', 'f', 'n'])('takes Global=%s for false', (value) => {
    expect(place(`Global=${value}`).global).toBe(false);
  });
});

describe('specifiers in [X-Fleet]', () => {
  it('are those of the instance', () => {
    const lines = 'MachineMetadata=role=%i\nMachineOf=%p-data@%i\nConflicts=%p@*.service';
    expect(place(lines, 'web@db.service')).toEqual({
      ...NOTHING,
      metadata: { role: ['db'] },
      machineOf: ['web-data@db.service'],
      conflicts: ['web@*.service'],
    });
  });

  it('cannot break a word in two', () => {
    expect(place('MachineMetadata="city=%i York"', 'web@New').metadata).toEqual({ city: ['New York'] });
  });

  it('wait, in a template, for the instance', () => {
    const lines = `MachineMetadata=role=%i disk=ssd\nMachineOf=%i\nMachineID=%i\nGlobal=%i\nConflicts=%n %p@*.service`;
    expect(place(lines, 'web@.service')).toEqual({
      ...NOTHING,
      metadata: { disk: ['ssd'] },
      conflicts: ['web@*.service'],
    });
  });

  it('do not empty what stands before them in a template', () => {
    expect(place('Conflicts=a.service\nConflicts=b@%i.service', 'web@.service').conflicts).toEqual([
      'a.service',
    ]);
  });

  it('are shown with what they came to', () => {
    expect(errorOf('MachineMetadata=role=%i').message).toBe(
      'Cannot read the placement of "web.service", line 5: MachineMetadata is not key=value: "role=%i", which is "role=" here',
    );
  });

  it('that only a machine knows make no unit name', () => {
    expect(errorOf('MachineOf=web-%H').message).toContain('it must not contain "%"');
  });
});

describe('parsePlacement refuses', () => {
  it.each([
    [
      'an unknown option',
      'MachineFoo=bar',
      'line 5: unknown option in [X-Fleet]: "MachineFoo"',
      'Did you mean MachineOf?',
    ],
    ['another case', 'global=true', 'line 5: unknown option in [X-Fleet]: "global"', 'Did you mean Global?'],
    [
      'an option near nothing',
      'Weight=3',
      'line 5: unknown option in [X-Fleet]: "Weight"',
      /MachineID, MachineMetadata/,
    ],
    [
      'an option named like an object’s',
      'constructor=x',
      'line 5: unknown option in [X-Fleet]: "constructor"',
      /MachineID/,
    ],
    [
      'a boot id',
      'X-ConditionMachineBootID=x',
      'line 5: unknown option in [X-Fleet]: "X-ConditionMachineBootID"',
      'Did you mean X-ConditionMachineID?',
    ],
    ['a bad boolean', 'Global=maybe', 'line 5: Global is neither true nor false: "maybe"', /true or false/],
    [
      'a pair without =',
      'MachineMetadata=roleweb',
      'line 5: MachineMetadata is not key=value: "roleweb"',
      /role=web/,
    ],
    [
      'a pair without a value',
      '\nMachineMetadata=role=',
      'line 6: MachineMetadata is not key=value: "role="',
      /role=web/,
    ],
    [
      'a pair without a key',
      'MachineMetadata==web',
      'line 5: MachineMetadata is not key=value: "=web"',
      /role=web/,
    ],
    [
      'two = in a pair',
      'MachineMetadata=a=b=c',
      'line 5: MachineMetadata is not key=value: "a=b=c"',
      /role=web/,
    ],
    [
      'blanks around =',
      'MachineMetadata="role = web"',
      'line 5: MachineMetadata is not key=value: "role = web"',
      /role=web/,
    ],
    ['an empty pair', 'MachineMetadata=""', 'line 5: MachineMetadata is not key=value: ""', /role=web/],
    [
      'a quote that is not closed',
      'MachineMetadata="role=web',
      'line 5: MachineMetadata has an open quote: "\\"role=web"',
      /./,
    ],
    [
      'a short machine id',
      'MachineID=4b9e',
      'line 5: MachineID is not a machine id: "4b9e"',
      /32 hex digits/,
    ],
    [
      'a machine id that is not hex',
      `MachineID=${'z'.repeat(32)}`,
      `line 5: MachineID is not a machine id: "${'z'.repeat(32)}"`,
      /32 hex digits/,
    ],
    [
      'dashes in odd places',
      'MachineID=4b9e6343-d3256ef6877f201be0a19a18',
      'line 5: MachineID is not a machine id: "4b9e6343-d3256ef6877f201be0a19a18"',
      /32/,
    ],
    [
      'two machines',
      `MachineID=${ID}\nMachineID=8f990228`,
      `line 6: MachineID names another machine than "${ID}": "8f990228"`,
      /one machine/,
    ],
    [
      'a malformed glob',
      'Conflicts=web[',
      'line 5: Conflicts is not a glob, a "[" is not closed correctly: "web["',
      /web@\*/,
    ],
    [
      'a list with commas',
      'Conflicts=a.service,b.service',
      'line 5: Conflicts is not a unit name, it must not contain ",": "a.service,b.service"',
      /./,
    ],
    [
      'a bad unit name',
      'MachineOf=a$b',
      'line 5: MachineOf is not a unit name, it must not contain "$": "a$b"',
      /web\.service/,
    ],
    [
      'a glob where a name belongs',
      'Replaces=a@*',
      'line 5: Replaces is not a unit name, it must not contain "*": "a@*"',
      /web\.service/,
    ],
    [
      'a template to be with',
      'MachineOf=db@.service',
      'line 5: MachineOf names a template, which never runs itself: "db@.service"',
      /db@1\.service/,
    ],
    [
      'a template to stay away from',
      'Conflicts=db@',
      'line 5: Conflicts names a template, which never runs itself: "db@"',
      /db@\*\.service/,
    ],
    [
      'the unit itself as company',
      'MachineOf=web',
      'line 5: MachineOf is the unit itself: "web"',
      'Name another unit',
    ],
    [
      'the unit itself to replace',
      'Replaces=web.service',
      'line 5: Replaces is the unit itself: "web.service"',
      'Name another unit',
    ],
    [
      'a global unit on one machine',
      `Global=true\nMachineID=${ID}`,
      `line 6: MachineID cannot be used with Global: "${ID}"`,
      /MachineMetadata/,
    ],
    [
      'a global unit with company',
      'MachineOf=hello\nGlobal=true',
      'line 5: MachineOf cannot be used with Global: "hello"',
      /MachineMetadata/,
    ],
    [
      'a global unit that replaces',
      'Global=true\nReplaces=hello',
      'line 6: Replaces cannot be used with Global: "hello"',
      /MachineMetadata/,
    ],
    [
      'conflicts and a replacement',
      'Replaces=hello\nConflicts=foo',
      'line 5: Replaces cannot be used with Conflicts: "hello"',
      /./,
    ],
    [
      'company it conflicts with',
      'MachineOf=a b\nConflicts=b*',
      'line 5: MachineOf contradicts the unit\'s own Conflicts "b*": "b"',
      /./,
    ],
    [
      'the deprecated spelling by its name',
      'X-Conflicts=[',
      'line 5: X-Conflicts is not a glob, a "[" is not closed correctly: "["',
      /./,
    ],
  ])('%s', (_, lines, problem, hint) => {
    const error = errorOf(lines);
    expect(error.message).toBe(`Cannot read the placement of "web.service", ${problem}`);
    expect(error.hint).toMatch(hint);
  });

  it.each(['x-fleet', 'XFleet', 'X-fleet', 'X_Fleet', 'X-Fleets', 'X-Flet', 'Fleet', 'X-FLEET'])(
    'a section [%s]',
    (section) => {
      const file = parseUnitFile(`[Service]\nExecStart=/bin/true\n[${section}]\nGlobal=true\n`);
      expect(() => parsePlacement(file, parseUnitName('web'))).toThrow(
        `Cannot read the placement of "web.service", line 4: unknown section: "${section}"`,
      );
    },
  );

  it.each([
    'Unit',
    'Install',
    'Socket',
    'Timer',
    'Path',
    'Mount',
    'Automount',
    'Swap',
    'Slice',
    'Container',
    'X-Other',
    'X-Fleet-Notes',
  ])('no section [%s]', (section) => {
    const file = parseUnitFile(`[${section}]\nGlobal=true\n`);
    expect(parsePlacement(file, parseUnitName('web'))).toEqual(NOTHING);
  });
});

describe('on arbitrary sections', () => {
  const PIECES = [
    'Global',
    'Conflicts',
    'MachineOf',
    'MachineMetadata',
    'Replaces',
    '=',
    '=',
    'true',
    'a',
    'web',
    'b=c',
    ' ',
    '"',
    "'",
    '*',
    '[a]',
    '%i',
    '%',
    '\\',
    '\n',
    '\n',
    '@',
  ];

  it('gives a placement or a FleetError that names the line', () => {
    let read = 0;
    for (let seed = 0; seed < 5000; seed++) {
      const random = seeded(seed);
      const text = `[X-Fleet]\nConflicts=${pickText(random, PIECES, 12)}`;
      const name = parseUnitName(['web', 'web@1', 'web@'][seed % 3] ?? 'web');
      try {
        const placement = parsePlacement(parseUnitFile(text), name);
        expect(Object.keys(placement), `seed ${seed}`).toEqual(Object.keys(NOTHING));
        read++;
      } catch (error) {
        expect(error, `seed ${seed}: ${JSON.stringify(text)}`).toBeInstanceOf(FleetError);
        expect((error as FleetError).message).toMatch(/line \d+: /);
      }
    }
    expect(read).toBeGreaterThan(250);
  });

  it.each([
    ['very many words', 'a '.repeat(50_000)],
    ['very many quotes', '"a" '.repeat(50_000)],
    ['one long word', 'a'.repeat(1_000_000)],
    ['quotes in one word', '""'.repeat(500_000)],
    ['one long run of quotes that do not close', `${'""'.repeat(100_000)}"`],
    ['a class that never ends', `[${'a'.repeat(1_000_000)}`],
    ['very many words of metadata', `${'b=c '.repeat(25_000)}x`],
  ])('survives %s', (_, value) => {
    for (const option of ['Conflicts', 'MachineMetadata', 'MachineOf', 'MachineID', 'Global', 'Nonsense']) {
      const file = parseUnitFile(`[X-Fleet]\n${option}=${value}\n`);
      try {
        parsePlacement(file, parseUnitName('web'));
      } catch (error) {
        expect(error).toBeInstanceOf(FleetError);
        expect((error as FleetError).message.length).toBeLessThan(600);
      }
    }
  });
});
