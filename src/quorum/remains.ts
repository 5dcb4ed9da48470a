import { FleetError, ignoreFleetError } from '../base/errors.ts';
import { agreementOf, type Holding } from './agreement.ts';
import { type Ballot, compareBallots } from './ballot.ts';
import { chooseVoters, type VoterCandidate } from './choose.ts';
import { disputedError, type Failures } from './failures.ts';
import type { Head } from './head.ts';
import { randomId, randomProposer, randomStep } from './ids.ts';
import {
  eraOf,
  hasQuorum,
  inNextEra,
  isFormer,
  type Membership,
  type Voter,
  votersOf,
} from './membership.ts';
import { findInTime } from './status.ts';
import type { Found, HeadVoters } from './voters.ts';

/** What is left of a registry without a majority of its voters. */
export type Remains = {
  /** The newest head that a machine has, and the names of the machines that have it. */
  readonly head: Head;
  readonly holders: readonly string[];
  /** The voters that cannot be read. */
  readonly missing: readonly string[];
  /** Those with a copy, or a register that was set back. */
  readonly outdated: readonly string[];
  /** What the machines that answer have stored, by name. */
  readonly found: ReadonlyMap<string, Found>;
};

/**
 * What is left if no majority of the voters can be read; undefined if a majority can, or if no machine has a registry. A machine
 * that has just `failed` is not asked again. Throws FleetError `registry-no-majority` if it cannot tell which registry is that of
 * the cluster.
 */
export async function findRemains(
  machines: readonly string[],
  holders: HeadVoters,
  failed: Failures = new Map(),
): Promise<Remains | undefined> {
  const found = new Map<string, Found>();
  const ask = async (names: readonly string[]): Promise<void> => {
    const asked = names.filter((machine) => !failed.has(machine));
    const answers = asked.map(async (machine, index) => {
      const answer = await findInTime(machine, index === 0, holders).catch(ignoreFleetError);
      if (answer !== undefined) found.set(machine, answer);
    });
    await Promise.all(answers);
  };
  await ask(machines);
  const isBefore = (head: Head): boolean => holders.isBeforeRead(head);
  const remains = remainsIn(found, isBefore);
  const others = remains?.missing.filter((machine) => !machines.includes(machine)) ?? [];
  if (others.length === 0) return remains;
  await ask([...new Set(others)]);
  return remainsIn(found, isBefore);
}

type Remaining = Holding & { readonly ballot: Ballot };

/** `isBefore`: a later era is known than that of a head, so the voters of the head count as set back. */
function remainsIn(
  found: ReadonlyMap<string, Found>,
  isBefore: (head: Head) => boolean,
): Remains | undefined {
  const answers = [...found].map(([machine, answer]) => ({ machine, ...answer }));
  const valid = answers.flatMap(({ machine, state, accepted }) =>
    state === undefined || accepted === undefined
      ? []
      : [{ machine, state, head: accepted.value, ballot: accepted.ballot }],
  );
  const states = new Set(answers.flatMap(({ state }) => state ?? []));
  // A recovery needs no promise of a voter, so what does not count as a vote is as good as the rest.
  const outdated = answers.flatMap(({ machine, onDisk, aside }) =>
    onDisk === undefined || aside === undefined || states.has(onDisk.state)
      ? []
      : [{ machine, state: onDisk.state, head: aside.value, ballot: aside.ballot }],
  );
  const newest = newestOf([...valid, ...outdated]);
  if (newest === undefined) return undefined;
  const isSetBack = isBefore(newest.head);
  // A state on another machine is no answer of the voter.
  const shows = ({ machine, state }: Voter): boolean => found.get(machine)?.state === state;
  const isPresent = (voter: Voter): boolean => !isSetBack && shows(voter);
  const readable = newestOf(valid.filter(({ head }) => head.cluster === newest.head.cluster));
  if (readable !== undefined && !isFormer(readable.head.membership, newest.head.membership)) {
    const present = votersOf(readable.head.membership).filter(isPresent);
    if (hasQuorum(readable.head.membership, new Set(present.map(({ state }) => state)))) return undefined;
  }
  const { head } = newest;
  const isOutdated = (voter: Voter): boolean =>
    outdated.some(({ state }) => state === voter.state) || (isSetBack && shows(voter));
  const left = votersOf(head.membership).filter((voter) => !isPresent(voter));
  return {
    head,
    found,
    holders: [...valid, ...outdated].flatMap((each) => (each.head === head ? each.machine : [])).toSorted(),
    missing: left.filter((voter) => !isOutdated(voter)).map(({ machine }) => machine),
    outdated: left.filter(isOutdated).map(({ machine }) => machine),
  };
}

/** Of the registry that most of them have. Throws FleetError `registry-no-majority` if there is none. */
function newestOf(all: readonly Remaining[]): Remaining | undefined {
  const agreement = agreementOf(all);
  if (agreement.kind === 'disputed') throw disputedError(agreement.holders);
  const heads = all.filter(
    ({ head }) => agreement.kind === 'agreed' && head.cluster === agreement.head.cluster,
  );
  const [newest] = heads.toSorted(
    (a, b) => eraOf(b.head.membership) - eraOf(a.head.membership) || compareBallots(b.ballot, a.ballot),
  );
  // What follows it may be chosen under a later ballot, which no machine has, although this one is lower.
  const follows = ({ head: { membership, revision, commits } }: Remaining): boolean =>
    newest !== undefined &&
    eraOf(membership) === eraOf(newest.head.membership) &&
    revision > newest.head.revision &&
    commits.includes(newest.head.commits[0] ?? '');
  return heads.filter(follows).toSorted((a, b) => b.head.revision - a.head.revision)[0] ?? newest;
}

/**
 * The membership of an era after `latest`, on machines of the cluster that answer. Their states are new, and the era is random, so that two
 * recoveries at the same time never begin the same one. Throws FleetError `registry-unavailable` if no machine may be a voter.
 */
export function nextEra(
  { head, found, holders }: Remains,
  machines: readonly Omit<VoterCandidate, 'answers'>[],
  latest: number,
): Membership {
  const owners = holders.flatMap((machine) => found.get(machine)?.owner ?? []);
  const isOurs = ({ accepted, aside, owner }: Found): boolean => {
    const other = (accepted ?? aside)?.value;
    const isOwned = owner === undefined || owners.length === 0 || owners.includes(owner);
    return isOwned && (other === undefined || other.cluster === head.cluster);
  };
  const candidates = machines.map((each) => {
    const at = found.get(each.machine);
    return { ...each, answers: at !== undefined && isOurs(at) };
  });
  const voters = chooseVoters([], candidates).map((machine) => ({ machine, state: randomId() }));
  if (voters.length === 0)
    throw new FleetError(
      'registry-unavailable',
      'Cannot rebuild the registry: no machine of fleet.conf that answers may store it',
      { hint: 'Add a machine to fleet.conf that is neither distrusted, nor removed, nor of another cluster' },
    );
  return inNextEra(latest, voters, randomStep());
}

/**
 * Begins the era of `head`, which has new states. Throws FleetError `registry-unavailable` if a machine has accepted something else than
 * was found, or did not store it.
 */
export async function beginEra(head: Head, { found }: Remains, holders: HeadVoters): Promise<void> {
  const { voters } = head.membership;
  const ballot = { round: 1, proposer: randomProposer() };
  const store = (voter: Voter): Promise<boolean> =>
    holders.found(voter, found.get(voter.machine)?.onDisk, ballot, head);
  const [first, ...others] = voters;
  // Of two recoveries of the same machines, one fails before it has changed anything.
  if (first !== undefined && (await store(first)) && !(await Promise.all(others.map(store))).includes(false))
    return;
  throw new FleetError('registry-unavailable', 'Cannot rebuild the registry: a machine did not store it', {
    hint: 'Run the command again; to see the voters: fleetctl registry',
  });
}
