import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { FleetError, isFleetError } from '../../src/base/errors.ts';
import type { Snapshot } from '../../src/store/snapshot.ts';
import { decodeSnapshot, encodeSnapshot } from '../../src/store/snapshot-file.ts';

const SNAPSHOT: Snapshot = {
  revision: 12,
  records: [
    { key: 'machine/web-1', value: '{"id":"148a18ff"}', revision: 3 },
    { key: 'unit/hello.service', value: '[Service]\nExecStart=/bin/echo "Grüße 🚀"\n', revision: 12 },
    { key: 'unit/world.service', value: '', revision: 7 },
  ],
};

describe('the text of a snapshot', () => {
  it('is one line for the header and one for each record', () => {
    const [header, ...records] = encodeSnapshot(SNAPSHOT).toString().split('\n');
    expect(header).toMatch(/^\{"fleet":"registry","format":1,"revision":12,"sha256":"[0-9a-f]{64}"\}$/);
    expect(records).toEqual([
      '{"key":"machine/web-1","revision":3,"value":"{\\"id\\":\\"148a18ff\\"}"}',
      '{"key":"unit/hello.service","revision":12,"value":"[Service]\\nExecStart=/bin/echo \\"Grüße 🚀\\"\\n"}',
      '{"key":"unit/world.service","revision":7,"value":""}',
      '',
    ]);
  });

  it('has a checksum over all of it but the checksum', () => {
    const text = encodeSnapshot(SNAPSHOT).toString();
    const [part = '', sha256] = /,"sha256":"(.*?)"/.exec(text) ?? [];
    expect(createHash('sha256').update(text.replace(part, '')).digest('hex')).toBe(sha256);
  });

  it('is read back as it was', () => {
    expect(decode(encodeSnapshot(SNAPSHOT))).toEqual(SNAPSHOT);
    const empty = { revision: 9, records: [] };
    expect(decode(encodeSnapshot(empty))).toEqual(empty);
  });

  it('keeps half of a surrogate pair, which is no UTF-8', () => {
    const odd = { revision: 1, records: [{ key: 'a', value: '\ud83d', revision: 1 }] };
    expect(decode(encodeSnapshot(odd))).toEqual(odd);
  });
});

describe('damage is always found', () => {
  const bytes = encodeSnapshot(SNAPSHOT);

  it('when any bit of the file is flipped', () => {
    for (let position = 0; position < bytes.length; position++) {
      for (let bit = 0; bit < 8; bit++) {
        const damaged = Buffer.from(bytes);
        damaged[position] = (bytes[position] ?? 0) ^ (1 << bit);
        expect(codeOf(damaged), `byte ${position}, bit ${bit}`).toMatch(/^registry-(corrupt|newer)$/);
      }
    }
  });

  it('when the file is cut off anywhere', () => {
    for (let length = 0; length < bytes.length; length++) {
      expect(codeOf(bytes.subarray(0, length)), `${length} bytes`).toBe('registry-corrupt');
    }
  });

  it('when a piece of the file is missing, doubled or overwritten with zeros', () => {
    for (let start = 0; start < bytes.length; start += 7) {
      const [before, piece, after] = [
        bytes.subarray(0, start),
        bytes.subarray(start, start + 9),
        bytes.subarray(start + 9),
      ];
      expect(codeOf(Buffer.concat([before, after])), `without ${start}`).toBe('registry-corrupt');
      expect(codeOf(Buffer.concat([before, piece, piece, after])), `twice ${start}`).toBe('registry-corrupt');
      expect(codeOf(Buffer.concat([before, Buffer.alloc(piece.length), after])), `zeros ${start}`).toBe(
        'registry-corrupt',
      );
    }
  });

  it('when something is added at the end', () => {
    for (const more of ['\n', ' ', '\0', '{"key":"z","revision":1,"value":""}\n']) {
      expect(codeOf(Buffer.concat([bytes, Buffer.from(more)])), JSON.stringify(more)).toBe(
        'registry-corrupt',
      );
    }
  });
});

describe('what is wrong is said, with the line', () => {
  const record = (key: string, revision: unknown = 1) => JSON.stringify({ key, revision, value: '' });
  const cases: [what: string, text: string, message: RegExp][] = [
    ['an empty file', '', /line 1: the file is empty$/],
    ['something else', 'hello\n', /line 1: not JSON$/],
    ['JSON that is no object', 'null\n', /line 1: not a JSON object$/],
    ['the file of another program', '{"format":1}\n', /line 1: not the header of a fleet registry$/],
    ['a format below the first', sealed({ format: 0 }), /line 1: not the header of a fleet registry$/],
    ['revision 0', sealed({ revision: 0 }), /line 1: bad revision: 0$/],
    ['half a revision', sealed({ revision: 1.5 }), /line 1: bad revision: 1.5$/],
    ['a revision as text', sealed({ revision: '5' }), /line 1: bad revision: "5"$/],
    ['a header alone, without its line end', sealed().trimEnd(), /line 1: the line is cut off$/],
    ['a header written differently', sealed().replace('{', '{ '), /line 1: not a header as fleet writes it$/],
    [
      'another checksum',
      sealed().replace(/[0-9a-f]{64}/, 'f'.repeat(64)),
      /line 1: the checksum does not match/,
    ],
    ['no checksum', '{"fleet":"registry","format":1,"revision":5}\n', /line 1: the checksum does not match/],
    ['a record that is no JSON', sealed({}, record('a'), '{"key":'), /line 3: not JSON$/],
    ['a record without a value', sealed({}, '{"key":"a","revision":1}'), /line 2: not a key with its value$/],
    ['a record from the future', sealed({}, record('a', 6)), /line 2: bad revision: 6$/],
    ['keys out of order', sealed({}, record('b'), record('a')), /line 3: key out of order: "a"$/],
    ['a key twice', sealed({}, record('a'), record('b'), record('b')), /line 4: key out of order: "b"$/],
    [
      'a last line cut off',
      `${sealed({}, record('a'), record('b')).slice(0, -5)}`,
      /line 3: the line is cut off$/,
    ],
  ];
  it.each(cases)('%s', (_what, text, message) => {
    const error = errorOf(Buffer.from(text));
    expect(error).toMatchObject({ code: 'registry-corrupt', message: expect.stringMatching(message) });
    expect(error.message).toContain('"/r/records"');
    expect(error.hint).toContain('backup');
  });

  it('a later format is not damage: it names both versions and says what to do', () => {
    const error = errorOf(Buffer.from('{"fleet":"registry","format":2,"lines":"anything"}\nanything\n'));
    expect(error.code).toBe('registry-newer');
    expect(error.message).toMatch(/"\/r\/records".* format 2.* format 1$/);
    expect(error.hint).toContain('update fleetctl');
  });
});

/** A file with these fields and lines and a checksum that is right, whatever they say. */
function sealed(fields: Record<string, unknown> = {}, ...lines: string[]): string {
  const header = { fleet: 'registry', format: 1, revision: 5, ...fields };
  const body = lines.map((line) => `${line}\n`).join('');
  const sha256 = createHash('sha256')
    .update(`${JSON.stringify(header)}\n${body}`)
    .digest('hex');
  return `${JSON.stringify({ ...header, sha256 })}\n${body}`;
}

function decode(bytes: Buffer): Snapshot {
  return JSON.parse(JSON.stringify(decodeSnapshot('/r/records', bytes)));
}

function errorOf(bytes: Buffer): FleetError {
  try {
    decode(bytes);
  } catch (error) {
    if (error instanceof FleetError) return error;
    throw error;
  }
  throw new Error('read without an error');
}

function codeOf(bytes: Buffer): string {
  const error = errorOf(bytes);
  return isFleetError(error) ? error.code : 'another error';
}
