import { type Head, parseHead } from '../../src/quorum/head.ts';
import type { Membership, Voter } from '../../src/quorum/membership.ts';
import type { Remains } from '../../src/quorum/remains.ts';
import { snapshotOf } from '../../src/quorum/segments.ts';
import type { VoterRequest } from '../../src/quorum/voters.ts';
import type { Listing } from '../../src/store/store.ts';
import type { Disk } from './model-voters.ts';

/** The keys of a registry in the order of their commits. Each commit puts one key; that of a recovery begins with `r`. */
export type Chain = readonly string[];

/** An operation as its caller saw it. `end` and `chain` are undefined if its result is unknown. */
export type Operation = {
  readonly key: string;
  readonly kind: 'commit' | 'list';
  readonly start: number;
  /** The latest era that its process had seen before. */
  readonly seen: number;
  end?: number;
  chain?: Chain;
};

/** The registry of the simulation, and one that a machine makes up. */
export const CLUSTER = 'c'.repeat(32);
export const FOREIGN = 'f'.repeat(32);

/** What was chosen, by what is durable on machines, and every contradiction to it. The rules of a quorum are written again here. */
export class Ledger {
  readonly violations: string[] = [];
  readonly operations: Operation[] = [];
  /** The keys of commits with the result of a conflict. */
  readonly refused = new Set<string>();
  /** The last chosen head of the latest era. */
  latest: Head | undefined;
  /** How often changes of an earlier era were on a machine, and a recovery did not take them. */
  former = 0;
  recoveries = 0;
  /** Results of a registry that one machine has made up. */
  foreign = 0;
  readonly #texts = new Map<string, string>();
  readonly #heads = new Map<string, Head | undefined>();
  readonly #chains = new Map<string, Chain>();
  /** The states that have accepted a value under a ballot. */
  readonly #votes = new Map<string, Set<string>>();
  /** The keys of a registry that was made up. */
  readonly #foreign = new Set(['foreign']);
  /** The era that each recovery has begun, by its key. */
  readonly #eras = new Map<string, number>([['', 0]]);
  /** By the last key. */
  readonly #chosen = new Map<string, Chain>();
  /** The longest chain that was chosen, and the era, by the last recovery. */
  readonly #branches = new Map<string, { readonly longest: Chain; readonly era: number }>();

  /** A request is sent. */
  learn({ action }: VoterRequest): void {
    if (!('contents' in action)) return;
    for (const { hash, text } of action.contents) if (text !== undefined) this.#texts.set(hash, text);
    const head = this.#parse(action.value);
    if (head?.cluster === CLUSTER) this.#eras.set(branchOf(this.chainOf(head)), eraOf(head.membership));
    else if (head?.cluster === FOREIGN) for (const key of this.chainOf(head)) this.#foreign.add(key);
    else if (head !== undefined) this.violations.push('a second registry was created');
  }

  /** The head that a machine has as a voter. */
  headOn({ state, stored, isCopy }: Omit<Disk, 'texts'>): Head | undefined {
    const head = isCopy ? undefined : this.headIn({ stored });
    return head !== undefined && isVoter(head, state) ? head : undefined;
  }

  headIn({ stored }: Pick<Disk, 'stored'>): Head | undefined {
    return stored.accepted && this.#parse(stored.accepted.value);
  }

  #parse(value: string): Head | undefined {
    if (!this.#heads.has(value)) this.#heads.set(value, parseHead(value));
    return this.#heads.get(value);
  }

  /** A register is durable, in place of `before`. */
  record({ state, stored, isCopy }: Disk, before?: Disk): void {
    if (isCopy) return;
    const head = this.headIn({ stored });
    if (head?.cluster !== CLUSTER || state === undefined || stored.accepted === undefined) return;
    const lost = before && before.state !== state ? this.headIn(before) : undefined;
    if (lost?.cluster === CLUSTER) this.#replaced(lost, head, isVoter(head, state));
    if (!isVoter(head, state)) return;
    const { ballot, value } = stored.accepted;
    const name = `${ballot.round} ${ballot.proposer} ${value}`;
    const votes = this.#votes.get(name) ?? new Set();
    this.#votes.set(name, votes.add(state));
    const { voters, previous = voters } = head.membership;
    if (isMajority(votes, voters) && isMajority(votes, previous)) this.#choose(head);
  }

  /** A machine gets a new state: as a future voter, or by a recovery, which has the commits of what it continues with and replaces. */
  #replaced(lost: Head, head: Head, byRecovery: boolean): void {
    const chain = this.chainOf(head);
    const before = byRecovery ? chain.slice(0, -1) : chain;
    const era = this.#eras.get(branchOf(before)) ?? 0;
    if (eraOf(lost.membership) > era) this.violations.push('a register of a later era was replaced');
    if (eraOf(lost.membership) < era || !byRecovery) return;
    const keys = this.chainOf(lost).filter((key) => !chain.includes(key));
    for (const { key, end } of this.operations)
      if (end !== undefined && keys.includes(key))
        this.violations.push(`a recovery replaces a register with ${key}, which it does not have`);
  }

  #choose(head: Head): void {
    const chain = this.chainOf(head);
    const branch = branchOf(chain);
    const era = eraOf(head.membership);
    const known = this.#branches.get(branch) ?? { longest: chain, era };
    const [short, long] =
      chain.length < known.longest.length ? [chain, known.longest] : [known.longest, chain];
    if (!isPrefix(short, long)) this.violations.push(`two values after "${branch}" were chosen: a fork`);
    if (known.era !== era) this.violations.push(`the era of "${branch}" has changed`);
    for (const [other, each] of this.#branches)
      if (other !== branch && each.era === era) this.violations.push(`two registries have the era ${era}`);
    this.#branches.set(branch, { longest: long, era });
    this.#chosen.set(chain.at(-1) ?? '', chain);
    if (this.latest === undefined || era >= eraOf(this.latest.membership)) this.latest = head;
  }

  chainOf(head: Head): Chain {
    const name = `${head.revision} ${head.segments.map(({ hash }) => hash).join()}`;
    const chain =
      this.#chains.get(name) ??
      snapshotOf(head.revision, head.segments, this.#texts)
        .records.toSorted((a, b) => a.revision - b.revision)
        .map(({ key }) => key);
    this.#chains.set(name, chain);
    return chain;
  }

  /** A commit was acknowledged. */
  committed(operation: Operation, revision: number, now: number): void {
    // It may be chosen only as a part of the next ones.
    const chain = [...this.#branches.values()]
      .map(({ longest }) => longest.slice(0, longest.indexOf(operation.key) + 1))
      .find(({ length }) => length > 0);
    if (chain?.length === revision) this.#end(operation, chain, now);
    else if (this.#foreign.has(operation.key)) this.foreign++;
    else
      this.violations.push(
        `commit ${operation.key} was acknowledged as revision ${revision}, and is not that`,
      );
  }

  /** A list was returned. */
  listed(operation: Operation, { records }: Listing, now: number): void {
    const chain = records.toSorted((a, b) => a.revision - b.revision).map(({ key }) => key);
    const chosen = this.#chosen.get(chain.at(-1) ?? '');
    if (this.#foreign.has(chain.at(-1) ?? '')) {
      this.foreign++;
      return;
    }
    if (chosen?.length === chain.length && isPrefix(chain, chosen)) this.#end(operation, chosen, now);
    else this.violations.push(`list ${operation.key} returned what is not chosen`);
  }

  #end(operation: Operation, chain: Chain, now: number): void {
    operation.end = now;
    operation.chain = chain;
    const era = this.#branches.get(branchOf(chain))?.era ?? 0;
    if (era < operation.seen)
      this.violations.push(`${operation.key} has a result of era ${era}, and had seen era ${operation.seen}`);
  }

  /** A recovery has chosen what it continues with. No commit that a machine has, and that was acknowledged before, is missing. */
  recovered({ head, found, missing, outdated }: Remains, start: number): void {
    this.recoveries++;
    const kept = new Set(this.chainOf(head));
    const era = eraOf(head.membership);
    const { voters, previous = voters } = head.membership;
    const gone = [...voters, ...previous].filter((voter) => found.get(voter.machine)?.state !== voter.state);
    const states = new Set([...voters, ...previous].map(({ state }) => state));
    for (const { state } of gone) states.delete(state);
    const named = [...missing, ...outdated];
    // A process that has read a later era takes no voter of this one for present.
    const isFormer = this.latest !== undefined && era < eraOf(this.latest.membership);
    if (!isFormer || ![...voters, ...previous].every(({ machine }) => named.includes(machine))) {
      if (isMajority(states, voters) && isMajority(states, previous))
        this.violations.push('a recovery although a majority answers');
      if (gone.some(({ machine }) => !named.includes(machine)) || named.length > gone.length)
        this.violations.push('a recovery does not name the missing voters');
    }
    // What does not count as a vote can be continued with, too.
    const heads = [...found.values()].flatMap((each) => (each.accepted ?? each.aside)?.value ?? []);
    const ours = heads.filter(({ cluster }) => cluster === CLUSTER);
    if (head.cluster !== CLUSTER) {
      if (ours.length * 2 >= heads.length)
        this.violations.push('a recovery continues with a registry that was made up');
      return;
    }
    const onMachines = ours.map((each) => ({
      era: eraOf(each.membership),
      keys: new Set(this.chainOf(each)),
    }));
    for (const { kind, key, end = start } of this.operations) {
      if (kind !== 'commit' || end >= start || kept.has(key)) continue;
      const holders = onMachines.filter(({ keys }) => keys.has(key));
      if (holders.some((each) => each.era >= era))
        this.violations.push(`a recovery does not take ${key}, which a machine has`);
      else if (holders.length > 0) this.former++;
    }
  }

  /** All contradictions, with those to the order of calls in each era. */
  judge(): readonly string[] {
    const found = [...this.violations];
    const byBranch = new Map<string, Operation[]>();
    for (const operation of this.operations) {
      if (operation.chain === undefined) continue;
      const branch = branchOf(operation.chain);
      byBranch.set(branch, [...(byBranch.get(branch) ?? []), operation]);
    }
    // A recovery continues with what is left, also with a proposal that was not chosen.
    for (const [branch, { longest }] of this.#branches)
      for (const key of longest.slice(longest.indexOf(branch) + 1))
        if (this.refused.has(key)) found.push(`commit ${key} was refused, and is chosen`);
    for (const [branch, operations] of byBranch) {
      const longest = this.#branches.get(branch)?.longest ?? [];
      for (const { key, kind, chain = [] } of operations) {
        if (!isPrefix(chain, longest)) found.push(`the result of ${key} is not on the chain`);
        if (kind === 'commit' && !longest.includes(key)) found.push(`commit ${key} is lost`);
      }
      found.push(...staleIn(operations));
    }
    return found;
  }
}

/** An operation that began after the end of another one has at least its result. */
function staleIn(operations: readonly Operation[]): readonly string[] {
  const ended = operations.toSorted((a, b) => (a.end ?? 0) - (b.end ?? 0));
  let before = 0;
  let next = 0;
  return operations
    .toSorted((a, b) => a.start - b.start)
    .flatMap(({ key, kind, start, chain = [] }) => {
      for (let each = ended[next]; each !== undefined && (each.end ?? 0) < start; each = ended[++next])
        before = Math.max(before, each.chain?.length ?? 0);
      const isStale = chain.length < before || (kind === 'commit' && chain.length === before);
      return isStale ? [`${key} has a result from before its call`] : [];
    });
}

export function eraOf({ epoch }: Membership): number {
  return Math.floor(epoch / 2 ** 20);
}

function isVoter({ membership: { voters, previous = [] } }: Head, state: string | undefined): boolean {
  return [...voters, ...previous].some((voter) => voter.state === state);
}

function isMajority(states: ReadonlySet<string>, voters: readonly Voter[]): boolean {
  return voters.filter(({ state }) => states.has(state)).length * 2 > voters.length;
}

function branchOf(chain: Chain): string {
  return chain.findLast((key) => key.startsWith('r')) ?? '';
}

function isPrefix(short: Chain, long: Chain): boolean {
  return short.every((key, index) => long[index] === key);
}
