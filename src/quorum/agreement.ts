import { groupBy } from '../base/group-by.ts';
import type { Head } from './head.ts';
import { eraOf, hasQuorum, votersOf } from './membership.ts';

/** A head that a machine has stored under a state. */
export type Holding = { readonly machine: string; readonly state: string; readonly head: Head };

/** The registry that machines have, as the first step to its voters. */
export type Agreement =
  | { readonly kind: 'none' }
  /**
   * `head` has voters from whom the present ones can be found. `support` is the number of machines that have the registry,
   * and `isConfirmed` whether they are a quorum of those voters.
   */
  | { readonly kind: 'agreed'; readonly head: Head; readonly support: number; readonly isConfirmed: boolean }
  /** The machines with each registry. */
  | { readonly kind: 'disputed'; readonly holders: readonly (readonly string[])[] };

/**
 * The registry that most machines have. One machine can store any registry, so a number in it, such as its epoch, does not
 * decide. Of the eras of a registry the latest one counts: only a machine that was a voter knows the registry's random id.
 */
export function agreementOf(holdings: readonly Holding[]): Agreement {
  const [most, next] = byRegistry(holdings);
  if (most === undefined) return { kind: 'none' };
  if (next !== undefined && next.length >= most.length)
    return { kind: 'disputed', holders: holdersOf(holdings) };
  const eraIn = ({ head }: Holding): number => eraOf(head.membership);
  const latest = Math.max(...most.map(eraIn));
  const inEra = most.filter((holding) => eraIn(holding) === latest);
  const own = inEra.filter(({ state, head }) =>
    votersOf(head.membership).some((voter) => voter.state === state),
  );
  // If no voter has answered, a former or future one still shows that there is a registry, and names its voters.
  return agreedBy(own.length > 0 ? own : inEra);
}

/** The voters that most of the holders name; of equal numbers the latest ones, and those whose change is complete. */
function agreedBy(holdings: readonly Holding[]): Agreement {
  const epochOf = ({ head }: Holding): number => head.membership.epoch;
  const [best = holdings] = [...groupBy(holdings, epochOf).values()].toSorted(
    (a, b) => b.length - a.length || epochOf(b[0]) - epochOf(a[0]),
  );
  const isComplete = ({ head }: Holding): boolean => head.membership.previous === undefined;
  const { head } = best.find(isComplete) ?? (best[0] as Holding);
  const isConfirmed = hasQuorum(head.membership, new Set(best.map(({ state }) => state)));
  return { kind: 'agreed', head, support: holdings.length, isConfirmed };
}

/** The machines with each registry, those of the one that most machines have first. */
export function holdersOf(holdings: readonly Holding[]): readonly (readonly string[])[] {
  return byRegistry(holdings).map((group) => group.map(({ machine }) => machine).toSorted());
}

/** The holdings of each registry, the most first. */
function byRegistry(holdings: readonly Holding[]): readonly (readonly Holding[])[] {
  return [...groupBy(holdings, ({ head }) => head.cluster).values()].toSorted((a, b) => b.length - a.length);
}
