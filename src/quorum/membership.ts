/**
 * A machine that stores a register. `state` identifies what it has stored: a machine that lost its disk, or whose disk
 * was restored, has another one, and is not this voter any more.
 */
export type Voter = { readonly machine: string; readonly state: string };

/** The voters of a register, which are part of its value. */
export type Membership = {
  /** Rises by one with each change of the voters. */
  readonly epoch: number;
  readonly voters: readonly Voter[];
  /** The voters before, while a change of the voters is not complete: a quorum needs a majority of both. */
  readonly previous?: readonly Voter[];
};

/** Every voter whose answer can count, once. */
export function votersOf({ voters, previous = [] }: Membership): readonly Voter[] {
  const present = new Set(voters.map(({ state }) => state));
  return [...voters, ...previous.filter(({ state }) => !present.has(state))];
}

/** Whether the voters with these states are a quorum: a majority of the voters, and of those before. */
export function hasQuorum({ voters, previous }: Membership, states: ReadonlySet<string>): boolean {
  return hasMajority(voters, states) && (previous === undefined || hasMajority(previous, states));
}

/** The first of the two steps to other voters. {@link withoutPrevious} is the second one. */
export function withVoters({ epoch, voters }: Membership, next: readonly Voter[]): Membership {
  return { epoch: epoch + 1, voters: next, previous: voters };
}

export function withoutPrevious({ epoch, voters }: Membership): Membership {
  return { epoch, voters };
}

/**
 * An era of epochs. A recovery without a majority begins the next one, so that no voter of an earlier era ever leads back to it:
 * their majority cannot make so many changes.
 */
const ERA = 2 ** 20;

export function eraOf({ epoch }: Membership): number {
  return Math.floor(epoch / ERA);
}

/** Whether a machine with the first membership is at most a voter of an earlier era than the second one. */
export function isFormer(stored: Membership, present: Membership): boolean {
  return eraOf(stored) < eraOf(present);
}

/** Voters in an era that is `step` later, which need no majority of those before. Their states have to be new. */
export function inNextEra(era: number, voters: readonly Voter[], step: number): Membership {
  return { epoch: (era + step) * ERA, voters };
}

function hasMajority(voters: readonly Voter[], states: ReadonlySet<string>): boolean {
  return voters.filter(({ state }) => states.has(state)).length * 2 > voters.length;
}
