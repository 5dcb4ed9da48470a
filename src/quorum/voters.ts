import { sha256 } from '../base/hash.ts';
import { type Ballot, compareBallots, NO_BALLOT } from './ballot.ts';
import { formatHead, type Head, parseHead, type SegmentName } from './head.ts';
import type { Membership, Voter } from './membership.ts';
import type { Acceptors, Stored } from './register.ts';

/** The longest wait of a machine for a change, in s. */
export const WAIT_SECONDS = 20;

/** What a machine is asked to do with a register. */
export type VoterRequest = {
  readonly register: string;
  readonly action:
    | { readonly kind: 'read' }
    /** Gives the machine a state unless it has one that is whole. A damaged one is kept beside it. */
    | { readonly kind: 'create' }
    /** Answers when another proposal than this one is accepted, or after {@link WAIT_SECONDS}. */
    | { readonly kind: 'wait'; readonly accepted: Ballot }
    | { readonly kind: 'prepare'; readonly state: string; readonly ballot: Ballot }
    | {
        readonly kind: 'accept';
        readonly state: string;
        readonly ballot: Ballot;
        readonly value: string;
        /** The contents that the value names; those with a text are stored first, all others removed. */
        readonly contents: readonly { readonly hash: string; readonly text?: string }[];
      };
  /** The answer has the texts of all contents but these; without it, it has none. */
  readonly unlessKnown?: readonly string[];
};

/** What a machine has stored afterwards. */
export type VoterAnswer = {
  /** Undefined if it has stored nothing. */
  readonly state: string | undefined;
  readonly stored: Stored<string>;
  /** The hashes of its contents. */
  readonly contents: readonly string[];
  readonly texts: readonly string[];
  /** Its state is damaged, or a copy: it does not count. */
  readonly invalid?: boolean;
};

/** Rejects with a FleetError if the machine cannot be reached or its answer is invalid. */
export type AskVoter = (machine: string, request: VoterRequest) => Promise<VoterAnswer>;

/** Texts by hash, which outlive a command. */
export interface TextCache {
  /** All hashes that it has. */
  known(): readonly string[];
  get(hash: string): string | undefined;
  put(hash: string, text: string): void;
}

/** The machines that hold the head of a registry and its contents. Texts that arrive are put into the cache, once verified. */
export class HeadVoters implements Acceptors<Head> {
  readonly #ask: AskVoter;
  readonly #cache: TextCache;
  readonly #register: string;
  /** The contents that each state is known to have. */
  readonly #holdings = new Map<string, readonly string[]>();
  readonly #added = new Set<string>();
  readonly #waits = new Map<string, Promise<void>>();
  /** The states of the machines that answered; undefined for none that counts. */
  readonly #states = new Map<string, string | undefined>();
  /** Answers of {@link find}, for the read that follows it. */
  readonly #fresh = new Map<string, Stored<Head>>();

  constructor({
    ask,
    cache,
    register,
  }: { readonly ask: AskVoter; readonly cache: TextCache; readonly register: string }) {
    this.#ask = ask;
    this.#cache = cache;
    this.#register = register;
  }

  /** The head that a machine has; it counts for the next read too. */
  async find(
    machine: string,
    withTexts: boolean,
  ): Promise<{ readonly state: string | undefined; readonly head: Head | undefined }> {
    const { state, stored } = await this.#request(machine, { kind: 'read' }, withTexts);
    if (state !== undefined) this.#fresh.set(state, stored);
    return { state, head: stored.accepted?.value };
  }

  /**
   * Resolves when the voter has accepted another proposal than it had when `began` was called, at the latest after
   * {@link WAIT_SECONDS}. A wait that is under way is shared, because a voter has one wait at a time.
   */
  waitForChange(voter: Voter, began: () => void): Promise<void> {
    const known = this.#waits.get(voter.state);
    if (known !== undefined) return known;
    const wait = this.#wait(voter, began).finally(() => this.#waits.delete(voter.state));
    this.#waits.set(voter.state, wait);
    return wait;
  }

  async #wait(voter: Voter, began: () => void): Promise<void> {
    const { stored } = await this.#request(voter.machine, { kind: 'read' });
    began();
    await this.#request(voter.machine, { kind: 'wait', accepted: stored.accepted?.ballot ?? NO_BALLOT });
  }

  /** The state of a machine, which is made if it has none. */
  async create(machine: string): Promise<Voter> {
    const { state } = await this.#request(machine, { kind: 'create' });
    if (state === undefined) throw new TypeError('a voter was made without a state');
    return { machine, state };
  }

  async read(voter: Voter): Promise<Stored<Head> | undefined> {
    const fresh = this.#fresh.get(voter.state);
    this.#fresh.delete(voter.state);
    return fresh ?? this.#try(voter, { kind: 'read' });
  }

  prepare(voter: Voter, ballot: Ballot): Promise<Stored<Head> | undefined> {
    return this.#try(voter, { kind: 'prepare', state: voter.state, ballot });
  }

  /** Texts of the next head, which no voter has yet. */
  add(texts: ReadonlyMap<string, string>): void {
    for (const [hash, text] of texts) {
      this.#cache.put(hash, text);
      this.#added.add(hash);
    }
  }

  /** Sends the contents that the voter lacks; if they are not known, those that were added, and the others on demand. */
  async accept(voter: Voter, ballot: Ballot, head: Head): Promise<Stored<Head> | undefined> {
    const send = (isMissing: (hash: string) => boolean): Promise<Stored<Head> | undefined> => {
      const contents = head.segments.map(({ hash }) => {
        const text = isMissing(hash) ? this.#cache.get(hash) : undefined;
        return { hash, ...(text !== undefined && { text }) };
      });
      return this.#try(voter, {
        kind: 'accept',
        state: voter.state,
        ballot,
        value: formatHead(head),
        contents,
      });
    };
    const lacks = (hash: string): boolean => this.#holdings.get(voter.state)?.includes(hash) === false;
    const stored = await send(this.#holdings.has(voter.state) ? lacks : (hash) => this.#added.has(hash));
    const isRefused = stored === undefined || compareBallots(stored.promised, ballot) > 0;
    return isRefused || !head.segments.some(({ hash }) => lacks(hash)) ? stored : send(lacks);
  }

  /** Brings the texts of these segments into the cache; false if no voter has them all. */
  async fetch(voters: readonly Voter[], segments: readonly SegmentName[]): Promise<boolean> {
    const missing = (): boolean => segments.some(({ hash }) => this.#cache.get(hash) === undefined);
    for (const { machine } of voters) {
      if (!missing()) return true;
      await this.#request(machine, { kind: 'read' }, true).catch(() => undefined);
    }
    return !missing();
  }

  /** The voters whose machine answered with another state, or none: what they had stored is lost. */
  lostOf({ voters }: Membership): readonly Voter[] {
    return voters.filter(
      ({ machine, state }) => this.#states.has(machine) && this.#states.get(machine) !== state,
    );
  }

  async #try(voter: Voter, action: VoterRequest['action']): Promise<Stored<Head> | undefined> {
    try {
      const { state, stored } = await this.#request(voter.machine, action);
      return state === voter.state ? stored : undefined;
    } catch {
      return undefined;
    }
  }

  async #request(
    machine: string,
    action: VoterRequest['action'],
    withTexts = false,
  ): Promise<{ state: string | undefined; stored: Stored<Head> }> {
    const answer = await this.#ask(machine, {
      register: this.#register,
      action,
      ...(withTexts && { unlessKnown: this.#cache.known() }),
    });
    for (const text of answer.texts) this.#cache.put(sha256(text), text);
    const accepted = answer.stored.accepted;
    const value = accepted && parseHead(accepted.value);
    const isUnreadable = accepted !== undefined && value === undefined;
    const state = answer.invalid || isUnreadable ? undefined : answer.state;
    this.#states.set(machine, state);
    const { promised } = answer.stored;
    if (state === undefined) return { state, stored: { promised } };
    this.#holdings.set(state, answer.contents);
    return {
      state,
      stored: { promised, ...(accepted && value && { accepted: { ballot: accepted.ballot, value } }) },
    };
  }
}
