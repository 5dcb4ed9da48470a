import { afterBallot, type Ballot, compareBallots, MAX_AHEAD, NO_BALLOT } from './ballot.ts';
import { hasQuorum, type Membership, type Voter, votersOf, withoutPrevious } from './membership.ts';

/** What a voter has stored: the highest ballot that it promised, and the last proposal that it accepted. */
export type Stored<V> = { readonly promised: Ballot; readonly accepted?: Proposal<V> };

export type Proposal<V> = { readonly ballot: Ballot; readonly value: V };

/**
 * The voters, as a proposer reaches them. Each function returns what the voter has stored afterwards, or undefined if it did
 * not answer, answered with an error, or has another state than `voter.state`. It never rejects.
 */
export interface Acceptors<V> {
  read(voter: Voter): Promise<Stored<V> | undefined>;
  /** Promises `ballot` if no higher one is promised. */
  prepare(voter: Voter, ballot: Ballot): Promise<Stored<V> | undefined>;
  /** Stores the value and promises {@link afterBallot} if no higher ballot than this one is promised. */
  accept(voter: Voter, ballot: Ballot, value: V): Promise<Stored<V> | undefined>;
}

/** A value names the voters that store it. */
export type Value = { readonly membership: Membership };

export type ProposerOptions = {
  /** A number that no other proposer uses, from 1. */
  readonly proposer: number;
  /** The voters as far as they are known: those of an earlier value, or the first ones. */
  readonly membership: Membership;
  /**
   * Waits after attempt number `attempt`, from 1, which took `ms`: a random time, because proposers that wait equally long disturb
   * each other again, and longer than an attempt, so that another one can end.
   */
  readonly pause: (attempt: number, ms: number) => Promise<void>;
  /** Waits for the rest of the voters if the answers of a quorum are not enough: one that hangs must not delay the others. */
  readonly patience: () => Promise<void>;
};

export type Outcome<V> =
  | { readonly kind: 'chosen'; readonly value: V }
  /** No value was ever chosen. */
  | { readonly kind: 'empty' }
  /**
   * No quorum answered. `proposed`: the value may be chosen later, because some voter may have accepted it.
   */
  | { readonly kind: 'no-quorum'; readonly missing: readonly Voter[]; readonly proposed: boolean };

/** A value that cannot be judged, because another one has replaced it meanwhile. */
export const OVERTAKEN = Symbol('overtaken');

/** The value that shall follow a value; undefined for the first one. */
export type Decide<V> = (current: V | undefined) => Decided<V> | Promise<Decided<V>>;
type Decided<V> = V | undefined | typeof OVERTAKEN;

type Answers<V> = ReadonlyMap<string, Stored<V>>;

/** The voters whose answers are needed, and whether there are enough answers. */
type Goal = { readonly of: readonly [Membership, Membership]; readonly reached: boolean };

type Failed =
  | { readonly kind: 'no-quorum'; readonly missing: readonly Voter[] }
  | { readonly kind: 'preempted' };

type Attempt<V> = Exclude<Outcome<V>, { kind: 'no-quorum' }> | Failed | { readonly kind: 'completed' };

/** The last ballot of a change. Another proposer may complete its value until one with a higher ballot is chosen. */
type Proposed = { ballot: Ballot };

/**
 * A proposer of one register: CASPaxos (Denis Rystsov, "CASPaxos: Replicated State Machines without logs", 2018). Each
 * change is one run of Paxos, in which the proposer proposes a function of the value that it found. The voters are part
 * of the value. They change in two steps with a joint quorum, as in Raft (Ongaro, 2014, section 4.3).
 */
export class Proposer<V extends Value> {
  readonly #acceptors: Acceptors<V>;
  readonly #options: ProposerOptions;
  #round = 0;
  /** The last proposal that is known to be chosen. */
  #chosen: Proposal<V> | undefined;
  /** The rounds that voters have promised, by state, also in answers that came too late to count. */
  readonly #rounds = new Map<string, number>();
  /** A ballot that a quorum promised when it had accepted `after`, so that the next change needs no round trip for promises. */
  #promised: { readonly ballot: Ballot; readonly after: Proposal<V> } | undefined;

  constructor(acceptors: Acceptors<V>, options: ProposerOptions) {
    this.#acceptors = acceptors;
    this.#options = options;
  }

  /** The voters as far as they are known. */
  get membership(): Membership {
    return this.#chosen?.value.membership ?? this.#options.membership;
  }

  /** The last proposal that is known to be chosen. */
  get chosen(): Proposal<V> | undefined {
    return this.#chosen;
  }

  /** The voters that have promised a round so high that a damaged file is more likely. They promise no other one. */
  get outOfReach(): readonly Voter[] {
    const most = this.#mostRound;
    if (most === undefined) return [];
    return votersOf(this.membership).filter(({ state }) => (this.#rounds.get(state) ?? 0) > most);
  }

  /**
   * The value at some moment between call and return. One round trip is enough if a quorum agrees; without a quorum, voters that
   * do not answer are not asked again.
   */
  async read(): Promise<Outcome<V>> {
    const answers = await this.#gather(
      (voter) => this.#acceptors.read(voter),
      (found) => ({ of: this.#memberships(newest(found)), reached: isChosen(newest(found), found) }),
    );
    const found = newest(answers);
    const [membership] = this.#memberships(found);
    if (!hasQuorum(membership, new Set(answers.keys())))
      return { kind: 'no-quorum', missing: missingOf(membership, answers), proposed: false };
    if (found === undefined || !isChosen(found, answers) || found.value.membership.previous !== undefined)
      return this.change((current) => current);
    this.#remember(found);
    this.#useReserved(found, answers);
    return { kind: 'chosen', value: found.value };
  }

  /**
   * Replaces the value by `decide(value)`. `decide` returns the value itself to keep it, and gets undefined if no value was
   * ever chosen. It can be called several times. A proposal whose answers were lost may have been chosen, so `decide` has to
   * recognize its own change in the value.
   */
  async change(decide: Decide<V>): Promise<Outcome<V>> {
    const proposed: Proposed = { ballot: NO_BALLOT };
    for (let attempt = 1; ; attempt++) {
      const began = performance.now();
      const result = await this.#attempt(decide, proposed);
      if (result.kind === 'chosen' || result.kind === 'empty') return result;
      if (result.kind === 'completed') continue;
      if (result.kind === 'no-quorum') return { ...result, proposed: proposed.ballot !== NO_BALLOT };
      await this.#options.pause(attempt, performance.now() - began);
      // Others have used the next rounds meanwhile.
      this.#round += 2 ** Math.min(attempt + 1, 10);
    }
  }

  /**
   * A voter may have promised a ballot of this proposer that the proposer did not ask for by number. If a quorum has promised the same
   * one, and it was not used yet, the answers are those to a `prepare`.
   */
  #useReserved(after: Proposal<V>, answers: Answers<V>): void {
    const isUnused = ({ round, proposer }: Ballot): boolean =>
      proposer === this.#options.proposer && round > this.#round;
    for (const { promised: ballot } of answers.values()) {
      const promised = keep(answers, (stored) => isSame(stored.promised, ballot));
      if (!isUnused(ballot) || !hasQuorum(after.value.membership, new Set(promised.keys()))) continue;
      this.#promised = { ballot, after };
      this.#round = ballot.round;
    }
  }

  async #attempt(decide: Decide<V>, proposed: Proposed): Promise<Attempt<V>> {
    this.#raise();
    // A voter that promised a higher round would refuse that ballot.
    const early = this.#promised?.ballot.round === this.#round ? this.#promised : undefined;
    this.#promised = undefined;
    const ballot = early?.ballot ?? { round: ++this.#round, proposer: this.#options.proposer };
    const prepared = early?.after ?? (await this.#prepare(ballot));
    if (isFailure(prepared)) return prepared;

    const known = prepared !== undefined && this.#isKnown(prepared);
    // The first step to other voters has to be chosen before the second one is proposed.
    const incomplete = prepared?.value.membership.previous !== undefined && !known;
    const value = incomplete ? prepared.value : await decide(complete(prepared?.value));
    if (value === OVERTAKEN) return { kind: 'preempted' };
    if (value === undefined) return { kind: proposed.ballot === NO_BALLOT ? 'empty' : 'preempted' };
    if (known && value === prepared.value && compareBallots(prepared.ballot, proposed.ballot) >= 0) {
      // No voter was asked, so another proposer may have changed the value.
      return early ? this.#attempt(decide, proposed) : { kind: 'chosen', value };
    }
    const before = prepared?.value.membership ?? this.membership;
    const reached = (answers: Answers<V>): boolean => {
      const accepted = new Set(keep(answers, (stored) => isAt(stored, { ballot, value })).keys());
      return hasQuorum(before, accepted) && hasQuorum(value.membership, accepted);
    };
    proposed.ballot = ballot;
    const answers = await this.#gather(
      (voter) => this.#acceptors.accept(voter, ballot, value),
      (some) => ({ of: [before, value.membership], reached: reached(some) }),
    );
    if (!reached(answers)) return failureOf(answers, before);
    const chosen = { ballot, value };
    this.#remember(chosen);
    // Another attempt may have used that round already.
    if (this.#round === ballot.round) {
      this.#promised = { ballot: afterBallot(ballot), after: chosen };
      this.#round++;
    }
    return incomplete ? { kind: 'completed' } : { kind: 'chosen', value };
  }

  /** The proposal that a quorum which promises the ballot leads to; undefined if there is none yet. */
  async #prepare(ballot: Ballot): Promise<Proposal<V> | undefined | Failed> {
    const isPromised = ({ promised }: Stored<V>): boolean => isSame(promised, ballot);
    const answers = await this.#gather(
      (voter) => this.#acceptors.prepare(voter, ballot),
      (some) => {
        const promised = keep(some, isPromised);
        const of = this.#memberships(newest(promised));
        return { of, reached: hasQuorum(of[0], new Set(promised.keys())) };
      },
    );
    const promised = keep(answers, isPromised);
    const found = newest(promised);
    const [membership] = this.#memberships(found);
    if (!hasQuorum(membership, new Set(promised.keys()))) return failureOf(answers, membership);
    if (found === undefined) return undefined;
    if (isChosen(found, promised)) this.#remember(found);
    return found;
  }

  /** The membership that counts, then the one that was known before: its voters lead to the voters of today. */
  #memberships(found: Proposal<V> | undefined): readonly [Membership, Membership] {
    return [found?.value.membership ?? this.membership, this.membership];
  }

  /** Whether the proposal is known to be chosen. */
  #isKnown({ ballot }: Proposal<V>): boolean {
    return this.#chosen !== undefined && isSame(ballot, this.#chosen.ballot);
  }

  /** A read may end after a change that began later. */
  #remember(chosen: Proposal<V>): void {
    if (compareBallots(chosen.ballot, this.#chosen?.ballot ?? NO_BALLOT) <= 0) return;
    this.#chosen = chosen;
  }

  /** The next round is above those of all voters, except the ones out of reach. */
  #raise(): void {
    const most = this.#mostRound ?? 0;
    this.#round = Math.max(this.#round, ...this.#knownRounds.filter((round) => round <= most));
  }

  /**
   * The highest round that is believed, so that one voter alone cannot drive the rounds up to the end. Undefined until a majority
   * has answered.
   */
  get #mostRound(): number | undefined {
    const rounds = this.#knownRounds;
    if (rounds.length * 2 <= votersOf(this.membership).length) return undefined;
    return (rounds[Math.floor((rounds.length - 1) / 2)] ?? 0) + MAX_AHEAD;
  }

  /** From the lowest to the highest. */
  get #knownRounds(): readonly number[] {
    return votersOf(this.membership)
      .flatMap(({ state }) => this.#rounds.get(state) ?? [])
      .sort((a, b) => a - b);
  }

  /**
   * Asks voters until the goal is reached, no answer is outstanding, or the patience with those that do not answer is over.
   * Answers can add voters to the goal.
   */
  async #gather(
    ask: (voter: Voter) => Promise<Stored<V> | undefined>,
    judge: (answers: Answers<V>) => Goal,
  ): Promise<Answers<V>> {
    const answers = new Map<string, Stored<V>>();
    const outstanding = new Map<string, Promise<void>>();
    const asked = new Set<string>();
    let isOver = false;
    let waiting: Promise<void> | undefined;
    for (;;) {
      const goal = judge(answers);
      if (goal.reached || isOver) return answers;
      for (const voter of goal.of.flatMap(votersOf)) {
        if (asked.has(voter.state)) continue;
        asked.add(voter.state);
        const answered = ask(voter).then((stored) => {
          outstanding.delete(voter.state);
          if (stored === undefined) return;
          answers.set(voter.state, stored);
          this.#rounds.set(voter.state, stored.promised.round);
        });
        outstanding.set(voter.state, answered);
      }
      if (outstanding.size === 0) return answers;
      if (waiting === undefined && hasQuorum(goal.of[0], new Set(answers.keys())))
        waiting = this.#options.patience().then(() => {
          isOver = true;
        });
      await Promise.race([...outstanding.values(), ...(waiting === undefined ? [] : [waiting])]);
    }
  }
}

function failureOf<V>(answers: Answers<V>, membership: Membership): Failed {
  if (hasQuorum(membership, new Set(answers.keys()))) return { kind: 'preempted' };
  return { kind: 'no-quorum', missing: missingOf(membership, answers) };
}

function missingOf<V>(membership: Membership, answers: Answers<V>): readonly Voter[] {
  return votersOf(membership).filter(({ state }) => !answers.has(state));
}

function isFailure<V>(result: Proposal<V> | undefined | Failed): result is Failed {
  return result !== undefined && 'kind' in result;
}

function complete<V extends Value>(value: V | undefined): V | undefined {
  return value?.membership.previous === undefined
    ? value
    : { ...value, membership: withoutPrevious(value.membership) };
}

/** The accepted proposal with the highest ballot; of several with that ballot, the one that most voters have. */
function newest<V>(answers: Answers<V>): Proposal<V> | undefined {
  const all = [...answers.values()].flatMap(({ accepted }) => accepted ?? []);
  const highest = all.reduce(
    (max, { ballot }) => (compareBallots(ballot, max) > 0 ? ballot : max),
    NO_BALLOT,
  );
  const candidates = all.filter(({ ballot }) => isSame(ballot, highest));
  const votes = ({ value }: Proposal<V>): number => candidates.filter((each) => each.value === value).length;
  return candidates.toSorted((a, b) => votes(b) - votes(a))[0];
}

/** Whether these answers prove that a proposal is chosen. */
function isChosen<V extends Value>(proposal: Proposal<V> | undefined, answers: Answers<V>): boolean {
  if (proposal === undefined) return false;
  const holders = keep(answers, (stored) => isAt(stored, proposal));
  return hasQuorum(proposal.value.membership, new Set(holders.keys()));
}

/** Values are compared by identity. With one ballot, only a voter that lies has another value. */
function isAt<V>({ accepted }: Stored<V>, { ballot, value }: Proposal<V>): boolean {
  return accepted !== undefined && isSame(accepted.ballot, ballot) && accepted.value === value;
}

function isSame(a: Ballot, b: Ballot): boolean {
  return compareBallots(a, b) === 0;
}

function keep<V>(answers: Answers<V>, test: (stored: Stored<V>) => boolean): Answers<V> {
  return new Map([...answers].filter(([, stored]) => test(stored)));
}
