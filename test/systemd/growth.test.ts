import { expect, it } from 'vitest';
import { FrameReader } from '../../src/systemd/frame.ts';
import { readObservation } from '../../src/systemd/observation.ts';
import { writeRecord } from '../../src/systemd/record.ts';
import { idOf } from '../support/builders.ts';
import { growthOf } from '../support/operations.ts';

const MARKER = '0123456789abcdef0123456789abcdef';
/** Bytes that arrive at once. */
const CHUNK = 4096;

/** What a machine prints that has `size` units of fleet. */
function outputOf(size: number): Buffer {
  const names = Array.from({ length: size }, (_, index) => `unit-${index}.service`);
  const digest = 'd'.repeat(64);
  const shown = (name: string): string =>
    `Id=${name}\nNames=${name}\nLoadState=loaded\nActiveState=active\nSubState=running\n`;
  const record = (unit: string): string =>
    writeRecord({ unit, token: 3, hash: 'a'.repeat(40), digest, target: 'launched' });
  const sections: readonly (readonly [string, string])[] = [
    ['facts', `machine-id ${idOf('m1')}\nboot-id b0b0\nuptime 12.34\n`],
    ['records', names.map(record).join('')],
    ['recorded', names.join(' ')],
    ['found', names.join(' ')],
    ['digests', names.map((name) => `${digest}  ${name}\n`).join('')],
    ['links', names.map((name) => `multi-user.target.wants/${name}\n`).join('')],
    ['units', names.map(shown).join('\n')],
    ['end', ''],
  ];
  return Buffer.from(
    sections.map(([name, text]) => `${MARKER} ${name} 0 ${Buffer.byteLength(text)}\n${text}`).join(''),
  );
}

it('the work for the answer of a machine grows in proportion to its units', async () => {
  const growth = await growthOf(600, async (size) => {
    const output = outputOf(size);
    const reader = new FrameReader(MARKER);
    const answer = reader.readAnswer();
    reader.stderr(Buffer.from(`\n${MARKER}\n`.repeat(8)));
    for (let start = 0; start < output.length; start += CHUNK)
      reader.stdout(output.subarray(start, start + CHUNK));
    const names = Array.from({ length: size }, (_, index) => `unit-${index}.service`);
    const request = { names, digests: true };
    const { units } = readObservation('m1', request, await answer);
    expect(units).toHaveLength(size);
    expect(units[0]).toMatchObject({ record: { token: 3 }, digest: 'd'.repeat(64) });
  });
  expect(growth).toBeGreaterThan(3.5);
  expect(growth).toBeLessThan(4.5);
});
