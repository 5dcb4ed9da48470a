import { BlockList, isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { matchesList } from '../ssh/pattern.ts';
import { nextWord, problemAt, type SourceLine } from './words.ts';

/** One condition of a Match line; `argument` is empty for conditions without one. */
export type Criterion = {
  readonly name: 'all' | 'final' | Compared;
  readonly negated: boolean;
  readonly argument: string;
};

type Compared = 'host' | 'originalhost' | 'user' | 'localuser' | 'tagged' | 'localnetwork' | 'exec';

/** The facts that the conditions of Match lines test. */
export type MatchContext = {
  readonly isFinal: boolean;
  readonly host: string;
  readonly originalHost: string;
  readonly user: string;
  readonly localUser: string;
  readonly tag: string;
  /** Expands tokens in a command and runs it; returns whether its exit status is 0. */
  readonly exec: (command: string) => boolean;
};

/** Reads the conditions of a Match line. Throws `config` for conditions that ssh rejects, or that only ssh supports. */
export function parseCriteria(place: SourceLine, text: string): readonly Criterion[] {
  const criteria: Criterion[] = [];
  for (let { word, rest } = nextWord(text); isWord(word); { word, rest } = nextWord(rest)) {
    const negated = word.startsWith('!');
    const name = word.slice(negated ? 1 : 0).toLowerCase();
    if (name === 'all') {
      if (criteria.length > 1 || isWord(nextWord(rest).word))
        throw problemAt(place, '"all" cannot be combined with other conditions');
      return [...criteria, { name, negated, argument: '' }];
    }
    if (name === 'canonical' || name === 'final') {
      criteria.push({ name: 'final', negated, argument: name });
      continue;
    }
    if (!isCompared(name)) throw unknownCriterion(place, name);
    const next = nextWord(rest);
    if (!isWord(next.word)) throw problemAt(place, `"${name}" has no argument`);
    criteria.push({ name, negated, argument: next.word });
    rest = next.rest;
  }
  if (criteria.length === 0) throw problemAt(place, '"match" has no condition');
  return criteria;
}

/** True when all conditions hold. Stops at the first one that does not, so that later commands do not run. */
export function holds(criteria: readonly Criterion[], context: MatchContext): boolean {
  return criteria.every((criterion) => test(criterion, context) !== criterion.negated);
}

/** Whether a condition requires a second pass over the files: `final` does, `canonical` does not. */
export function wantsFinalPass(criteria: readonly Criterion[]): boolean {
  return criteria.some(({ argument, name }) => name === 'final' && argument === 'final');
}

function test({ name, argument }: Criterion, context: MatchContext): boolean {
  switch (name) {
    case 'all':
      return true;
    case 'final':
      return context.isFinal;
    case 'host':
      return matchesList(context.host.toLowerCase(), argument.toLowerCase());
    case 'originalhost':
      return matchesList(context.originalHost.toLowerCase(), argument.toLowerCase());
    case 'user':
      return matchesList(context.user, argument);
    case 'localuser':
      return matchesList(context.localUser, argument);
    case 'tagged':
      return matchesList(context.tag, argument);
    case 'localnetwork':
      return isInNetwork(argument);
    case 'exec':
      return context.exec(argument);
  }
}

/** True when a non-loopback interface of this computer has an address in one of the networks. */
function isInNetwork(list: string): boolean {
  const networks = new BlockList();
  for (const network of list.split(',')) {
    const [address = '', bits] = network.split('/');
    const version = isIP(address);
    if (version === 0) continue;
    const prefix = bits === undefined ? (version === 4 ? 32 : 128) : Number(bits);
    networks.addSubnet(address, prefix, version === 4 ? 'ipv4' : 'ipv6');
  }
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .some(
      ({ address, family, internal }) =>
        !internal && networks.check(address, family === 'IPv4' ? 'ipv4' : 'ipv6'),
    );
}

function isWord(word: string | undefined): word is string {
  return word !== undefined && word !== '' && !word.startsWith('#');
}

const COMPARED: ReadonlySet<string> = new Set<Compared>([
  'host',
  'originalhost',
  'user',
  'localuser',
  'tagged',
  'localnetwork',
  'exec',
]);

function isCompared(name: string): name is Compared {
  return COMPARED.has(name);
}

function unknownCriterion(place: SourceLine, name: string) {
  const isNew = ['command', 'sessiontype', 'version'].includes(name);
  return problemAt(
    place,
    `"match" ${isNew ? 'with' : 'has the unknown condition'} "${name}"${isNew ? ' is not supported' : ''}`,
    isNew ? ONLY_OPENSSH : undefined,
  );
}

/** The hint for features that only OpenSSH has. */
export const ONLY_OPENSSH = 'Set "transport = openssh" for this machine to connect with the installed ssh';
