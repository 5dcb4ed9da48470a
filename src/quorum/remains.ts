import { FleetError, isFleetError } from '../base/errors.ts';
import { compareBallots } from './ballot.ts';
import { type Candidate, chooseVoters } from './choose.ts';
import type { Failures } from './failures.ts';
import type { Head } from './head.ts';
import { randomId, randomProposer } from './ids.ts';
import { eraOf, hasQuorum, inNextEra, type Membership, votersOf } from './membership.ts';
import { findInTime } from './status.ts';
import type { Found, HeadVoters } from './voters.ts';

/** What is left of a registry without a majority of its voters. */
export type Remains = {
  /** The newest head that a machine has, and the names of the machines that have it. */
  readonly head: Head;
  readonly holders: readonly string[];
  /** The voters that cannot be read. */
  readonly missing: readonly string[];
  /** What the machines that answer have stored, by name. */
  readonly found: ReadonlyMap<string, Found>;
};

/**
 * What is left if no majority of the voters can be read; undefined if a majority can, or if no machine has a registry. A machine
 * that has just `failed` is not asked again.
 */
export async function findRemains(
  machines: readonly string[],
  holders: HeadVoters,
  failed: Failures = new Map(),
): Promise<Remains | undefined> {
  const found = new Map<string, Found>();
  const asked = machines.filter((machine) => !failed.has(machine));
  await Promise.all(
    asked.map(async (machine, index) => {
      const answer = await findInTime(machine, index === 0, holders).catch((error) => {
        if (!isFleetError(error)) throw error;
      });
      if (answer !== undefined) found.set(machine, answer);
    }),
  );
  const heads = [...found].flatMap(([machine, { head, ballot }]) =>
    head === undefined || ballot === undefined ? [] : [{ machine, head, ballot }],
  );
  const [newest] = heads.toSorted(
    (a, b) => eraOf(b.head.membership) - eraOf(a.head.membership) || compareBallots(b.ballot, a.ballot),
  );
  if (newest === undefined) return undefined;
  const { head } = newest;
  const states = new Set([...found.values()].flatMap(({ state }) => state ?? []));
  if (hasQuorum(head.membership, states)) return undefined;
  const missing = votersOf(head.membership).filter(({ state }) => !states.has(state));
  return {
    head,
    found,
    holders: heads.filter((each) => each.head === head).map(({ machine }) => machine),
    missing: missing.map(({ machine }) => machine),
  };
}

/** The membership of the next era, on machines that answer; their states are new. */
export function nextEra(
  { head, found }: Remains,
  machines: readonly Pick<Candidate, 'machine' | 'mark'>[],
): Membership {
  const candidates = machines.map(
    (each) => ({ ...each, answers: found.has(each.machine), condition: 'good' }) as const,
  );
  const voters = chooseVoters([], candidates).map((machine) => ({ machine, state: randomId() }));
  return inNextEra(head.membership, voters);
}

/**
 * Begins the era of `head`, which has new states. Throws FleetError `registry-unavailable` if a machine has another state than was
 * found, or did not store it.
 */
export async function beginEra(head: Head, { found }: Remains, holders: HeadVoters): Promise<void> {
  const { voters } = head.membership;
  const ballot = { round: 1, proposer: randomProposer() };
  const stored = await Promise.all(
    voters.map((voter) => holders.found(voter, found.get(voter.machine)?.state ?? '', ballot, head)),
  );
  if (voters.length > 0 && !stored.includes(false)) return;
  throw new FleetError('registry-unavailable', 'Cannot rebuild the registry: a machine did not store it', {
    hint: 'Run the command again; to see the voters: fleetctl registry',
  });
}
