import { FleetError } from '../base/errors.ts';
import { lowerFirst } from '../base/text.ts';
import { quoted } from '../base/visible.ts';
import { mayBeDown } from '../cluster/unreachable.ts';
import type { Voter } from './membership.ts';
import type { Outcome } from './register.ts';

/** Why machines did not answer, by name. */
export type Failures = ReadonlyMap<string, FleetError>;

/**
 * Clauses about the machines that did not answer: one for those that may be down, and one for each other machine, because a
 * refused login needs another remedy. `hint` is that of the first of the latter.
 */
export function causesOf(
  machines: readonly string[],
  failures: Failures,
  unreachableWords: string,
): { readonly clauses: readonly string[]; readonly hint: string | undefined } {
  const others = machines.flatMap((machine) => {
    const error = failures.get(machine);
    return error === undefined || mayBeDown(error) ? [] : [{ machine, error }];
  });
  const unreachable = machines.filter((name) => !others.some(({ machine }) => machine === name));
  return {
    clauses: [
      ...(unreachable.length > 0 ? [`${unreachableWords}: ${unreachable.join(', ')}`] : []),
      ...others.map(({ error }) => lowerFirst(error.message)),
    ],
    hint: others.find(({ error }) => error.hint !== undefined)?.error.hint,
  };
}

/** Two registries have equally many machines; `holders` are those of each. */
export function disputedError(holders: readonly (readonly string[])[]): FleetError {
  const groups = holders.map((machines) => machines.join(' and '));
  return noMajority(
    `Cannot tell which registry is that of the cluster: these machines have different ones: ${groups.join('; ')}`,
    'Move /var/lib/fleet/registry away on the machines with the wrong one. To see what a machine has: a fleet.conf with that machine alone, and fleetctl registry',
  );
}

const CONTINUE = 'To continue with the newest state that a machine has: fleetctl recover';
const WITHOUT_VOTERS =
  'A majority of the voters has to answer; units keep running meanwhile. If they are lost permanently: fleetctl recover';
const WITHOUT_COPIES =
  'Start the machines that do not answer, because one may have the newest state. If there is no majority then, or if they are lost permanently: fleetctl recover';
const FORMER_ONLY =
  'If fleet.conf lacks machines, add them, or use "fleetctl join", because one may have the later state. If that is lost, this one is left: fleetctl recover';

/** No quorum of the voters answers; the `lost` ones have answered with another state, or none. */
export function noMajorityError(
  { missing, proposed }: Extract<Outcome<never>, { kind: 'no-quorum' }>,
  lost: readonly Voter[],
  failures: Failures,
  purpose: 'read' | 'change',
): FleetError {
  const unreachable = missing.filter((voter) => !lost.includes(voter)).map(({ machine }) => machine);
  const { clauses, hint } = causesOf(unreachable, failures, 'these voters do not answer');
  const names = lost.map(({ machine }) => machine).join(', ');
  const causes =
    lost.length > 0 ? [...clauses, `these have lost their copy, or have an old one: ${names}`] : clauses;
  const ifUnreachable = lost.length === 0 ? WITHOUT_VOTERS : WITHOUT_COPIES;
  const advice = unreachable.length === 0 ? CONTINUE : ifUnreachable;
  return noMajority(
    `Cannot ${proposed ? 'confirm the change of' : purpose} the registry: ${causes.join('; ')}`,
    proposed
      ? 'The change may be made or not; run the command again when a majority of the voters answers'
      : (hint ?? advice),
  );
}

/** Only machines with a registry from before a recovery answer, after which this user has read it. */
export function beforeRecoveryError(
  former: readonly string[],
  unreachable: readonly string[],
  failures: Failures,
): FleetError {
  const { clauses, hint } = causesOf(unreachable, failures, 'these do not answer');
  const found = `these machines have it as it was before a recovery: ${former.toSorted().join(', ')}`;
  return noMajority(
    `Cannot read the registry: ${[found, ...clauses].join('; ')}`,
    hint ?? (unreachable.length > 0 ? WITHOUT_VOTERS : FORMER_ONLY),
  );
}

const NOWHERE =
  'Start these machines, because one of them may have it; a new registry is created only while every machine answers. Remove machines that are lost permanently from fleet.conf. To rebuild a lost registry from the units: fleetctl recover';
const VOTERS_LOST =
  'Start these machines; units keep running meanwhile. If they are lost permanently, remove them from fleet.conf, run "rm /var/lib/fleet/voters" on the others, and rebuild the registry from the units: fleetctl recover';

/** What is known about a registry that is not found. */
type Traces = {
  readonly invalid: readonly string[];
  readonly isLeft: boolean;
  readonly voters: readonly string[];
};

/**
 * No machine that answers has the registry; the files of the `invalid` ones do not count. `isLeft`: one of these is whole, though a copy or
 * set back. `voters`: machines that had it.
 */
export function notFoundError(
  { invalid, isLeft, voters }: Traces,
  machines: readonly string[],
  failures: Failures,
  cause: unknown,
): FleetError {
  if (invalid.length > 0)
    return noMajority(
      `Cannot find the registry: its files on these machines are damaged, or copies: ${invalid.toSorted().join(', ')}`,
      isLeft
        ? 'Copies do not count, because they may be old. To continue with the newest one: fleetctl recover'
        : 'Move /var/lib/fleet/registry away on these machines, then rebuild the registry from the units: fleetctl recover',
    );
  const unreachable = machines.filter((machine) => failures.has(machine));
  const lost = voters.filter((machine) => failures.has(machine));
  const { clauses, hint } =
    lost.length > 0
      ? causesOf(lost, failures, 'these machines were its voters and do not answer')
      : causesOf(unreachable, failures, 'these do not answer');
  const what = ['Cannot find the registry: no machine that answers has it', ...clauses].join('; ');
  return noMajority(what, hint ?? (lost.length > 0 ? VOTERS_LOST : NOWHERE), cause);
}

/** Only these `holders` have the registry, which is not enough while others do not answer. */
export function unprovenError(
  holders: readonly string[],
  unreachable: readonly string[],
  failures: Failures,
): FleetError {
  const { clauses, hint } = causesOf(unreachable, failures, 'these do not answer');
  const found = `only ${holders.join(', ')} ${holders.length > 1 ? 'have' : 'has'} it`;
  return noMajority(
    `Cannot tell whether the registry is that of the cluster: ${[found, ...clauses].join('; ')}`,
    hint ??
      'Run the command when more machines answer. Machines that are gone have to be removed from fleet.conf, and by a user who has read the registry: fleetctl machines remove NAME',
  );
}

/** A machine belongs to a cluster whose registry no machine has. */
export function ownedError(machine: string, owner: string): FleetError {
  return noMajority(
    `Cannot create a registry: machine "${machine}" belongs to cluster ${quoted(owner)}, and no machine has its registry`,
    'To rebuild it from the machines: fleetctl recover. If that cluster is gone, run "rm /var/lib/fleet/cluster" on its machines',
  );
}

function noMajority(message: string, hint: string, cause?: unknown): FleetError {
  return new FleetError('registry-no-majority', message, { hint, cause });
}

/** For a registry that would have no voters. */
export function noVoterError(): FleetError {
  return new FleetError(
    'registry-unavailable',
    'Cannot create a registry: no machine of fleet.conf may store it',
    { hint: 'Add a machine to fleet.conf that is neither distrusted nor removed, and has no "voter = no"' },
  );
}

/** For a change that other proposers have disturbed too often. */
export function overtakenError(attempts: number): FleetError {
  return new FleetError(
    'registry-unavailable',
    `Cannot change the registry: ${attempts} attempts were overtaken by others`,
    { hint: MADE_OR_NOT },
  );
}

const MADE_OR_NOT = 'The change may be made or not; run the command again';

/** For a change that may be made or not. */
export function unknownChangeError(why: string): FleetError {
  return new FleetError('registry-unavailable', `Cannot tell whether the registry was changed: ${why}`, {
    hint: MADE_OR_NOT,
  });
}

/** For a head whose contents cannot be read. */
export function contentsMissingError(): FleetError {
  return new FleetError(
    'registry-unavailable',
    'Cannot read the registry: no voter that answers has all of its contents',
    { hint: 'Try again; if it stays like this, run fleetctl registry to see the voters' },
  );
}
