/** The number of a proposal. Two proposers never use the same one, because each has its own number. */
export type Ballot = { readonly round: number; readonly proposer: number };

/** Lower than the ballot of every proposal. */
export const NO_BALLOT: Ballot = { round: 0, proposer: 0 };

/** Negative if `a` is lower than `b`, 0 if they are equal. */
export function compareBallots(a: Ballot, b: Ballot): number {
  return a.round - b.round || a.proposer - b.proposer;
}

/** Whether a number can be a round or a proposer. */
export function isRound(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

/** The ballot that an acceptor promises to the proposer whose value it has accepted. */
export function afterBallot({ round, proposer }: Ballot): Ballot {
  return { round: round + 1, proposer };
}

/** The limit of rounds. A voter that has promised a higher one has not promised it to a proposer of fleet. */
export const MAX_ROUND = 2 ** 48;

/** How far the round of one voter may be above those of the others before it counts as damaged. */
export const MAX_AHEAD = 2 ** 32;
