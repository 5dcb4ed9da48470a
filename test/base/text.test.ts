import { describe, expect, it } from 'vitest';
import { nearest } from '../../src/base/text.ts';

const OPTIONS = ['MachineID', 'MachineOf', 'MachineMetadata', 'Conflicts', 'Global', 'Replaces'];

describe('nearest', () => {
  it.each([
    ['machineof', 'MachineOf', 'case does not count'],
    ['Conflict', 'Conflicts', 'a letter is missing'],
    ['Conflictss', 'Conflicts', 'a letter too many'],
    ['Glabal', 'Global', 'a wrong letter'],
    ['MachineFoo', 'MachineOf', 'the nearest of several wins'],
    ['Replaces', 'Replaces', 'the word itself'],
  ])('%s → %s: %s', (word, expected) => {
    expect(nearest(word, OPTIONS)).toBe(expected);
  });

  it.each(['', 'Weight', 'Globalisation', 'x'])('finds nothing near %j', (word) => {
    expect(nearest(word, OPTIONS)).toBeUndefined();
  });

  it('finds nothing among nothing', () => {
    expect(nearest('Global', [])).toBeUndefined();
  });

  it('takes the first of two that are equally near', () => {
    expect(nearest('cat', ['bat', 'rat'])).toBe('bat');
  });
});
