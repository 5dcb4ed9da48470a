import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { deferred } from '../base/async.ts';
import { FleetError, isFleetError } from '../base/errors.ts';
import { applyChanges, EMPTY_SNAPSHOT, findRecord, recordsBelow, type Snapshot } from '../store/snapshot.ts';
import type { Change, CommitResult, Store } from '../store/store.ts';
import { createWaits } from '../store/waits.ts';
import { COMMITS_KEPT, type Head } from './head.ts';
import { hasQuorum, type Membership, type Voter, withVoters } from './membership.ts';
import { type Outcome, Proposer } from './register.ts';
import { addSegment, type Entry, snapshotOf } from './segments.ts';
import { type AskVoter, HeadVoters, type TextCache } from './voters.ts';

export type QuorumOptions = {
  /** The name of the register: registers are independent of each other. */
  readonly register: string;
  /** The machines of the cluster, of which the first ones become voters. */
  readonly machines: readonly string[];
  readonly ask: AskVoter;
  readonly cache: TextCache;
  /** A voter that had lost its state has it again. */
  readonly onReplaced?: (machine: string) => void;
  /** Releases what `ask` uses. */
  readonly close?: () => Promise<void>;
};

/** `lost`: its machine has stored something else, so it does not count. */
export type VoterStatus = {
  readonly machine: string;
  readonly state: 'current' | 'behind' | 'lost' | 'unreachable';
  readonly revision?: number;
  readonly error?: FleetError;
};

/** The pause after a voter did not answer a wait, in ms. */
const RETRY_MS = 1000;
/** A proposer that was disturbed waits up to this time, in ms, and up to twice as long each time. */
const PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 1000;
/** After so many attempts, a command gives up. */
const MOST_ATTEMPTS = 50;

/** A store on the machines: a majority of the voters is enough to read and to commit. */
export function openQuorumStore(options: QuorumOptions): QuorumStore {
  return new QuorumStore(options);
}

export class QuorumStore implements Store {
  readonly #options: QuorumOptions;
  readonly #holders: HeadVoters;
  readonly #waits = createWaits();
  #change: Promise<void> | undefined;
  readonly #closed = deferred<void>();
  #opening: Promise<Proposer<Head> | undefined> | undefined;
  #snapshot: { readonly head: Head; readonly snapshot: Snapshot } | undefined;
  #commits: Promise<unknown> = Promise.resolve();
  /** The voters of a registry that this store creates. */
  #first: Membership | undefined;

  constructor(options: QuorumOptions) {
    this.#options = options;
    this.#holders = new HeadVoters(options);
  }

  async get(key: string) {
    return findRecord(await this.#read(), key);
  }

  async list(prefix: string) {
    const snapshot = await this.#read();
    return { revision: snapshot.revision, records: recordsBelow(snapshot, prefix) };
  }

  async commit(changes: readonly Change[]): Promise<CommitResult> {
    // A rejection of the commit before is that caller's.
    const turn = this.#commits.then(() => this.#commit(changes));
    this.#commits = turn.catch(() => undefined);
    const result = await turn;
    if (result.kind === 'committed') this.#waits.ringAll();
    return result;
  }

  waitForChange(after: number, signal: AbortSignal): Promise<boolean> {
    const hasChanged = async (): Promise<boolean> => {
      try {
        return (await this.#readRevision()) !== after;
      } catch {
        return false;
      }
    };
    return this.#waits.until(hasChanged, signal, (ring) => {
      let isOver = false;
      const watch = async (): Promise<void> => {
        while (!isOver) {
          // A wait that has ended leaves this behind for the next one.
          this.#change ??= this.#nextChange().finally(() => {
            this.#change = undefined;
          });
          await Promise.race([this.#change, this.#closed.promise]);
          ring();
        }
      };
      void watch();
      return () => {
        isOver = true;
      };
    });
  }

  /** Resolves soon after a voter has accepted a proposal, and now and then without one. Never rejects. */
  async #nextChange(): Promise<void> {
    const voters = (await this.#open().catch(() => undefined))?.membership.voters ?? [];
    const waits = voters.map((voter) =>
      this.#holders.waitForChange(voter, () => this.#waits.ringAll()).catch(() => sleep(RETRY_MS)),
    );
    await (waits.length === 0 ? sleep(RETRY_MS) : Promise.race(waits));
  }

  async close(): Promise<void> {
    this.#waits.close();
    this.#closed.resolve();
    await this.#commits;
    await this.#options.close?.();
  }

  async #readRevision(): Promise<number> {
    const outcome = await (await this.#open())?.read();
    return outcome === undefined ? 0 : (headOf(outcome)?.revision ?? 0);
  }

  async #read(): Promise<Snapshot> {
    const proposer = await this.#open();
    if (proposer === undefined) return EMPTY_SNAPSHOT;
    const head = headOf(await proposer.read());
    return head === undefined ? EMPTY_SNAPSHOT : this.#load(head);
  }

  async #commit(changes: readonly Change[]): Promise<CommitResult> {
    const id = randomId();
    const proposer = (await this.#open()) ?? (await this.#create());
    let result: CommitResult | undefined;
    const outcome = await proposer.change(async (head) => {
      if (head?.commits.includes(id)) {
        result = { kind: 'committed', revision: head.revision };
        return head;
      }
      const before = head === undefined ? EMPTY_SNAPSHOT : await this.#load(head);
      const applied = applyChanges(before, changes);
      if (applied.kind === 'conflict') {
        result = applied;
        return head;
      }
      result = { kind: 'committed', revision: applied.after.revision };
      if (applied.after === before) return head;
      return this.#next(head, applied.after, changes, id);
    });
    headOf(outcome);
    if (result === undefined) throw new TypeError('a change was not decided');
    await this.#replaceLost(proposer);
    return result;
  }

  /** Gives each voter that lost its state a new one, with the contents. An error leaves it as it is, because the rest is a majority. */
  async #replaceLost(proposer: Proposer<Head>): Promise<void> {
    for (const lost of this.#holders.lostOf(proposer.membership)) {
      try {
        const fresh = await this.#holders.create(lost.machine);
        await proposer.change((head) => head && withoutLost(head, lost, fresh));
        // The second step of the change.
        headOf(await proposer.change((head) => head));
        this.#options.onReplaced?.(lost.machine);
      } catch (error) {
        if (!isFleetError(error)) throw error;
      }
    }
  }

  /** The voters and what each has stored; undefined if there is no registry yet. */
  async voters(): Promise<readonly VoterStatus[] | undefined> {
    const proposer = await this.#open();
    const head = proposer && headOf(await proposer.read());
    if (head === undefined) return undefined;
    return Promise.all(
      head.membership.voters.map(async ({ machine, state }): Promise<VoterStatus> => {
        try {
          const found = await this.#holders.find(machine, false);
          if (found.state !== state) return { machine, state: 'lost' };
          const revision = found.head?.revision ?? 0;
          return { machine, state: revision < head.revision ? 'behind' : 'current', revision };
        } catch (error) {
          if (!isFleetError(error)) throw error;
          return { machine, state: 'unreachable', error };
        }
      }),
    );
  }

  /** The head after a commit; its texts are in the cache. */
  #next(head: Head | undefined, after: Snapshot, changes: readonly Change[], id: string): Head {
    const membership = head?.membership ?? this.#first;
    if (membership === undefined) throw new TypeError('a registry has no voters');
    const entries = changes.flatMap((change): Entry[] => {
      if (change.kind === 'check' || (change.kind === 'delete' && change.ifRevision === 0)) return [];
      const { key } = change;
      return [{ key, revision: after.revision, ...(change.kind === 'put' && { value: change.value }) }];
    });
    const before = head?.segments ?? [];
    const texts = new Map(before.map(({ hash }) => [hash, this.#options.cache.get(hash) ?? '']));
    const { segments, added } = addSegment(
      before,
      texts,
      entries.sort((a, b) => (a.key < b.key ? -1 : 1)),
    );
    this.#holders.add(added);
    const next: Head = {
      membership,
      cluster: head?.cluster ?? randomId(),
      revision: after.revision,
      segments,
      commits: [id, ...(head?.commits ?? [])].slice(0, COMMITS_KEPT),
    };
    this.#snapshot = { head: next, snapshot: after };
    return next;
  }

  async #load(head: Head): Promise<Snapshot> {
    if (this.#snapshot !== undefined && sameContents(this.#snapshot.head, head))
      return this.#snapshot.snapshot;
    if (!(await this.#holders.fetch(head.membership.voters, head.segments)))
      throw new FleetError(
        'registry-unavailable',
        'Cannot read the registry: no voter that answers has all of its contents',
        {
          hint: 'Try again; if it stays like this, run fleetctl registry to see the voters',
        },
      );
    const texts = new Map(head.segments.map(({ hash }) => [hash, this.#options.cache.get(hash) ?? '']));
    const snapshot = snapshotOf(head.revision, head.segments, texts);
    this.#snapshot = { head, snapshot };
    return snapshot;
  }

  #open(): Promise<Proposer<Head> | undefined> {
    const opening = this.#opening ?? this.#locate();
    this.#opening = opening;
    void opening.then(
      (proposer) => {
        if (proposer === undefined && this.#opening === opening) this.#opening = undefined;
      },
      () => {
        if (this.#opening === opening) this.#opening = undefined;
      },
    );
    return opening;
  }

  /** A proposer for the voters that the machines name; undefined if all machines answer and none has a registry. */
  async #locate(): Promise<Proposer<Head> | undefined> {
    const { machines } = this.#options;
    const likely = voterCount(machines.length);
    let unreachable: unknown;
    for (const group of [machines.slice(0, likely), machines.slice(likely)]) {
      const heads = new Map<string, Head>();
      const asked = group.map(async (machine, index) => {
        const { state, head } = await this.#holders.find(machine, index === 0);
        if (state !== undefined && head !== undefined) heads.set(state, head);
      });
      // A machine that hangs must not delay the others.
      unreachable ??= await firstError(asked, () => isConfirmed(newestOf(heads), heads));
      const newest = newestOf(heads);
      if (newest !== undefined) return this.#proposer(newest.membership);
    }
    if (unreachable === undefined) return undefined;
    throw new FleetError('registry-no-majority', 'Cannot find the registry: no machine that answers has it', {
      hint: 'A registry is created only while every machine answers, because a machine that does not answer may have one',
      cause: unreachable,
    });
  }

  /** A proposer for a registry that does not exist yet, with voters that have a state. */
  async #create(): Promise<Proposer<Head>> {
    const { machines } = this.#options;
    const chosen = machines.slice(0, voterCount(machines.length));
    const voters = await Promise.all(chosen.map((machine) => this.#holders.create(machine)));
    this.#first = { epoch: 1, voters };
    const proposer = this.#proposer(this.#first);
    this.#opening = Promise.resolve(proposer);
    return proposer;
  }

  #proposer(membership: Membership): Proposer<Head> {
    return new Proposer(this.#holders, {
      proposer: Number.parseInt(randomBytes(6).toString('hex'), 16) + 1,
      membership,
      async pause(attempt) {
        if (attempt >= MOST_ATTEMPTS)
          throw new FleetError(
            'registry-unavailable',
            `Cannot change the registry: ${attempt} attempts were overtaken by others`,
            {
              hint: 'Try again',
            },
          );
        await sleep(Math.random() * Math.min(PAUSE_MS * 2 ** attempt, LONGEST_PAUSE_MS));
      },
    });
  }
}

/** Five voters in clusters of seven machines or more, one in clusters of one or two, three otherwise. */
function voterCount(machines: number): number {
  if (machines >= 7) return 5;
  return machines >= 3 ? 3 : 1;
}

function headOf(outcome: Outcome<Head>): Head | undefined {
  if (outcome.kind === 'chosen') return outcome.value;
  if (outcome.kind === 'empty') return undefined;
  const names = outcome.missing.map(({ machine }) => machine).join(', ');
  throw new FleetError(
    'registry-no-majority',
    `Cannot ${outcome.proposed ? 'confirm the change of' : 'read'} the registry: these voters do not answer: ${names}`,
    {
      hint: outcome.proposed
        ? 'The change may be made or not; run the command again when a majority of the voters answers'
        : 'A majority of the voters has to answer; units keep running meanwhile',
    },
  );
}

/** The head with the latest membership. */
function newestOf(heads: ReadonlyMap<string, Head>): Head | undefined {
  return [...heads.values()].sort((a, b) => b.membership.epoch - a.membership.epoch)[0];
}

/** Whether a majority of its voters has a head of this membership. */
function isConfirmed(head: Head | undefined, heads: ReadonlyMap<string, Head>): boolean {
  if (head === undefined) return false;
  const holders = [...heads].filter(([, { membership }]) => membership.epoch === head.membership.epoch);
  return hasQuorum(head.membership, new Set(holders.map(([state]) => state)));
}

/** Waits until all work is done, or enough; returns the first error. */
async function firstError(work: readonly Promise<void>[], isEnough: () => boolean): Promise<unknown> {
  let error: unknown;
  const enough = deferred<void>();
  const ended = work.map((each) =>
    each.then(
      () => {
        if (isEnough()) enough.resolve();
      },
      (reason) => {
        error ??= reason;
      },
    ),
  );
  await Promise.race([enough.promise, Promise.all(ended)]);
  return error;
}

function withoutLost(head: Head, lost: Voter, fresh: Voter): Head {
  const { membership } = head;
  if (!membership.voters.some(({ state }) => state === lost.state)) return head;
  const others = membership.voters.filter(({ state }) => state !== lost.state);
  return { ...head, membership: withVoters(membership, [...others, fresh]) };
}

function sameContents(a: Head, b: Head): boolean {
  return (
    a.cluster === b.cluster &&
    a.revision === b.revision &&
    a.segments.every(({ hash }, i) => b.segments[i]?.hash === hash) &&
    a.segments.length === b.segments.length
  );
}

function randomId(): string {
  return randomBytes(16).toString('hex');
}
