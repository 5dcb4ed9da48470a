import { describe, expect, it } from 'vitest';
import { COMMANDS, isReadOnly } from '../../src/cli/commands/all.ts';
import { ELSEWHERE, verbsFor } from '../../src/cli/suggestion.ts';

const VERBS = COMMANDS.map(({ name }) => name);

/** Verbs that change the registry, machines or fleet.conf, or that run what they are given. */
const CHANGING = [
  ...['submit', 'load', 'start', 'stop', 'restart', 'unload', 'destroy', 'rollback', 'machines', 'ssh'],
  ...['cordon', 'uncordon', 'drain', 'reconcile', 'recover', 'registry', 'controller', 'join'],
  ...['apply', 'adopt'],
];

describe('the verb that an unknown word stands for', () => {
  it.each<readonly [string, readonly string[]]>([
    ['show', ['status', 'cat']],
    ['describe', ['status', 'explain']],
    ['inspect', ['status', 'explain']],
    ['is-active', ['status']],
    ['logs', ['journal']],
    ['log', ['journal']],
    ['ps', ['list-units']],
    ['top', ['list-units']],
    ['stat', ['status']],
    ['rm', ['destroy']],
    ['delete', ['destroy']],
    ['run', ['start']],
    ['up', ['start']],
    ['down', ['stop']],
    ['reset-failed', ['start']],
    ['mask', ['unload']],
    ['unmask', ['load']],
    ['deploy', ['start --replace', 'apply']],
    ['push', ['start --replace', 'apply']],
    ['pull', ['export']],
    ['rollout', ['start --replace', 'rollback', 'restart']],
    ['scale', ['start', 'stop']],
    ['daemon-reload', ['start --replace']],
    ['edit', ['start --replace']],
    ['update', ['start --replace']],
    ['upgrade', ['start --replace']],
    ['init', ['join', 'machines add']],
    ['migrate', ['adopt']],
    ['enable', ['start']],
    ['disable', ['stop', 'destroy']],
    ['reload', ['restart']],
    ['get', ['list-units', 'list-unit-files', 'list-machines']],
    ['nodes', ['list-machines']],
    ['exec', ['ssh']],
    ['undrain', ['uncordon']],
    ['strat', ['start']],
    ['stpo', ['stop']],
    ['list-unit', ['list-units']],
    ['statsu', ['status']],
    ['jornal', ['journal']],
    ['hepl', ['help']],
  ])('%s → %j', (word, verbs) => {
    expect(verbsFor(word, VERBS, isReadOnly)).toEqual(verbs);
  });

  it.each(['shows', 'shwo', 'frobnicate', '', 'constructor', '__proto__'])('%j stands for none', (word) => {
    expect(verbsFor(word, VERBS, isReadOnly)).toEqual([]);
  });

  it.each<readonly [string, string, readonly string[]]>([
    ['machines', 'rm', ['remove']],
    ['machines', 'edit', ['set']],
    ['machines', 'list', ['list-machines']],
    ['machines', 'acept', ['accept']],
    ['machines', 'start', []],
    ['controller', 'uninstall', ['remove']],
    ['controller', 'delete', ['remove']],
  ])('%s %s → %j', (group, word, verbs) => {
    const { subcommands = [] } = COMMANDS.find(({ name }) => name === group) ?? {};
    expect(
      verbsFor(
        word,
        subcommands.map(({ name }) => name),
        isReadOnly,
        group,
      ),
    ).toEqual(verbs);
  });

  it('is never read-only if it changes something', () => {
    expect(CHANGING.filter((verb) => isReadOnly(verb))).toEqual([]);
    expect(VERBS).toEqual(expect.arrayContaining(CHANGING));
  });

  it('a word of another tool leads to verbs that exist, all of one kind', () => {
    const paths = COMMANDS.flatMap(({ name, subcommands = [] }) => [
      name,
      ...subcommands.map((each) => each.name),
    ]);
    for (const [, commands] of ELSEWHERE) {
      const verbs = commands.map((command) => command.replace(/ .*/, ''));
      expect(paths).toEqual(expect.arrayContaining(verbs));
      expect(new Set(verbs.map((verb) => isReadOnly(verb))).size).toBeLessThan(2);
    }
  });
});
