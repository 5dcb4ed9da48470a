import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Lock, type LockAttempt, sweepLocks, tryLock } from '../../src/store/lock.ts';
import { thisProcess } from '../../src/store/owner.ts';

const dead = JSON.stringify({ ...thisProcess(), pid: 2 ** 30 });
const live = JSON.stringify(thisProcess());

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fleet-lock-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

describe('the lock of a revision', () => {
  it('is a file for the owner alone that says whose it is', () => {
    locked(attempt(7));
    expect(readdirSync(folder)).toEqual(['lock.7.1']);
    expect(JSON.parse(readFileSync(join(folder, 'lock.7.1'), 'utf8'))).toEqual(thisProcess());
    expect(statSync(join(folder, 'lock.7.1')).mode & 0o777).toBe(0o600);
  });

  it('is in the way of everybody else', () => {
    locked(attempt(7));
    expect(attempt(7)).toEqual({ kind: 'busy', owner: thisProcess(), path: join(folder, 'lock.7.1') });
    expect(readdirSync(folder)).toEqual(['lock.7.1']);
  });

  it('goes to the next attempt when its owner gives up without writing', () => {
    locked(attempt(7)).release();
    expect(locked(attempt(7)).name).toBe('7.2');
    expect(attempt(7)).toMatchObject({ kind: 'busy', path: join(folder, 'lock.7.2') });
  });

  const ended: [what: string, contents: string][] = [
    ['whose process is dead', dead],
    ['that is empty', ''],
    ['that a power loss filled with zeros', '\0'.repeat(100)],
  ];
  it.each(ended)('is not held by a file %s', (_what, contents) => {
    writeFileSync(join(folder, 'lock.7.1'), contents);
    writeFileSync(join(folder, 'lock.7.2'), contents);
    expect(locked(attempt(7)).name).toBe('7.3');
  });

  it('is held by the last of several attempts', () => {
    writeFileSync(join(folder, 'lock.7.1'), dead);
    writeFileSync(join(folder, 'lock.7.2'), live);
    expect(attempt(7)).toMatchObject({ kind: 'busy', path: join(folder, 'lock.7.2') });
  });

  it('is not confused with that of another revision', () => {
    locked(attempt(7));
    expect(locked(attempt(8)).name).toBe('8.1');
    expect(locked(attempt(70)).name).toBe('70.1');
  });
});

describe('a process that was slow', () => {
  it('finds out that the revision is written, and leaves nothing', () => {
    const result = tryLock(folder, 7, () => 7);
    expect(result).toEqual({ kind: 'late' });
    expect(readdirSync(folder)).toEqual([]);
  });

  it('checks only after its file is there, so that later processes wait for it', () => {
    let seen: string[] = [];
    tryLock(folder, 7, () => {
      seen = readdirSync(folder).filter((name) => name.startsWith('lock'));
      return 6;
    });
    expect(seen).toEqual(['lock.7.1']);
  });

  it('does not hold the lock when the look fails', () => {
    const failing = () => {
      throw new Error('disk');
    };
    expect(() => tryLock(folder, 7, failing)).toThrow('disk');
    expect(locked(attempt(7)).name).toBe('7.2');
  });
});

describe('sweeping', () => {
  it('removes what written revisions and dead processes left, and nothing else', () => {
    const left = ['lock.6.1', 'lock.7.1', 'lock.7.12', 'records.7.1', 'candidate.dead', 'candidate.empty'];
    const kept = [
      'candidate.live',
      'lock.70.1',
      'lock.8.1',
      'lock.old',
      'notes',
      'records',
      'records.8.1',
      'records.bak',
    ];
    for (const name of [...left, ...kept]) writeFileSync(join(folder, name), live);
    writeFileSync(join(folder, 'candidate.dead'), dead);
    writeFileSync(join(folder, 'candidate.empty'), '');
    sweepLocks(folder, 7);
    expect(readdirSync(folder).sort()).toEqual(kept);
  });

  it('leaves what it cannot remove to the next commit', () => {
    mkdirSync(join(folder, 'lock.6.1'));
    expect(() => sweepLocks(folder, 7)).not.toThrow();
    expect(() => sweepLocks(join(folder, 'absent'), 7)).not.toThrow();
  });
});

function attempt(revision: number): LockAttempt {
  return tryLock(folder, revision, () => revision - 1);
}

function locked(result: LockAttempt): Lock {
  if (result.kind !== 'locked') throw new Error(`not locked: ${result.kind}`);
  return result.lock;
}
