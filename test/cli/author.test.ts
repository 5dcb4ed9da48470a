import { hostname, userInfo } from 'node:os';
import { describe, expect, it } from 'vitest';
import { authorOf } from '../../src/cli/registry.ts';

const IS_ROOT = process.geteuid?.() === 0;

describe('the author of a change', () => {
  it('is the user of the process', () => {
    expect(authorOf({})).toBe(`${userInfo().username}@${hostname()}`);
  });

  it.runIf(IS_ROOT).each([
    ['sudo', { SUDO_USER: 'ada' }, 'ada'],
    ['doas', { DOAS_USER: 'ada' }, 'ada'],
    ['sudo of root', { SUDO_USER: 'root' }, 'root'],
    ['an empty variable', { SUDO_USER: '' }, 'root'],
  ])('is the person behind root: %s', (_, env, person) => {
    expect(authorOf(env)).toBe(`${person}@${hostname()}`);
  });

  it.runIf(IS_ROOT)('is not taken from the environment of another user', () => {
    process.seteuid?.(65_534);
    try {
      expect(authorOf({ SUDO_USER: 'ada' })).not.toContain('ada');
    } finally {
      process.seteuid?.(0);
    }
  });
});
