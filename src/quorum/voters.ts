import { setTimeout as sleep } from 'node:timers/promises';
import { deferred } from '../base/async.ts';
import { FleetError, isFleetError } from '../base/errors.ts';
import { sha256 } from '../base/hash.ts';
import { type Ballot, compareBallots, MAX_ROUND, NO_BALLOT } from './ballot.ts';
import type { Eras } from './eras.ts';
import { formatHead, type Head, parseHead, type SegmentName } from './head.ts';
import { eraOf, type Membership, type Voter, votersOf } from './membership.ts';
import type { Progress } from './progress.ts';
import type { Acceptors, Proposal, Stored } from './register.ts';

/** The longest wait of a machine for a change, in s. */
export const WAIT_SECONDS = 60;

/** A value for the voter with a state. */
type Proposed = {
  readonly state: string;
  readonly ballot: Ballot;
  readonly value: string;
  /** The contents that the value names; those with a text are stored first, all others removed. */
  readonly contents: readonly { readonly hash: string; readonly text?: string }[];
};

/** What a machine is asked to do with a register. */
export type VoterRequest = {
  readonly register: string;
  readonly action:
    | { readonly kind: 'read' }
    /** Promises the next round to the proposer, unless that cannot be stored: a proposer that knows nothing yet cannot name a ballot. */
    | { readonly kind: 'reserve'; readonly proposer: number }
    /** Gives the machine a state, unless it has a valid one other than `unless`. The old file is kept beside it. */
    | { readonly kind: 'create'; readonly unless?: string }
    /** Stores a value under a new state, in place of this register. */
    | (Proposed & { readonly kind: 'found'; readonly replaced: OnDisk })
    /** Answers when another proposal than this one is accepted, or after {@link WAIT_SECONDS}. */
    | { readonly kind: 'wait'; readonly accepted: Ballot }
    | { readonly kind: 'prepare'; readonly state: string; readonly ballot: Ballot }
    | (Proposed & { readonly kind: 'accept' });
  /** The answer has the texts of all contents but these; without it, it has none. */
  readonly unlessKnown?: readonly string[];
};

/** A register in its file: its state, and the ballot that it has accepted. */
export type OnDisk = { readonly state: string; readonly accepted: Ballot };

/** What a machine has stored afterwards. */
export type VoterAnswer = {
  /** Undefined if it has stored nothing. */
  readonly state: string | undefined;
  readonly stored: Stored<string>;
  /** The hashes of its contents. */
  readonly contents: readonly string[];
  readonly texts: readonly string[];
  /** It does not count, because it is damaged, then without a state, or a copy. */
  readonly invalid?: boolean;
  /** The cluster that owns the machine. */
  readonly owner?: string;
};

/** Rejects with a FleetError if the machine cannot be reached or its answer is invalid. */
export type AskVoter = (machine: string, request: VoterRequest) => Promise<VoterAnswer>;

/** Texts by hash, which outlive a command. */
export interface TextCache {
  /** All hashes that it has. */
  known(): readonly string[];
  get(hash: string): string | undefined;
  put(hash: string, text: string): void;
  /** Releases the memory of all other texts. */
  keep(hashes: readonly string[]): void;
}

/** A machine, and what it has stored under a state that counts. */
export type Found = Stored<Head> & {
  /** Undefined for a machine without a state that counts. */
  readonly state: string | undefined;
  /** It has stored something that does not count. */
  readonly isInvalid: boolean;
  /** Also if it does not count; undefined if there is none, or the file cannot be read. */
  readonly onDisk: OnDisk | undefined;
  /** What it has stored without a state that counts: in a copy, or after it was set back. */
  readonly aside: Proposal<Head> | undefined;
  readonly owner: string | undefined;
};

/** The time after which the next voter is asked for contents, in ms. */
const NEXT_VOTER_MS = 500;
/** How many heads are compared by their text. */
const MOST_HEADS = 16;

export type HoldersOptions = {
  readonly ask: AskVoter;
  readonly cache: TextCache;
  readonly register: string;
  /** A machine promises a ballot when it is first asked, so that the first change needs one round trip. */
  readonly reserves?: boolean;
  /** The eras that this process has seen before. */
  readonly eras: Eras;
  /** What voters have accepted. */
  readonly progress: Progress;
};

/** The machines that hold the head of a registry and its contents. Texts that arrive are put into the cache, once verified. */
export class HeadVoters implements Acceptors<Head> {
  readonly #options: HoldersOptions;
  readonly #cache: TextCache;
  /** The contents that each state is known to have. */
  readonly #holdings = new Map<string, readonly string[]>();
  readonly #added = new Set<string>();
  /** The ballot of the proposal that each state had accepted in its last answer. */
  readonly #accepted = new Map<string, Ballot>();
  readonly #waits = new Map<string, Promise<void>>();
  readonly #heads = new Map<string, Head>();
  /** The states of the machines that answered, the latest answer last; undefined for none that counts. */
  readonly #states = new Map<string, string | undefined>();
  /** Requests of {@link look}, for the read that follows it. */
  readonly #fresh = new Map<string, Promise<Found>>();
  readonly #failures = new Map<string, FleetError>();

  constructor(options: HoldersOptions) {
    this.#options = options;
    this.#cache = options.cache;
  }

  /** The head of a cluster with the latest epoch that a machine has answered with, also in a copy. */
  latestOf(cluster: string): Head | undefined {
    return this.#options.eras.latestOf(cluster);
  }

  /** Whether a head is from before a recovery after which the registry was read. */
  isBeforeRead({ cluster, membership }: Head): boolean {
    return eraOf(membership) < this.#options.progress.eraOf(cluster);
  }

  /** Why the last request to a machine failed, by its name. */
  get failures(): ReadonlyMap<string, FleetError> {
    return this.#failures;
  }

  /** Answers of {@link look} count for no read any more. */
  forget(): void {
    this.#fresh.clear();
  }

  /**
   * {@link find}, whose answer or failure counts for the next read too, unless {@link forget} is called before. The machine may promise
   * its next round to `proposer`.
   */
  look(machine: string, withTexts: boolean, proposer: number): Promise<Found> {
    const action = this.#options.reserves
      ? ({ kind: 'reserve', proposer } as const)
      : ({ kind: 'read' } as const);
    const answer = this.#request(machine, action, withTexts);
    this.#fresh.set(machine, answer);
    return answer;
  }

  /** The head that a machine has. */
  find(machine: string, withTexts: boolean): Promise<Found> {
    return this.#request(machine, { kind: 'read' }, withTexts);
  }

  /**
   * Resolves when the voter has accepted another proposal than in its last answer, at the latest after {@link WAIT_SECONDS}.
   * Rejects if it does not answer or has lost its state. A wait that is under way is shared, because a voter has one wait at a time.
   */
  waitForChange(voter: Voter): Promise<void> {
    const known = this.#waits.get(voter.state);
    if (known !== undefined) return known;
    const wait = this.#wait(voter).finally(() => this.#waits.delete(voter.state));
    this.#waits.set(voter.state, wait);
    return wait;
  }

  async #wait({ machine, state }: Voter): Promise<void> {
    const accepted = this.#accepted.get(state) ?? NO_BALLOT;
    const found = await this.#request(machine, { kind: 'wait', accepted });
    if (found.state !== state)
      throw new FleetError('registry-unavailable', `Voter "${machine}" has lost its state`);
  }

  /** The state of a machine, which is made if it has none, or has `unless`. Throws FleetError `registry-unavailable` if it cannot be used. */
  async create(machine: string, unless?: string): Promise<Voter & { readonly head: Head | undefined }> {
    this.#fresh.delete(machine);
    const { state, accepted } = await this.#request(machine, {
      kind: 'create',
      ...(unless !== undefined && { unless }),
    });
    if (state === undefined)
      throw new FleetError(
        'registry-unavailable',
        `Machine "${machine}" has a registry that cannot be read`,
        { hint: 'Move /var/lib/fleet/registry away on that machine' },
      );
    return { machine, state, head: accepted?.value };
  }

  /** Stores a head under the new state of a voter, in place of what was found there; false if the machine has changed, or did not answer. */
  async found(
    { machine, state }: Voter,
    onDisk: OnDisk | undefined,
    ballot: Ballot,
    head: Head,
  ): Promise<boolean> {
    const replaced = onDisk ?? (await this.#emptyOn(machine));
    if (replaced === undefined) return false;
    const value = formatHead(head);
    this.#remember(value, head);
    const contents = head.segments.map(({ hash }) => ({ hash, text: this.#cache.get(hash) ?? '' }));
    const action = { kind: 'found', state, replaced, ballot, value, contents } as const;
    return (await this.#try({ machine, state }, action)) !== undefined;
  }

  /**
   * A new register on a machine without one; undefined if it has one. A machine never makes a state again, so a request to replace it that
   * arrives twice has no effect after a loss of the disk.
   */
  async #emptyOn(machine: string): Promise<OnDisk | undefined> {
    const created = await this.create(machine).catch(() => undefined);
    if (created === undefined || created.head !== undefined) return undefined;
    return { state: created.state, accepted: NO_BALLOT };
  }

  async read(voter: Voter): Promise<Stored<Head> | undefined> {
    const fresh = this.#fresh.get(voter.machine);
    this.#fresh.delete(voter.machine);
    return this.#try(voter, { kind: 'read' }, fresh);
  }

  prepare(voter: Voter, ballot: Ballot): Promise<Stored<Head> | undefined> {
    return this.#try(voter, { kind: 'prepare', state: voter.state, ballot });
  }

  /** Texts of the next head, which no voter has yet. */
  add(texts: ReadonlyMap<string, string>): void {
    this.#added.clear();
    for (const [hash, text] of texts) {
      this.#cache.put(hash, text);
      this.#added.add(hash);
    }
  }

  /**
   * Sends the contents that the voter lacks; if they are not known, those that were added, and the others on demand. A machine that
   * is not the voter any more gets none, because it may be of another cluster.
   */
  async accept(voter: Voter, ballot: Ballot, head: Head): Promise<Stored<Head> | undefined> {
    if (this.#isLost(voter)) return undefined;
    const value = formatHead(head);
    this.#remember(value, head);
    const send = (isMissing: (hash: string) => boolean): Promise<Stored<Head> | undefined> => {
      const contents = head.segments.map(({ hash }) => {
        const text = isMissing(hash) ? this.#cache.get(hash) : undefined;
        return { hash, ...(text !== undefined && { text }) };
      });
      return this.#try(voter, { kind: 'accept', state: voter.state, ballot, value, contents });
    };
    const lacks = (hash: string): boolean => this.#holdings.get(voter.state)?.includes(hash) === false;
    const stored = await send(this.#holdings.has(voter.state) ? lacks : (hash) => this.#added.has(hash));
    const isRefused = stored === undefined || compareBallots(stored.promised, ballot) > 0;
    const lacking = head.segments.filter(({ hash }) => lacks(hash));
    if (isRefused || lacking.length === 0) return stored;
    // A head that another process has proposed may have contents that were not read yet.
    return (await this.fetch(votersOf(head.membership), lacking)) ? send(lacks) : stored;
  }

  /**
   * Brings the texts of these segments into the cache; false if no voter has them all. The voter that answered last is asked
   * first, and the next one soon after it, because a voter that hangs must not delay the others.
   */
  async fetch(voters: readonly Voter[], segments: readonly SegmentName[]): Promise<boolean> {
    const isComplete = (): boolean => segments.every(({ hash }) => this.#cache.get(hash) !== undefined);
    if (isComplete()) return true;
    const order = [...this.#states.keys()].reverse();
    const rank = ({ machine }: Voter): number =>
      order.includes(machine) ? order.indexOf(machine) : order.length;
    const complete = deferred<void>();
    const asked: Promise<void>[] = [];
    for (const { machine } of voters.toSorted((a, b) => rank(a) - rank(b))) {
      const answered = this.#request(machine, { kind: 'read' }, true).then(
        () => {
          if (isComplete()) complete.resolve();
        },
        () => undefined,
      );
      asked.push(answered);
      await Promise.race([complete.promise, answered, sleep(NEXT_VOTER_MS)]);
      if (isComplete()) return true;
    }
    await Promise.race([complete.promise, Promise.all(asked)]);
    return isComplete();
  }

  /** The voters whose machine answered with another state, or none: what they had stored is lost. */
  lostOf({ voters }: Membership): readonly Voter[] {
    return voters.filter((voter) => this.#isLost(voter));
  }

  #isLost({ machine, state }: Voter): boolean {
    return this.#states.has(machine) && this.#states.get(machine) !== state;
  }

  async #try(
    voter: Voter,
    action: VoterRequest['action'],
    asked = this.#request(voter.machine, action),
  ): Promise<Stored<Head> | undefined> {
    try {
      const found = await asked;
      return found.state === voter.state ? found : undefined;
    } catch {
      return undefined;
    }
  }

  async #request(machine: string, action: VoterRequest['action'], withTexts = false): Promise<Found> {
    const isSetBack = this.#options.progress.expect();
    const asked = this.#options.ask(machine, {
      register: this.#options.register,
      action,
      ...(withTexts && { unlessKnown: this.#cache.known() }),
    });
    const answer = await asked.catch((error) => {
      if (isFleetError(error)) this.#failures.set(machine, error);
      throw error;
    });
    this.#failures.delete(machine);
    for (const text of answer.texts) this.#cache.put(sha256(text), text);
    const { accepted, promised } = answer.stored;
    const head = accepted && this.#headOf(accepted.value);
    const proposal = accepted && head && { ballot: accepted.ballot, value: head };
    const ballot = accepted?.ballot ?? NO_BALLOT;
    const shown = { machine, state: answer.state ?? '', round: ballot.round };
    const isInvalid =
      answer.invalid === true ||
      (accepted !== undefined && head === undefined) ||
      promised.round >= MAX_ROUND ||
      (answer.state !== undefined && isSetBack(shown));
    const state = isInvalid ? undefined : answer.state;
    this.#states.delete(machine);
    this.#states.set(machine, state);
    const onDisk = answer.state === undefined ? undefined : { state: answer.state, accepted: ballot };
    // A copy is no vote, but it shows that its era has begun.
    if (head !== undefined) this.#options.eras.note(machine, head);
    const found = { state, promised, onDisk, owner: answer.owner, isInvalid };
    if (state === undefined) return { ...found, aside: proposal };
    this.#options.progress.learn({ ...shown, state }, head);
    this.#holdings.set(state, answer.contents);
    this.#accepted.set(state, ballot);
    return { ...found, ...(proposal && { accepted: proposal }), aside: undefined };
  }

  /** Equal texts give the same object, so that equal values can be compared. */
  #headOf(text: string): Head | undefined {
    const head = this.#heads.get(text) ?? parseHead(text);
    if (head !== undefined) this.#remember(text, head);
    return head;
  }

  #remember(text: string, head: Head): void {
    this.#heads.delete(text);
    this.#heads.set(text, head);
    const [oldest] = this.#heads.keys();
    if (this.#heads.size > MOST_HEADS && oldest !== undefined) this.#heads.delete(oldest);
  }
}
