import { setTimeout as sleep } from 'node:timers/promises';
import { deferred, withTimeout } from '../base/async.ts';
import { type FleetError, ignoreFleetError, isFleetError } from '../base/errors.ts';
import { type Agreement, agreementOf, type Holding, holdersOf } from './agreement.ts';
import {
  type ConditionOf,
  chooseVoters,
  firstVoters,
  type QuorumMachine,
  type VoterCandidate,
} from './choose.ts';
import {
  beforeRecoveryError,
  disputedError,
  noMajorityError,
  notFoundError,
  noVoterError,
  overtakenError,
  ownedError,
  unprovenError,
} from './failures.ts';
import type { Head } from './head.ts';
import { randomProposer } from './ids.ts';
import { eraOf, type Membership, type Voter, withVoters } from './membership.ts';
import { newVoter } from './new-voter.ts';
import type { QuorumOptions } from './options.ts';
import { type Outcome, Proposer } from './register.ts';
import type { Found, HeadVoters } from './voters.ts';

/**
 * A change of the voters: the machines that are voters no more, and those that became voters. A machine in both lists had lost
 * its state.
 */
export type VoterChange = { readonly gone: readonly string[]; readonly come: readonly string[] };

/** The limit for a voter that gets a new state, in ms. */
const REPLACEMENT_MS = 3000;
/** After this time, in ms, a voter that could not be renewed is tried again. */
const RENEWAL_MS = 30_000;
/** After this time without a majority, in ms, the machines that are less likely to be voters are asked, too. */
const OTHERS_MS = 1000;
/** How long the rest of the voters is waited for, in ms, if the answers of a majority are not enough. */
const PATIENCE_MS = 300;
/** The most changes of the voters in one call. */
const MOST_CHANGES = 5;
/** After so many attempts, a change fails. */
const MOST_ATTEMPTS = 50;

export type ElectorateOptions = Pick<QuorumOptions, 'machines' | 'confirmAbsence' | 'voters'> & {
  readonly holders: HeadVoters;
  /** Whether this user has read the registry before, so that it counts however few machines show it. */
  readonly isKnown: (head: Head) => boolean;
};

/** Finds, creates and replaces the voters of a registry. */
export class Electorate {
  readonly #options: ElectorateOptions;
  readonly #machines: readonly QuorumMachine[];
  readonly #holders: HeadVoters;
  /** Machine → the cluster that owns it. */
  readonly #owners = new Map<string, string>();
  /** When this process has last tried to renew a voter, by its state, in ms. */
  readonly #tried = new Map<string, number>();
  #opening: Promise<Proposer<Head> | undefined> | undefined;
  #first: Membership | undefined;
  /** The cluster of the registry, once it is known. */
  #cluster: string | undefined;
  /** What machines have shown, by state and cluster. */
  readonly #holdings = new Map<string, Holding>();
  /** Machines that fleet.conf lacks, and that have not contradicted the registry. */
  readonly #checked = new Set<string>();

  constructor(options: ElectorateOptions) {
    this.#options = options;
    this.#machines = options.machines;
    this.#holders = options.holders;
  }

  /** The voters of a registry that this process creates. */
  get first(): Membership | undefined {
    return this.#first;
  }

  /** A proposer; undefined if there is no registry yet. A later era that a machine has shown replaces an earlier one. */
  async open(): Promise<Proposer<Head> | undefined> {
    // What was found before this call is too old for the read that follows it.
    if (this.#opening !== undefined) this.#holders.forget();
    const opening = this.#opening ?? this.#locateTwice();
    this.#opening = opening;
    let proposer: Proposer<Head> | undefined;
    try {
      proposer = await opening;
    } finally {
      // Without a registry, the next call looks again.
      if (proposer === undefined && this.#opening === opening) this.#opening = undefined;
    }
    const latest = this.#cluster === undefined ? undefined : this.#holders.latestOf(this.#cluster);
    if (proposer === undefined || latest === undefined) return proposer;
    if (eraOf(latest.membership) <= eraOf(proposer.membership)) return proposer;
    this.#opening = Promise.resolve(this.#proposer(randomProposer(), latest));
    return this.#opening;
  }

  /**
   * {@link #locate}, and again if there is no registry: a machine that has answered may have got it since, as a voter in place of one that lost
   * its disk before it answered.
   */
  async #locateTwice(): Promise<Proposer<Head> | undefined> {
    const found = (await this.#locate()) ?? (await this.#locate());
    if (found === undefined) await this.#options.confirmAbsence?.([...this.#owners.keys()]);
    return found;
  }

  /** A proposer for the voters that the machines name; undefined if all machines answer and none has a registry. */
  async #locate(): Promise<Proposer<Head> | undefined> {
    const names = this.#machines.map(({ machine }) => machine);
    const voters = firstVoters(this.#machines);
    const likely = voters.length === 1 ? names.slice(0, 2) : voters;
    const others = names.filter((name) => !likely.includes(name));
    const proposer = randomProposer();
    const invalid: string[] = [];
    /** The registries in copies, and on machines that were set back. */
    const left = new Set<string>();
    const holdings = this.#holdings;
    holdings.clear();
    const agreementNow = (): Agreement => agreementOf([...holdings.values()]);
    // One of several machines is not believed before the others were asked.
    const isEnough = (): boolean => {
      const agreement = agreementNow();
      if (agreement.kind !== 'agreed' || this.#holders.isBeforeRead(agreement.head)) return false;
      return agreement.isConfirmed && agreement.support * 2 > voters.length;
    };
    const enough = deferred<void>();
    const failures: FleetError[] = [];
    const look = async (machine: string, index: number): Promise<void> => {
      try {
        const found = await this.#holders.look(machine, index === 0, proposer);
        if (found.isInvalid) invalid.push(machine);
        if (found.aside !== undefined) left.add(found.aside.value.cluster);
        if (found.owner !== undefined) this.#owners.set(machine, found.owner);
        this.#add(machine, found);
        if (isEnough()) enough.resolve();
      } catch (error) {
        if (!isFleetError(error)) throw error;
        failures.push(error);
      }
    };
    // Former voters may be among the first machines, so others are asked too, unless a majority agrees. A machine that hangs
    // must not delay them.
    const asked = likely.map(look);
    await Promise.race([enough.promise, Promise.all(asked), sleep(OTHERS_MS, undefined, { ref: false })]);
    if (!isEnough()) asked.push(...others.map(look));
    await Promise.race([enough.promise, Promise.all(asked)]);
    // One that answers a little later may have a later era, which the majority of an earlier one does not know.
    await Promise.race([Promise.all(asked), sleep(PATIENCE_MS, undefined, { ref: false })]);
    if (asked.length === likely.length && !this.#isShownByAll(agreementNow())) {
      // Without one of its voters, the others may be former ones. A later era is likely to be on the next machines.
      const next = others.slice(0, voters.length).map(look);
      await Promise.race([Promise.all(next), sleep(OTHERS_MS, undefined, { ref: false })]);
    }
    const agreement = agreementNow();
    if (agreement.kind === 'agreed') {
      const isDoubtful = [...left].some((cluster) => cluster !== agreement.head.cluster);
      if (failures.length > 0 || isDoubtful) this.#mustBeShown(agreement, names);
      return this.#proposer(proposer, agreement.head);
    }
    if (agreement.kind === 'disputed') throw disputedError(agreement.holders);
    if (invalid.length === 0 && failures.length === 0) return undefined;
    const votersBefore = await this.#options.voters?.([...this.#owners.keys()]);
    const traces = { invalid, isLeft: left.size > 0, voters: votersBefore ?? [] };
    throw notFoundError(traces, names, this.#holders.failures, failures[0]);
  }

  /**
   * Checks a registry that names machines which fleet.conf lacks. Root on one machine can make up any registry, so they are asked, too,
   * and most of the machines have to agree. Resolves with false if one of them has a later era, which the next {@link open} follows. Throws
   * FleetError `registry-no-majority`.
   */
  async check(head: Head, machinesOf: () => readonly string[]): Promise<boolean> {
    const asked = this.#machines.map(({ machine }) => machine);
    const known = new Set([...asked, ...this.#checked]);
    const others = machinesOf().filter((machine) => !known.has(machine));
    if (others.length === 0) return true;
    let isComplete = true;
    await Promise.all(
      others.map(async (machine) => {
        const found = await this.#holders.find(machine, false).catch(ignoreFleetError);
        if (found === undefined) isComplete = false;
        else this.#add(machine, found);
      }),
    );
    const holdings = [...this.#holdings.values()];
    const agreement = agreementOf(holdings);
    // Without any, this process has created the registry.
    if (
      agreement.kind === 'disputed' ||
      (agreement.kind === 'agreed' && agreement.head.cluster !== head.cluster)
    )
      throw disputedError(holdersOf(holdings));
    if (!isComplete && agreement.kind === 'agreed') this.#mustBeShown(agreement, [...asked, ...others]);
    for (const machine of others) this.#checked.add(machine);
    const latest = this.#holders.latestOf(head.cluster) ?? head;
    return eraOf(latest.membership) <= eraOf(head.membership);
  }

  /** Throws FleetError `registry-no-majority` if the head is from before a recovery after which this user has read the registry. */
  refuseFormer(head: Head): void {
    if (!this.#holders.isBeforeRead(head)) return;
    const former = [...this.#holdings.values()].map(({ machine }) => machine);
    // Also machines that fleet.conf lacks and this registry names.
    const { failures } = this.#holders;
    throw beforeRecoveryError(former, [...failures.keys()], failures);
  }

  #isShownByAll(agreement: Agreement): boolean {
    if (agreement.kind !== 'agreed') return false;
    const { membership, cluster } = agreement.head;
    return membership.voters.every(({ state }) => this.#holdings.has(`${state} ${cluster}`));
  }

  /** A machine with two names counts once, and one that shows the state of another machine does not replace it. */
  #add(machine: string, { state, accepted }: Found): void {
    if (state === undefined || accepted === undefined) return;
    const { value: head } = accepted;
    this.#holdings.set(`${state} ${head.cluster}`, { machine, state, head });
  }

  /**
   * Not all of these machines answer, or one has a copy of another registry: as many have to show the registry as are a majority of the
   * voters of such a cluster.
   */
  #mustBeShown({ head, support }: Agreement & { kind: 'agreed' }, machines: readonly string[]): void {
    const marks = new Map(this.#machines.map(({ machine, mark }) => [machine, mark]));
    const voters = firstVoters(machines.map((machine) => ({ machine, mark: marks.get(machine) })));
    if (support * 2 > voters.length || this.#options.isKnown(head)) return;
    const unreachable = machines.filter((machine) => this.#holders.failures.has(machine));
    const holders = [...new Set([...this.#holdings.values()].map(({ machine }) => machine))];
    throw unprovenError(holders, unreachable, this.#holders.failures);
  }

  /**
   * A proposer for a registry that does not exist yet, with voters that have a state. Throws FleetError
   * `registry-no-majority` unless it `belongsTo` the cluster that owns a machine, because the registry of that one may be lost, and
   * `registry-unavailable` if no machine may be a voter.
   */
  async create(belongsTo: (cluster: string) => boolean, conditionOf: ConditionOf): Promise<Proposer<Head>> {
    for (const [machine, owner] of this.#owners) {
      if (!belongsTo(owner)) throw ownedError(machine, owner);
    }
    const machines = firstVoters(this.#machines, conditionOf);
    if (machines.length === 0) throw noVoterError();
    const created = await Promise.all(machines.map((machine) => this.#holders.create(machine)));
    const voters = created.map(({ machine, state }) => ({ machine, state }));
    this.#first = { epoch: 1, voters };
    const proposer = this.#proposer(randomProposer(), { membership: this.#first });
    this.#opening = Promise.resolve(proposer);
    return proposer;
  }

  #proposer(
    proposer: number,
    { membership, cluster }: Pick<Head, 'membership'> & Partial<Head>,
  ): Proposer<Head> {
    this.#cluster = cluster;
    return new Proposer(this.#holders, {
      proposer,
      membership,
      patience: () => sleep(PATIENCE_MS),
      async pause(attempt, ms) {
        if (attempt >= MOST_ATTEMPTS) throw overtakenError(attempt);
        await sleep(Math.random() * longestPause(attempt, ms));
      },
    });
  }

  /** The head; undefined if there is none yet. Throws FleetError `registry-no-majority`, which names the missing voters. */
  headOf(outcome: Outcome<Head>, purpose: 'read' | 'change' = 'read'): Head | undefined {
    if (outcome.kind === 'chosen') {
      this.#cluster = outcome.value.cluster;
      return outcome.value;
    }
    if (outcome.kind === 'empty') return undefined;
    const lost = this.#holders.lostOf({ epoch: 0, voters: outcome.missing });
    throw noMajorityError(outcome, lost, this.#holders.failures, purpose);
  }

  /**
   * Replaces voters that have lost their state, are drained, are lost, or have left the cluster, one after the other. A change that does
   * not succeed is left for the next call, because the rest is a majority.
   */
  async tend(candidates: readonly VoterCandidate[]): Promise<readonly VoterChange[]> {
    const proposer = await this.open();
    const changes: VoterChange[] = [];
    while (proposer !== undefined && changes.length < MOST_CHANGES) {
      const change = await this.#improve(proposer, candidates).catch(ignoreFleetError);
      if (change === undefined) break;
      changes.push(change);
    }
    return changes;
  }

  async #improve(
    proposer: Proposer<Head>,
    candidates: readonly VoterCandidate[],
  ): Promise<VoterChange | undefined> {
    const { voters } = proposer.membership;
    const { stay, gone, come } = this.#nextVoters(proposer, candidates);
    if (gone.length + come.length === 0) return undefined;
    const present = this.headOf(await proposer.read());
    const before = proposer.chosen;
    if (present === undefined || before === undefined) return undefined;
    this.refuseFormer(present);
    const fresh = await Promise.all(
      come.map((machine) => {
        const lost = gone.find((voter) => voter.machine === machine)?.state;
        if (lost !== undefined) this.#tried.set(lost, performance.now());
        const isUnusable = proposer.outOfReach.some(({ state }) => state === lost);
        const created = newVoter({ machine, lost, isUnusable }, before, this.#holders, this.#owners);
        return withTimeout(REPLACEMENT_MS, created, () => undefined);
      }),
    );
    const next = [...stay, ...fresh.flatMap((voter) => voter ?? [])];
    if (next.length < stay.length + come.length || sameVoters(next, voters)) return undefined;
    const isBefore = ({ membership }: Head): boolean => sameVoters(membership.voters, voters);
    await proposer.change(
      (head) => head && (isBefore(head) ? { ...head, membership: withVoters(head.membership, next) } : head),
    );
    // The second step of the change.
    const head = this.headOf(await proposer.change((current) => current));
    if (head === undefined || !sameVoters(head.membership.voters, next)) return undefined;
    return { gone: gone.map(({ machine }) => machine), come };
  }

  /** The voters of the next change. A voter without its state is renewed after its machine was chosen again. */
  #nextVoters(proposer: Proposer<Head>, candidates: readonly VoterCandidate[]) {
    const { membership, outOfReach } = proposer;
    const { voters } = membership;
    const names = voters.map(({ machine }) => machine);
    const chosen = chooseVoters(names, candidates);
    const come = chosen.filter((machine) => !names.includes(machine));
    const gone = voters.filter(({ machine }) => !chosen.includes(machine));
    const isExcluded = ({ machine }: Voter): boolean =>
      candidates.some((each) => each.machine === machine && each.condition === 'excluded');
    const lost = [...this.#holders.lostOf(membership), ...outOfReach].find(
      (voter) =>
        performance.now() - (this.#tried.get(voter.state) ?? Number.NEGATIVE_INFINITY) > RENEWAL_MS &&
        !isExcluded(voter),
    );
    if (come.length + gone.length > 0 || lost === undefined)
      return { stay: voters.filter((voter) => !gone.includes(voter)), gone, come };
    return { stay: voters.filter((voter) => voter !== lost), gone: [lost], come: [lost.machine] };
  }
}

function sameVoters(a: readonly Voter[], b: readonly Voter[]): boolean {
  const isIn = ({ machine, state }: Voter): boolean =>
    b.some((other) => other.state === state && other.machine === machine);
  return a.length === b.length && a.every(isIn);
}

/** The first pause, in ms. It doubles with each attempt, and begins with the time of the attempt if that is longer. */
const FIRST_MS = 20;
/** The longest pause after attempts that are faster than a quarter of this, in ms. */
const LONGEST_MS = 1000;
/** The longest pause after any attempt, in ms. A slower one has waited for a connection or for contents, which the next one has. */
const LONGEST_SLOW_MS = 5000;

/**
 * The longest time, in ms, that a proposer waits after attempt number `attempt`, which took `ms` and was disturbed by another proposer. It is
 * longer than most attempts, so that another one can end.
 */
export function longestPause(attempt: number, ms: number): number {
  const longest = Math.min(Math.max(LONGEST_MS, 4 * ms), LONGEST_SLOW_MS);
  return Math.min(Math.max(FIRST_MS, ms) * 2 ** attempt, longest);
}
