import { nearest } from '../base/nearest.ts';

/** Verbs that change nothing anywhere. */
export const READING = [
  ...['cat', 'history', 'explain', 'verify', 'status', 'journal', 'list-units', 'list-unit-files'],
  ...['list-machines', 'doctor', 'events', 'version', 'help', 'completion'],
];

/**
 * Words of other tools, with the verbs that do the same here; none for what fleetctl does not do. A word that reads
 * there never leads to a verb that changes something: by its spelling alone, `show` is near to `stop`.
 */
export const ELSEWHERE: Readonly<Record<string, readonly string[]>> = {
  show: ['status', 'cat'],
  describe: ['status', 'explain'],
  inspect: ['status', 'explain'],
  info: ['status'],
  stat: ['status'],
  state: ['status'],
  'is-active': ['status'],
  'is-failed': ['status'],
  'is-enabled': ['list-unit-files'],
  log: ['journal'],
  logs: ['journal'],
  journalctl: ['journal'],
  tail: ['journal'],
  ps: ['list-units'],
  ls: ['list-units'],
  top: ['list-units'],
  list: ['list-units', 'list-unit-files', 'list-machines'],
  units: ['list-units'],
  watch: ['list-units'],
  'list-timers': ['list-units'],
  'list-sockets': ['list-units'],
  'list-jobs': ['list-units'],
  hosts: ['list-machines'],
  nodes: ['list-machines'],
  'list-hosts': ['list-machines'],
  'list-nodes': ['list-machines'],
  get: ['cat', 'status'],
  diff: ['cat', 'history'],
  versions: ['history'],
  why: ['explain'],
  check: ['verify', 'doctor'],
  test: ['verify'],
  lint: ['verify'],
  validate: ['verify'],
  find: ['list-units'],
  search: ['list-units'],
  usage: ['help'],
  man: ['help'],
  reload: [],
  'daemon-reload': [],
  'reset-failed': [],
  edit: [],
  mask: [],
  unmask: [],
  enable: ['start'],
  disable: ['unload'],
  up: ['start'],
  run: ['start'],
  create: ['submit'],
  add: ['submit'],
  apply: ['submit'],
  down: ['stop'],
  kill: ['stop'],
  rm: ['destroy'],
  remove: ['destroy'],
  delete: ['destroy'],
  undo: ['rollback'],
  shell: ['ssh'],
  exec: ['ssh'],
};

/**
 * The verbs that an unknown word may stand for: by its meaning elsewhere, else by its spelling. A word that is equally
 * near to a verb that reads and to one that changes something stands for the one that reads.
 */
export function verbsFor(word: string, verbs: readonly string[]): readonly string[] {
  if (Object.hasOwn(ELSEWHERE, word)) return ELSEWHERE[word] ?? [];
  const reads = (verb: string): boolean => READING.includes(verb);
  // The first of several that are equally near is taken.
  const near = nearest(word, [...verbs.filter(reads), ...verbs.filter((verb) => !reads(verb))]);
  return near === undefined ? [] : [near];
}
