import { withTimeout } from '../base/async.ts';
import { FleetError, ignoreFleetError, isFleetError } from '../base/errors.ts';
import type { VoterCandidate } from './choose.ts';
import type { Failures } from './failures.ts';
import { type Head, isContained } from './head.ts';
import { eraOf, isFormer, type Voter } from './membership.ts';
import type { Found, HeadVoters } from './voters.ts';

/**
 * `lost`: its machine has stored something else, a copy, or less than it had shown, so it does not count. `former`: it is no voter, and
 * has a registry from before a recovery. `isContained`: its last change is known to be in this registry, too.
 */
export type VoterStatus = {
  readonly machine: string;
  readonly state: 'current' | 'behind' | 'lost' | 'unreachable' | 'former';
  readonly revision?: number;
  readonly isContained?: boolean;
  readonly error?: FleetError;
};

export type RegisterStatus = {
  /** Without a majority of the voters, the newest one that a machine has. */
  readonly revision: number;
  /** The voters and what each has stored, and the machines that have a registry of an earlier era. */
  readonly voters: readonly VoterStatus[];
  /** Why no majority can be read; undefined if one can. */
  readonly withoutMajority?: FleetError;
};

/** The limit for a voter that is asked about its state, in ms. */
const STATUS_MS = 5000;

/**
 * The voters of `head` and what each has stored, and the machines that have a registry of an earlier era. A machine that has
 * just `failed` is not asked again.
 */
export async function statusOf(
  head: Head,
  machines: readonly string[],
  holders: HeadVoters,
  failed: Failures,
): Promise<readonly VoterStatus[]> {
  const { voters } = head.membership;
  const others = eraOf(head.membership) === 0 ? [] : machines;
  const all = await Promise.all([
    ...voters.map((voter) => statusOfVoter(voter, head, holders, failed)),
    ...others
      .filter((machine) => !failed.has(machine) && !voters.some((voter) => voter.machine === machine))
      .map((machine) => formerOn(machine, head, holders)),
  ]);
  return all.flatMap((each) => each ?? []);
}

async function statusOfVoter(
  { machine, state }: Voter,
  head: Head,
  holders: HeadVoters,
  failed: Failures,
): Promise<VoterStatus> {
  const failure = failed.get(machine);
  if (failure !== undefined) return { machine, state: 'unreachable', error: failure };
  try {
    const found = await findInTime(machine, false, holders);
    if (found.state !== state) return { machine, state: 'lost' };
    const stored = found.accepted?.value;
    const revision = stored?.revision ?? 0;
    if (revision < head.revision) return { machine, state: 'behind', revision };
    const isCurrent = stored === head || revision > head.revision;
    if (isCurrent && holders.isBeforeRead(head))
      return { machine, state: 'former', revision, isContained: true };
    return { machine, state: isCurrent ? 'current' : 'lost', revision };
  } catch (error) {
    if (!isFleetError(error)) throw error;
    return { machine, state: 'unreachable', error };
  }
}

async function formerOn(
  machine: string,
  present: Head,
  holders: HeadVoters,
): Promise<VoterStatus | undefined> {
  const found = await findInTime(machine, false, holders).catch(ignoreFleetError);
  // A copy has the same changes.
  const head = (found?.accepted ?? found?.aside)?.value;
  if (head?.cluster !== present.cluster || !isFormer(head.membership, present.membership)) return undefined;
  return { machine, state: 'former', revision: head.revision, isContained: isContained(head, present) };
}

/** Notices machines that answer again. */
export class Returns {
  readonly #asked = new Set<string>();

  /** Asks these machines what they have stored, each once while it answers; none without a recovery. */
  async look(
    candidates: readonly VoterCandidate[],
    { membership }: Head,
    holders: HeadVoters,
  ): Promise<void> {
    if (eraOf(membership) === 0) return;
    for (const { machine, answers } of candidates) if (!answers) this.#asked.delete(machine);
    const news = candidates.filter(({ machine, answers }) => answers && !this.#asked.has(machine));
    await Promise.all(
      news.map(async ({ machine }) => {
        const found = await findInTime(machine, false, holders).catch(ignoreFleetError);
        if (found !== undefined) this.#asked.add(machine);
      }),
    );
  }
}

/** What a machine has stored. Throws FleetError `ssh-timeout` if it does not answer in time. */
export function findInTime(machine: string, withTexts: boolean, holders: HeadVoters): Promise<Found> {
  return withTimeout(STATUS_MS, holders.find(machine, withTexts), () => {
    throw new FleetError('ssh-timeout', `Voter "${machine}" did not answer within ${STATUS_MS / 1000} s`);
  });
}
