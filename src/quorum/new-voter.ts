import { FleetError } from '../base/errors.ts';
import type { Head } from './head.ts';
import { randomId } from './ids.ts';
import { isFormer, type Voter, votersOf } from './membership.ts';
import type { Proposal } from './register.ts';
import type { HeadVoters } from './voters.ts';

/** The machine that becomes a voter, and the state that it had as one and has lost, or that cannot be used any more. */
type Request = {
  readonly machine: string;
  readonly lost: string | undefined;
  readonly isUnusable: boolean;
};

/**
 * A machine with a state that is neither the lost one nor that of a voter of an earlier era. A register that is replaced may be the last one of
 * its registry, so a chosen head takes its place in one step. `owners` is the cluster of each machine that has one. Throws FleetError
 * `registry-unavailable` for a machine of another cluster, or with another registry, which is not overwritten.
 */
export async function newVoter(
  { machine, lost, isUnusable }: Request,
  { ballot, value: registry }: Proposal<Head>,
  holders: HeadVoters,
  owners: ReadonlyMap<string, string>,
): Promise<Voter> {
  const { state, accepted, aside, owner, onDisk } = await holders.find(machine, false);
  const head = (accepted ?? aside)?.value;
  const known = registry.membership.voters.flatMap((voter) => owners.get(voter.machine) ?? []);
  const isForeign = owner !== undefined && known.length > 0 && !known.includes(owner);
  if (isForeign || (head !== undefined && head.cluster !== registry.cluster))
    throw unusable(machine, 'has the registry of another cluster');
  // It was asked at another address before, or its disk is back.
  if (state !== undefined && state === lost && !isUnusable) return { machine, state };
  const isLater = (other: Head | undefined): boolean =>
    other !== undefined && isFormer(registry.membership, other.membership);
  if (isLater(head)) throw unusable(machine, 'has a later registry');
  if (
    head !== undefined &&
    (accepted === undefined || state === lost || isFormer(head.membership, registry.membership))
  ) {
    const voter = { machine, state: randomId() };
    const hasContents = await holders.fetch(votersOf(registry.membership), registry.segments);
    if (hasContents && (await holders.found(voter, onDisk, ballot, registry))) return voter;
    throw unusable(machine, 'did not store the registry');
  }
  const created = await holders.create(machine, lost);
  // A recovery may have stored a later registry there meanwhile.
  if (isLater(created.head)) throw unusable(machine, 'has a later registry');
  return { machine, state: created.state };
}

function unusable(machine: string, why: string): FleetError {
  return new FleetError('registry-unavailable', `Machine "${machine}" ${why}`);
}
