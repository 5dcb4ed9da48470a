import { chmodSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { acceptedRounds } from '../../src/cli/voter-cache.ts';

const voter = (name: string): string => `${name} ${'0'.repeat(32)}`;

let home: string;
let file: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'fleet-rounds-'));
  file = join(home, 'registry/voters');
  save(['m1', 5], ['m2', 7]);
});
afterEach(() => rmSync(home, { recursive: true }));

const open = () => acceptedRounds(join(home, 'registry'));

function save(...rounds: readonly (readonly [name: string, round: number])[]): void {
  const memory = open();
  for (const [name, round] of rounds) memory.rounds.set(voter(name), round);
  memory.save();
}

function writeShared(text: string): void {
  writeFileSync(file, text);
  chmodSync(file, 0o666);
}

describe('the memory of voters', () => {
  it('has the highest rounds of all processes', () => {
    const slow = open();
    save(['m1', 9]);
    slow.rounds.set(voter('m1'), 8).set(voter('m3'), 1);
    slow.save();
    expect(Object.fromEntries(open().rounds)).toEqual({
      [voter('m1')]: 9,
      [voter('m2')]: 7,
      [voter('m3')]: 1,
    });
  });

  it('keeps the voters that were seen last', () => {
    for (let i = 0; i < 300; i++) save([`x${i}`, 1]);
    save(['m1', 6]);
    const { rounds } = open();
    expect([rounds.size, rounds.has(voter('x299')), rounds.has(voter('m2'))]).toEqual([256, true, false]);
  });

  it('is written only if it has changed', () => {
    const { ino } = statSync(file);
    save(['m1', 4], ['m2', 7]);
    expect(statSync(file).ino).toBe(ino);
  });

  it.each<[what: string, damage: () => void]>([
    ['garbage', () => writeFileSync(file, '\0\n{}\nm1 x 5\n')],
    ['a link', () => symlinkSync('/etc/hostname', file)],
    ['a file that others can write to', () => writeShared(`${voter('m1')} 9\n`)],
  ])('is empty with %s, and is replaced', (_, damage) => {
    rmSync(file);
    damage();
    expect(open().rounds.size).toBe(0);
    save(['m1', 1]);
    expect(open().rounds).toEqual(new Map([[voter('m1'), 1]]));
  });

  it('is not kept without a folder', () => {
    const memory = acceptedRounds(undefined);
    memory.rounds.set(voter('m1'), 9);
    memory.save();
    expect(acceptedRounds(undefined).rounds.size).toBe(0);
  });
});
