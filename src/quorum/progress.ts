import type { Head } from './head.ts';
import { eraOf, type Membership, type Voter, votersOf } from './membership.ts';

/**
 * Machine and state of a voter → the highest round of a proposal that it has shown as accepted. `era` and the cluster of a registry → the
 * latest era that was read.
 */
export type AcceptedRounds = Map<string, number>;

/** An answer of a voter. `round` is that of the proposal that it has accepted, 0 for none. */
type Shown = Voter & { readonly round: number };

/**
 * What voters have accepted, as far as it is known. The round never falls under a state, so a voter that shows a lower one was set back, as
 * a snapshot of its disk does: it does not know what others rely on.
 */
export class Progress {
  readonly #accepted: AcceptedRounds;
  /** The same, with the round in the last answer. */
  readonly #last = new Map<string, number>();
  /** Machine → the last head that it has shown as a voter. */
  readonly #heads = new Map<string, Head>();

  constructor(accepted: AcceptedRounds = new Map()) {
    this.#accepted = accepted;
  }

  /**
   * Judges the answer to a request that is sent now: whether that voter was set back. What is learned later does not count, because
   * the answer may be older.
   */
  expect(): (shown: Shown) => boolean {
    const accepted = new Map(this.#accepted);
    const heads = [...this.#heads.values()];
    return ({ machine, state, round }) => {
      const key = keyOf({ machine, state });
      this.#last.set(key, round);
      return (
        round < (accepted.get(key) ?? 0) || heads.some((head) => setBackIn(head, this.#last).includes(key))
      );
    };
  }

  /** An answer that counts, and the head in it. */
  learn({ machine, state, round }: Shown, head: Head | undefined): void {
    const key = keyOf({ machine, state });
    const highest = Math.max(round, this.#accepted.get(key) ?? 0);
    // The latest is the last one.
    this.#accepted.delete(key);
    this.#accepted.set(key, highest);
    if (head !== undefined && votersOf(head.membership).some((voter) => voter.state === state))
      this.#heads.set(machine, head);
  }

  /** A head whose registry was read. */
  hasRead({ cluster, membership }: Head): void {
    const era = eraOf(membership);
    if (era > (this.#accepted.get(eraKey(cluster)) ?? -1)) this.#accepted.set(eraKey(cluster), era);
  }

  /** Whether the registry of a head was read in its era. */
  knows({ cluster, membership }: Head): boolean {
    return this.#accepted.get(eraKey(cluster)) === eraOf(membership);
  }

  /** The latest era of a registry that was read; 0 if none is known. */
  eraOf(cluster: string): number {
    return this.#accepted.get(eraKey(cluster)) ?? 0;
  }

  /** What the next head says about its voters: state → round. `before` is what the present one says. */
  roundsOf({ voters }: Membership, before: Head['accepted'] = {}): Readonly<Record<string, number>> {
    const rounds = voters.map((voter) => {
      const { state } = voter;
      return [state, Math.max(this.#accepted.get(keyOf(voter)) ?? 0, before[state] ?? 0)] as const;
    });
    return Object.fromEntries(rounds.filter(([, round]) => round > 0));
  }
}

/**
 * The voters that have shown less than a head says about them; none if they are half of the voters or more, because one voter alone must not
 * exclude the others.
 */
function setBackIn(
  { membership, accepted = {} }: Head,
  shown: ReadonlyMap<string, number>,
): readonly string[] {
  const voters = votersOf(membership);
  const behind = voters.filter((voter) => {
    const round = shown.get(keyOf(voter));
    return round !== undefined && round < (accepted[voter.state] ?? 0);
  });
  return behind.length * 2 < voters.length ? behind.map(keyOf) : [];
}

function eraKey(cluster: string): string {
  return `era ${cluster}`;
}

function keyOf({ machine, state }: Voter): string {
  return `${machine} ${state}`;
}
