import { describe, expect, it } from 'vitest';
import { COMMANDS } from '../../src/cli/program.ts';
import { ELSEWHERE, READING, verbsFor } from '../../src/cli/suggestion.ts';

const VERBS = COMMANDS.map(({ name }) => name);

/** Verbs that change the registry, machines or fleet.conf, or that run what they are given. */
const CHANGING = [
  ...['submit', 'load', 'start', 'stop', 'restart', 'unload', 'destroy', 'rollback', 'machines', 'ssh'],
  ...['cordon', 'uncordon', 'drain', 'reconcile', 'recover', 'registry', 'controller'],
];

describe('the verb that an unknown word stands for', () => {
  it.each<readonly [string, readonly string[]]>([
    ['show', ['status', 'cat']],
    ['logs', ['journal']],
    ['log', ['journal']],
    ['ps', ['list-units']],
    ['top', ['list-units']],
    ['stat', ['status']],
    ['rm', ['destroy']],
    ['strat', ['start']],
    ['stpo', ['stop']],
    ['list-unit', ['list-units']],
    ['statsu', ['status']],
    ['jornal', ['journal']],
    ['hepl', ['help']],
  ])('%s → %j', (word, verbs) => {
    expect(verbsFor(word, [...VERBS, 'help'])).toEqual(verbs);
  });

  it.each(['reload', 'daemon-reload', 'edit', 'shows', 'shwo', 'frobnicate', '', 'constructor', '__proto__'])(
    '%j stands for none',
    (word) => {
      expect(verbsFor(word, VERBS)).toEqual([]);
    },
  );

  it('every verb either reads or changes something', () => {
    expect([...READING, ...CHANGING].toSorted()).toEqual([...VERBS, 'help'].toSorted());
  });

  it('a word of another tool leads to verbs that exist, all of one kind', () => {
    for (const verbs of Object.values(ELSEWHERE)) {
      expect([...VERBS, 'help']).toEqual(expect.arrayContaining([...verbs]));
      expect(new Set(verbs.map((verb) => READING.includes(verb))).size).toBeLessThan(2);
    }
  });
});
