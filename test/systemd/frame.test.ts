import { describe, expect, it } from 'vitest';
import { FrameReader, type Section } from '../../src/systemd/frame.ts';

const MARKER = '0123456789abcdef0123456789abcdef';

const section = (name: string, stdout = '', stderr = '', status = 0): Section => ({
  name,
  status,
  stdout,
  stderr,
});

const FACTS = section('facts', 'machine-id 1\nboot-id 2');
const ODD = section('units', 'äöü 🚢\n\nId=x', 'Fähre: kein Bus', 5);
const EMPTY = section('guard:12');
const END = section('end');

/** What a script prints for these sections, on each of its streams. */
function print(
  sections: readonly Section[],
  noise = '',
): { readonly stdout: Buffer; readonly stderr: Buffer } {
  const stdout = sections.map(({ name, status, stdout: text }) => {
    const bytes = Buffer.byteLength(text);
    return `${noise}${MARKER} ${name} ${status} ${bytes}\n${text}`;
  });
  const stderr = sections.map(({ stderr: text }) => `${text}\n${MARKER}\n`);
  return { stdout: Buffer.from(stdout.join('')), stderr: Buffer.from(stderr.join('')) };
}

function readerOf(): { reader: FrameReader; answer: Promise<readonly Section[]> } {
  const reader = new FrameReader(MARKER);
  return { reader, answer: reader.readAnswer() };
}

describe('frames', () => {
  it('are read with their streams, statuses and bytes', async () => {
    const { reader, answer } = readerOf();
    const { stdout, stderr } = print([FACTS, ODD, EMPTY, END]);
    reader.stdout(stdout);
    reader.stderr(stderr);
    expect(await answer).toEqual([FACTS, ODD, EMPTY]);
  });

  it('may be split at any byte of standard output, inside a character too', async () => {
    const { stdout, stderr } = print([FACTS, ODD, END], 'noise\n');
    for (let at = 0; at <= stdout.length; at++) {
      const { reader, answer } = readerOf();
      reader.stderr(stderr);
      reader.stdout(stdout.subarray(0, at));
      reader.stdout(stdout.subarray(at));
      expect([at, await answer]).toEqual([at, [FACTS, ODD]]);
    }
  });

  it('are found behind a shell that shows what it is given', async () => {
    const { stdout, stderr } = print([FACTS, ODD, END], `M='${MARKER}'\n$ section facts ${MARKER}\n`);
    const { reader, answer } = readerOf();
    reader.stderr(stderr);
    for (const byte of stdout) reader.stdout(Buffer.from([byte]));
    expect(await answer).toEqual([FACTS, ODD]);
  });

  it('may be split at any byte of standard error, inside a character too', async () => {
    const { stdout, stderr } = print([FACTS, ODD, END]);
    for (let at = 0; at <= stderr.length; at++) {
      const { reader, answer } = readerOf();
      reader.stderr(stderr.subarray(0, at));
      reader.stdout(stdout);
      reader.stderr(stderr.subarray(at));
      expect([at, await answer]).toEqual([at, [FACTS, ODD]]);
    }
  });

  it('may come byte by byte, one stream after the other or in turns', async () => {
    const { stdout, stderr } = print([FACTS, ODD, EMPTY, END]);
    for (const order of ['stdout first', 'stderr first', 'in turns'] as const) {
      const { reader, answer } = readerOf();
      const bytes = [
        ...[...stdout].map((byte, index) => ({ byte, index, to: 'stdout' as const })),
        ...[...stderr].map((byte, index) => ({ byte, index, to: 'stderr' as const })),
      ];
      if (order === 'stderr first') bytes.sort((a, b) => a.to.localeCompare(b.to) || a.index - b.index);
      if (order === 'in turns') bytes.sort((a, b) => a.index - b.index);
      for (const { byte, to } of bytes) reader[to](Buffer.from([byte]));
      expect([order, await answer]).toEqual([order, [FACTS, ODD, EMPTY]]);
    }
  });

  it.each([
    ['a greeting of the login shell', 'Welcome to Debian!\n'],
    ['a greeting that does not end its line', 'Welcome to Debian! '],
    ['something similar to a frame', `${'f'.repeat(32)} facts 0 4\nfake`],
    ['a marker without a header', `${MARKER}\n`],
    ['a header that is not one', `${MARKER} facts zero 4\n`],
    ['bytes that are no text', '\u0000\u00ff\ufffd'],
  ])('stand out from noise before and between them: %s', async (_, noise) => {
    const { reader, answer } = readerOf();
    const { stdout, stderr } = print([FACTS, ODD, END], noise);
    reader.stdout(stdout);
    reader.stderr(stderr);
    expect(await answer).toEqual([FACTS, ODD]);
  });

  it('hold whatever a unit prints, frames and all', async () => {
    const imitation = `\n${'f'.repeat(32)} end 0 0\n${MARKER} end 0 0\n\n${MARKER}\n`;
    const told = section('journal:0', imitation);
    const { reader, answer } = readerOf();
    const { stdout, stderr } = print([told, FACTS, END]);
    reader.stdout(stdout);
    reader.stderr(stderr);
    expect(await answer).toEqual([told, FACTS]);
  });

  it('are separate answers, and may come before they are requested', async () => {
    const { reader, answer } = readerOf();
    const { stdout, stderr } = print([FACTS, END, ODD, END]);
    reader.stdout(stdout);
    reader.stderr(stderr);
    expect(await answer).toEqual([FACTS]);
    expect(await reader.readAnswer()).toEqual([ODD]);
  });

  it('of 1 MB are read whole', async () => {
    const large = section('units', 'Id=ünit.service\n'.repeat(64 * 1024));
    const { reader, answer } = readerOf();
    const { stdout, stderr } = print([large, END]);
    reader.stderr(stderr);
    for (let at = 0; at < stdout.length; at += 32_768) reader.stdout(stdout.subarray(at, at + 32_768));
    expect((await answer)[0]?.stdout === large.stdout).toBe(true);
  });
});

describe('a script that ends too early', () => {
  it('fails the answer, wherever it ends', async () => {
    const { stdout, stderr } = print([FACTS, END]);
    for (let at = 0; at < stdout.length; at++) {
      const { reader, answer } = readerOf();
      reader.stderr(stderr);
      reader.stdout(stdout.subarray(0, at));
      reader.fail(new Error('gone'));
      await expect(answer).rejects.toThrow('gone');
    }
  });

  it('fails the answer when only standard error is missing', async () => {
    const { reader, answer } = readerOf();
    reader.stdout(print([FACTS, END]).stdout);
    reader.fail(new Error('gone'));
    await expect(answer).rejects.toThrow('gone');
  });

  it('fails every later answer, for the first reason', async () => {
    const { reader, answer } = readerOf();
    reader.fail(new Error('first'));
    reader.fail(new Error('second'));
    await expect(answer).rejects.toThrow('first');
    await expect(reader.readAnswer()).rejects.toThrow('first');
  });

  it('still gives a answer that had come in full', async () => {
    const reader = new FrameReader(MARKER);
    const { stdout, stderr } = print([FACTS, END]);
    reader.stdout(stdout);
    reader.stderr(stderr);
    reader.fail(new Error('gone'));
    expect(await reader.readAnswer()).toEqual([FACTS]);
    await expect(reader.readAnswer()).rejects.toThrow('gone');
  });

  it.each([
    ['the words of sudo', '', 'sudo: a password is required\n', 'sudo: a password is required'],
    [
      'the words of nologin, on standard output',
      'This account is not available.\n',
      '',
      'This account is not available.',
    ],
    ['nothing', '', ' \n', ''],
  ])('tells what was said last: %s', (_, stdout, stderr, expected) => {
    const { reader, answer } = readerOf();
    answer.catch(() => undefined);
    reader.stdout(Buffer.from(stdout));
    reader.stderr(Buffer.from(stderr));
    expect(reader.remainder).toBe(expected);
  });

  it('never tells the marker', () => {
    const { reader, answer } = readerOf();
    answer.catch(() => undefined);
    reader.stderr(Buffer.from(`\n${MARKER}\n`));
    expect(reader.remainder).toBe('');
    reader.stdout(Buffer.from(`${MARKER} facts 0 12\nmach`));
    expect(reader.remainder).not.toContain(MARKER);
  });
});

it('two answers cannot be read at once', () => {
  const { reader } = readerOf();
  expect(() => reader.readAnswer()).toThrow('An answer is being read already');
});
