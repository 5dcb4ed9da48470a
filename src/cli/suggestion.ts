import { nearest } from '../base/text.ts';

/**
 * Words of systemctl, docker, kubectl and others → the corresponding commands.
 * `machines:list` is a word after `machines`. A word that is read-only elsewhere never suggests a change: by spelling,
 * `show` would suggest `stop`.
 */
export const ELSEWHERE: readonly (readonly [words: string, commands: readonly string[]])[] = [
  ['show', ['status', 'cat']],
  ['describe inspect', ['status', 'explain']],
  ['info stat state is-active is-failed', ['status']],
  ['is-enabled', ['list-unit-files']],
  ['log logs journalctl tail', ['journal']],
  ['ps ls top units watch list-timers list-sockets list-jobs find search', ['list-units']],
  ['list get', ['list-units', 'list-unit-files', 'list-machines']],
  ['hosts nodes list-hosts list-nodes', ['list-machines']],
  ['machines:list machines:ls machines:get machines:show', ['list-machines']],
  ['versions', ['history']],
  ['why', ['explain']],
  ['check', ['verify', 'doctor']],
  ['test lint validate', ['verify']],
  ['usage man', ['help']],
  ['enable up run reset-failed', ['start']],
  ['mask', ['unload']],
  ['unmask', ['load']],
  ['deploy push', ['start --replace', 'apply']],
  ['pull', ['export']],
  ['rollout', ['start --replace', 'rollback', 'restart']],
  ['scale', ['start', 'stop']],
  ['edit update upgrade daemon-reload', ['start --replace']],
  ['init', ['join', 'machines add']],
  ['migrate', ['adopt']],
  ['machines:edit', ['set']],
  ['create', ['submit', 'add']],
  ['add', ['submit', 'machines add']],
  ['reload', ['restart']],
  ['down kill', ['stop']],
  ['disable', ['stop', 'destroy']],
  ['rm remove delete uninstall', ['destroy', 'remove']],
  ['undo', ['rollback']],
  ['shell exec', ['ssh']],
  ['undrain', ['uncordon']],
];

/**
 * The suggestions for an unknown word: by its meaning elsewhere, else by its spelling. `verbs` are the possible ones, after
 * `group` if there is one. If several verbs are equally near, a read-only one takes precedence.
 */
export function verbsFor(
  word: string,
  verbs: readonly string[],
  isReadOnly: (verb: string) => boolean,
  group?: string,
): readonly string[] {
  const meaningOf = (key: string) => ELSEWHERE.find(([words]) => words.split(' ').includes(key))?.[1];
  const special = group === undefined ? undefined : meaningOf(`${group}:${word}`);
  if (special !== undefined) return special;
  const commands = meaningOf(word)?.filter((command) => verbs.includes(command.replace(/ .*/, '')));
  if (commands !== undefined) return commands;
  // The first of several that are equally near is taken.
  const near = nearest(word, [...verbs.filter(isReadOnly), ...verbs.filter((verb) => !isReadOnly(verb))]);
  return near === undefined ? [] : [near];
}
