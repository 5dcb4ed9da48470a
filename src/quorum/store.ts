import { setTimeout as sleep } from 'node:timers/promises';
import { createLimit, deferred } from '../base/async.ts';
import { isFleetError } from '../base/errors.ts';
import {
  applyChanges,
  EMPTY_SNAPSHOT,
  findRecord,
  partOf,
  type Snapshot,
  snapshotStore,
} from '../store/snapshot.ts';
import type { Change, CommitResult, Store } from '../store/store.ts';
import { createWaits } from '../store/waits.ts';
import type { ConditionOf, VoterCandidate } from './choose.ts';
import { Electorate, type VoterChange } from './electorate.ts';
import { Eras, type FormerRegistry } from './eras.ts';
import { contentsMissingError, unknownChangeError } from './failures.ts';
import {
  COMMITS_KEPT,
  type Head,
  recoveredFrom,
  revisionOf,
  type SegmentName,
  sameContents,
} from './head.ts';
import { randomId } from './ids.ts';
import { eraOf, type Membership, type Voter } from './membership.ts';
import type { QuorumOptions } from './options.ts';
import { Progress } from './progress.ts';
import { OVERTAKEN, type Proposer } from './register.ts';
import { beginEra, findRemains, nextEra, type Remains } from './remains.ts';
import { addSegment, type Entry, snapshotOf, type Texts } from './segments.ts';
import { type RegisterStatus, Returns, statusOf } from './status.ts';
import { HeadVoters } from './voters.ts';

/** The head before a commit; the first one has only its voters. */
type HeadBefore = Pick<Partial<Head>, 'segments' | 'cluster' | 'commits' | 'accepted' | 'recovered'> & {
  readonly membership: Membership | undefined;
};

/** The pause after a voter did not answer a wait, in ms. */
const RETRY_MS = 1000;
/** A store on the machines: a majority of the voters is enough to read and to commit. */
export function openQuorumStore(options: QuorumOptions): QuorumStore {
  return new QuorumStore(options);
}

export class QuorumStore implements Store {
  readonly commitsAt = true;
  readonly #options: QuorumOptions;
  #holders: HeadVoters;
  #electorate: Electorate;
  readonly #waits = createWaits();
  #change: Promise<void> | undefined;
  readonly #closed = deferred<void>();
  readonly #eras = new Eras();
  readonly #returns = new Returns();
  readonly #progress: Progress;
  /** The contents that this user has read before, or recovered, by hash. */
  readonly #known: Set<string>;
  #snapshot: { readonly head: Head; readonly snapshot: Snapshot } | undefined;
  readonly #commits = createLimit(1);
  readonly #changesOfVoters = createLimit(1);

  constructor(options: QuorumOptions) {
    this.#options = options;
    this.#progress = new Progress(options.accepted);
    this.#known = new Set(options.machinesIn && options.cache.known());
    this.#holders = this.#newHolders();
    this.#electorate = this.#newElectorate();
  }

  #newHolders(): HeadVoters {
    return new HeadVoters({ ...this.#options, eras: this.#eras, progress: this.#progress });
  }

  #newElectorate(): Electorate {
    const { machinesIn } = this.#options;
    const isKnown = (head: Head): boolean =>
      machinesIn === undefined ||
      this.#progress.knows(head) ||
      head.segments.some(({ hash }) => this.#known.has(hash));
    return new Electorate({ ...this.#options, holders: this.#holders, isKnown });
  }

  /**
   * Without a majority, the next call looks for the registry again, because another process may have rebuilt it. It does not return to an
   * era that the process has left.
   */
  async #begin<T>(work: (electorate: Electorate) => Promise<T>): Promise<T> {
    const { during = (call) => call() } = this.#options;
    const electorate = this.#electorate;
    try {
      return await during(() => work(electorate));
    } catch (error) {
      if (isFleetError(error, 'registry-no-majority') && this.#electorate === electorate) {
        this.#holders = this.#newHolders();
        this.#electorate = this.#newElectorate();
      }
      throw error;
    }
  }

  async get(key: string) {
    return findRecord(await this.#read(), key);
  }

  async list(...prefixes: readonly string[]) {
    return partOf(await this.#read(), prefixes);
  }

  async commit(changes: readonly Change[], at?: number): Promise<CommitResult> {
    const result = await this.#commits(() =>
      this.#begin((electorate) => this.#commit(electorate, changes, at)),
    );
    if (result.kind === 'committed') this.#waits.ringAll();
    return result;
  }

  waitForChange(after: number, signal: AbortSignal): Promise<boolean> {
    const hasChanged = async (): Promise<boolean> => {
      try {
        return ((await this.#readHead())?.revision ?? 0) !== after;
      } catch {
        return false;
      }
    };
    return this.#waits.until(hasChanged, signal, () => {
      let isOver = false;
      const watch = async (): Promise<void> => {
        while (!isOver) {
          // A wait that has ended leaves this behind for the next one.
          this.#change ??= this.#nextChange().finally(() => {
            this.#change = undefined;
          });
          await Promise.race([this.#change, this.#closed.promise]);
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
    const voters = (await this.#electorate.open().catch(() => undefined))?.membership.voters ?? [];
    const waits = voters.map((voter) => this.#holders.waitForChange(voter).catch(() => sleep(RETRY_MS)));
    // What was accepted before these waits is found by a read that begins now.
    this.#waits.ringAll();
    await (waits.length === 0 ? sleep(RETRY_MS) : Promise.race(waits));
  }

  async close(): Promise<void> {
    this.#waits.close();
    this.#closed.resolve();
    const nothing = async (): Promise<void> => undefined;
    await Promise.all([this.#commits(nothing), this.#changesOfVoters(nothing)]);
    await this.#options.close?.();
  }

  /** Undefined if there is no registry yet. */
  async #readHead(): Promise<Head | undefined> {
    return this.#begin(async (electorate) => {
      const outcome = await (await electorate.open())?.read();
      return outcome && electorate.headOf(outcome);
    });
  }

  /** `gone`: the head whose contents no voter had. */
  async #read(gone?: Head): Promise<Snapshot> {
    const head = await this.#readHead();
    if (head === undefined) return EMPTY_SNAPSHOT;
    const loaded = await this.#load(head, gone);
    return typeof loaded === 'string' ? this.#read(head) : loaded;
  }

  async #commit(
    electorate: Electorate,
    changes: readonly Change[],
    at: number | undefined,
  ): Promise<CommitResult> {
    const id = randomId();
    const proposer = (await electorate.open()) ?? (await this.#create(electorate, changes));
    let result: CommitResult | 'former' | undefined;
    let lowest = Number.POSITIVE_INFINITY;
    let gone: Head | undefined;
    const outcome = await proposer.change(async (head) => {
      const endWith = (found: CommitResult | 'former'): Head | undefined => {
        result = found;
        return head;
      };
      const made = head && revisionOf(id, head, lowest);
      if (made !== undefined) return endWith({ kind: 'committed', revision: made });
      const revision = head?.revision ?? 0;
      // What was read in another era decides nothing, because its revisions may be equal.
      if ((at !== undefined && at !== revision) || this.#hasReadOtherEra(head))
        return endWith({ kind: 'conflict', key: '' });
      const before = head === undefined ? EMPTY_SNAPSHOT : await this.#load(head, gone);
      if (before === 'gone') {
        gone = head;
        return OVERTAKEN;
      }
      if (before === 'former') return endWith(before);
      const applied = applyChanges(before, changes);
      if (applied.kind === 'conflict') return endWith(applied);
      result = { kind: 'committed', revision: applied.after.revision };
      if (applied.after === before) return head;
      lowest = Math.min(lowest, applied.after.revision);
      return this.#next({ membership: electorate.first, ...head }, applied.after, changes, id);
    });
    electorate.headOf(outcome, 'change');
    if (result === undefined) throw new TypeError('a change was not decided');
    if (result !== 'former') return result;
    // The recovery may have continued with the proposal.
    if (lowest !== Number.POSITIVE_INFINITY) throw unknownChangeError('it was recovered meanwhile');
    return this.#commit(electorate, changes, at);
  }

  /** The first commit may copy a registry, which says which machines may be voters. */
  async #create(electorate: Electorate, changes: readonly Change[]): Promise<Proposer<Head>> {
    const applied = applyChanges(EMPTY_SNAPSHOT, changes);
    const contents = applied.kind === 'conflict' ? EMPTY_SNAPSHOT : applied.after;
    const belongsTo = (cluster: string): boolean => this.#options.belongsTo(changes, cluster);
    return electorate.create(belongsTo, await this.#conditionsIn(contents));
  }

  #hasReadOtherEra(head: Head | undefined): boolean {
    const read = this.#snapshot?.head;
    return read !== undefined && head !== undefined && eraOf(read.membership) !== eraOf(head.membership);
  }

  /**
   * Replaces voters where that is needed. `candidates` are all machines of the cluster. Without a need, no machine is asked
   * after the first read.
   */
  tend(candidates: readonly VoterCandidate[]): Promise<readonly VoterChange[]> {
    return this.#changesOfVoters(() => this.#electorate.tend(candidates));
  }

  /** Asks machines that answer again whether they have a former registry; none unless the registry was recovered. */
  async look(candidates: readonly VoterCandidate[]): Promise<void> {
    const head = this.#snapshot?.head;
    if (head !== undefined) await this.#returns.look(candidates, head, this.#holders);
  }

  /** The former registries that this process has seen. */
  get former(): readonly FormerRegistry[] {
    const cluster = this.#snapshot?.head.cluster;
    return cluster === undefined ? [] : this.#eras.formerOf(cluster);
  }

  /** The contents that were read or changed last, and the machines that were voters then. */
  get last(): { readonly snapshot: Snapshot; readonly voters: readonly string[] } | undefined {
    if (this.#snapshot === undefined) return undefined;
    const { head, snapshot } = this.#snapshot;
    return { snapshot, voters: head.membership.voters.map(({ machine }) => machine) };
  }

  /** The machines that are voters; none if there is no registry yet. */
  async names(): Promise<readonly string[]> {
    return ((await this.#readHead())?.membership.voters ?? []).map(({ machine }) => machine);
  }

  /**
   * What is left without a majority of the voters; undefined if a majority answers, or nothing is left. The first commit of the
   * store begins the next era with it, without those voters.
   */
  async remains(): Promise<(Remains & { readonly store: Store }) | undefined> {
    const { machines } = this.#options;
    const names = machines.map(({ machine }) => machine);
    const remains = await findRemains(names, this.#holders);
    if (remains === undefined) return undefined;
    const holders = remains.holders.map((machine) => ({ machine, state: '' }));
    const snapshot = await this.#fetch(remains.head, holders);
    if (snapshot === undefined) throw contentsMissingError();
    const conditions = await this.#conditionsIn(snapshot);
    const candidates = machines.map((each) => ({ ...each, condition: conditions(each.machine) }));
    const commit = async (changes: readonly Change[]): Promise<CommitResult> => {
      const applied = applyChanges(snapshot, changes);
      if (applied.kind === 'conflict') return applied;
      const { cluster, membership } = this.#eras.latestOf(remains.head.cluster) ?? remains.head;
      const latest = Math.max(eraOf(membership), this.#progress.eraOf(cluster));
      const recovered = recoveredFrom(remains.head);
      const before = { ...remains.head, recovered, membership: nextEra(remains, candidates, latest) };
      const head = this.#next(before, applied.after, changes, randomId());
      await beginEra(head, remains, this.#holders);
      for (const { hash } of head.segments) this.#known.add(hash);
      return { kind: 'committed', revision: head.revision };
    };
    return { ...remains, store: snapshotStore(snapshot, commit) };
  }

  async #conditionsIn(snapshot: Snapshot): Promise<ConditionOf> {
    return (await this.#options.conditionsIn?.(snapshot)) ?? (() => 'good');
  }

  /** Undefined if there is no registry yet. Rejects without a majority of the voters only if no machine has a head. */
  async status(): Promise<RegisterStatus | undefined> {
    const names = this.#options.machines.map(({ machine }) => machine);
    const { failures } = this.#holders;
    const statusWith = async (head: Head, machines: readonly string[] = names): Promise<RegisterStatus> => ({
      revision: head.revision,
      voters: await statusOf(head, machines, this.#holders, failures),
    });
    try {
      const head = await this.#readHead();
      if (head === undefined) return undefined;
      // Contents that cannot be read do not hide the voters.
      const snapshot = await this.#load(head).catch((error) => {
        if (!isFleetError(error, 'registry-unavailable')) throw error;
        return EMPTY_SNAPSHOT;
      });
      if (snapshot === 'former') return this.status();
      return statusWith(head, snapshot === 'gone' ? names : this.#options.machinesIn?.(snapshot));
    } catch (error) {
      if (!isFleetError(error, 'registry-no-majority')) throw error;
      const remains = await findRemains(names, this.#holders, failures);
      if (remains === undefined) throw error;
      return { ...(await statusWith(remains.head)), withoutMajority: error };
    }
  }

  /** The head after a commit; its texts are in the cache. */
  #next(head: HeadBefore, after: Snapshot, changes: readonly Change[], id: string): Head {
    const { membership } = head;
    if (membership === undefined) throw new TypeError('a registry has no voters');
    const entries = changes.flatMap((change): Entry[] => {
      if (change.kind === 'check' || (change.kind === 'delete' && change.ifRevision === 0)) return [];
      const { key } = change;
      return [{ key, revision: after.revision, ...(change.kind === 'put' && { value: change.value }) }];
    });
    const before = head.segments ?? [];
    const { segments, added } = addSegment(
      before,
      this.#textsOf(before),
      entries.sort((a, b) => (a.key < b.key ? -1 : 1)),
    );
    this.#holders.add(added);
    // The present ones too, because the next head may not be chosen.
    this.#options.cache.keep([...before, ...segments].map(({ hash }) => hash));
    const next: Head = {
      membership,
      cluster: head.cluster ?? randomId(),
      revision: after.revision,
      segments,
      commits: [id, ...(head.commits ?? [])].slice(0, COMMITS_KEPT),
      accepted: this.#progress.roundsOf(membership, head.accepted),
      ...(head.recovered && { recovered: head.recovered }),
    };
    this.#snapshot = { head: next, snapshot: after };
    return next;
  }

  /**
   * The contents of a registry. `former`: a machine that they name has a later era. `gone`: no voter that answers has them, because
   * voters remove what a later head does not name. Throws FleetError `registry-unavailable` if that head was `gone` before.
   */
  async #load(head: Head, gone?: Head): Promise<Snapshot | 'former' | 'gone'> {
    const last = this.#snapshot;
    const isSame = last !== undefined && sameContents(last.head, head);
    const snapshot = isSame ? last.snapshot : await this.#fetch(head, head.membership.voters);
    if (snapshot === undefined) {
      if (gone !== undefined && sameContents(gone, head)) throw contentsMissingError();
      return 'gone';
    }
    const machines = (): readonly string[] => this.#options.machinesIn?.(snapshot) ?? [];
    if (!isSame && !(await this.#electorate.check(head, machines))) return 'former';
    // Its machines have been asked for the recovered one.
    this.#electorate.refuseFormer(head);
    this.#snapshot = { head, snapshot };
    this.#progress.hasRead(head);
    this.#options.cache.keep(head.segments.map(({ hash }) => hash));
    return snapshot;
  }

  /** The contents of a registry, from machines that have them; undefined if none that answers has them all. */
  async #fetch(head: Head, voters: readonly Voter[]): Promise<Snapshot | undefined> {
    if (!(await this.#holders.fetch(voters, head.segments))) return undefined;
    return snapshotOf(head.revision, head.segments, this.#textsOf(head.segments));
  }

  #textsOf(segments: readonly SegmentName[]): Texts {
    return new Map(
      segments.flatMap(({ hash }) => {
        const text = this.#options.cache.get(hash);
        return text === undefined ? [] : [[hash, text] as const];
      }),
    );
  }
}
