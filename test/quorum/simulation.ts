import {
  afterBallot,
  type Ballot,
  compareBallots,
  MAX_AHEAD,
  MAX_ROUND,
  NO_BALLOT,
} from '../../src/quorum/ballot.ts';
import { type Membership, type Voter, withVoters } from '../../src/quorum/membership.ts';
import { type Acceptors, Proposer, type Stored } from '../../src/quorum/register.ts';
import { pick, seeded } from '../support/random.ts';

/** A value of the simulated register: the changes that led to it, the latest first. */
type Link = {
  readonly membership: Membership;
  readonly length: number;
  readonly id: number;
  readonly parent?: Link;
};

/** One faulty rule of an acceptor or proposer, which the checker has to detect. */
export type Mutation =
  | 'promise-not-stored'
  | 'answer-before-sync'
  | 'accept-ignores-promise'
  | 'unsynced-state-is-read'
  | 'restored-state-counts';

/** A round that proposers follow, and one that makes a voter count as damaged. */
const HIGH_ROUNDS = [2 ** 20, MAX_ROUND - 1];

/** An operation as its caller saw it. `end` is undefined if its result is unknown. */
type Operation = {
  readonly kind: 'change' | 'read';
  readonly id: number;
  readonly start: number;
  end?: number;
  result?: Link;
};

export type History = {
  readonly operations: readonly Operation[];
  readonly steps: number;
  readonly last: Link | undefined;
};

const MACHINES = 6;

type Change = (stored: Stored<Link>) => Stored<Link>;

/** What a machine has on its disk. Writes are lost by a loss of power until they are synced. */
type Disk = { state: string; stored: Stored<Link>; unsynced: Stored<Link> | undefined };

class Machine {
  up = true;
  /** Counts losses of power, which end the scripts that run. */
  boot: number = 0;
  locked: boolean = false;
  waiting: (() => void)[] = [];
  disk: Disk;
  backup: Pick<Disk, 'state' | 'stored'>;

  readonly name: string;

  constructor(name: string) {
    this.name = name;
    this.disk = { state: `${name}.0`, stored: { promised: NO_BALLOT }, unsynced: undefined };
    this.backup = this.disk;
  }
}

/**
 * One seeded history of machines, proposers and faults. Messages are lost, duplicated, delayed and reordered. Proposers die
 * between any two messages, and scripts between any two writes. Machines lose power, their disk, or get an older one back, or have promised a very high ballot.
 */
export class Simulation {
  readonly #random: () => number;
  readonly #mutation: Mutation | undefined;
  readonly #machines = Array.from({ length: MACHINES }, (_, index) => new Machine(`m${index}`));
  readonly #operations: Operation[] = [];
  #events: (() => void)[] = [];
  #steps = 0;
  #ids = 0;
  #proposers = 0;
  /** No faults any more, so that the last read ends. */
  #calm: boolean = false;
  readonly #first: Membership;
  /** The latest one that a proposer has seen. */
  #membership: Membership;

  constructor(seed: number, mutation?: Mutation) {
    this.#random = seeded(seed);
    this.#mutation = mutation;
    this.#first = { epoch: 1, voters: this.#machines.slice(0, 3).map(voterOf) };
    this.#membership = this.#first;
  }

  /** Runs `steps` events with several proposers, then reads the register without faults. */
  async run(steps: number): Promise<History> {
    const first = this.#first;
    const alive = Array.from({ length: 3 }, () => this.#client(first));
    for (let step = 0; step < steps; step++) {
      if (this.#random() < 0.004) {
        const index = Math.floor(this.#random() * alive.length);
        alive[index]?.die();
        alive[index] = this.#client(this.#random() < 0.5 ? first : this.#membership);
      }
      if (this.#random() < 0.01) this.#fault();
      await this.#step();
    }
    for (const client of alive) client.die();
    return { operations: this.#operations, steps: this.#steps, last: await this.#lastValue() };
  }

  async #lastValue(): Promise<Link | undefined> {
    this.#calm = true;
    for (const machine of this.#machines) machine.up = true;
    let last: Link | undefined;
    let done = false;
    void this.#proposer(this.#membership, () => true)
      .change((current) => current)
      .then((outcome) => {
        if (outcome.kind === 'chosen') last = outcome.value;
        done = true;
      });
    for (let step = 0; !done && step < 20_000; step++) await this.#step();
    return last;
  }

  async #step(): Promise<void> {
    this.#steps++;
    const index = Math.floor(this.#random() * this.#events.length);
    const event = this.#events[index];
    const last = this.#events.pop();
    if (event === undefined || last === undefined) return settle();
    if (event !== last) this.#events[index] = last;
    event();
    await settle();
  }

  #fault(): void {
    const writing = this.#machines.filter(({ disk }) => disk.unsynced !== undefined);
    const machine = pick(this.#random, writing.length > 0 && this.#random() < 0.5 ? writing : this.#machines);
    const kind = this.#random();
    if (kind < 0.8) this.#losePower(machine);
    else if (kind < 0.88) machine.backup = { ...machine.disk };
    else if (!this.#mayForget(machine)) return;
    else if (kind >= 0.97) {
      const { disk } = machine;
      this.#losePower(machine);
      const ballot = { round: pick(this.#random, HIGH_ROUNDS), proposer: ++this.#proposers };
      machine.disk = { ...disk, stored: this.#promise(disk.stored, ballot) };
    } else {
      const restored = kind < 0.94;
      const stored = restored ? machine.backup.stored : { promised: NO_BALLOT };
      const keeps = restored && this.#mutation === 'restored-state-counts';
      this.#renew(machine, stored, keeps ? machine.backup.state : undefined);
    }
  }

  #renew(machine: Machine, stored: Stored<Link>, state = `${machine.name}.${++this.#ids}`): void {
    this.#losePower(machine);
    machine.disk = { state, stored, unsynced: undefined };
  }

  /** At most a minority of the voters forgets or is damaged, because the register cannot be read otherwise. */
  #mayForget(machine: Machine): boolean {
    const intact = ({ state }: Voter): boolean =>
      this.#machines.some((each) => each !== machine && each.disk.state === state && !isDamaged(each));
    const { voters, previous = voters } = this.#membership;
    return [voters, previous].every((each) => each.filter(intact).length * 2 > each.length);
  }

  #losePower(machine: Machine): void {
    machine.up = false;
    const { disk } = machine;
    if (disk.unsynced !== undefined && this.#random() < 0.5) disk.stored = disk.unsynced;
    disk.unsynced = undefined;
    machine.boot++;
    machine.locked = false;
    for (const waiting of machine.waiting.splice(0)) this.#events.push(waiting);
    this.#events.push(() => {
      machine.up = true;
    });
  }

  #client(membership: Membership): { die(): void } {
    let alive = true;
    const proposer = this.#proposer(membership, () => alive);
    void this.#operate(proposer);
    // A wait for a change reads while something is committed.
    if (this.#random() < 0.5) void this.#operate(proposer);
    return {
      die: () => {
        alive = false;
      },
    };
  }

  #proposer(membership: Membership, alive: () => boolean): Proposer<Link> {
    const proposer = ++this.#proposers;
    // A proposer that will change the register reserves a ballot with its first reads.
    let reserved = this.#random() < 0.3 ? 3 : 0;
    const later = <T>(work: () => T): Promise<T> =>
      new Promise((resolve) => {
        this.#events.push(() => {
          if (alive()) resolve(work());
        });
      });
    const ask = (
      voter: Voter,
      change: (stored: Stored<Link>) => Stored<Link>,
    ): Promise<Stored<Link> | undefined> =>
      new Promise((resolve) => {
        const answer = (stored: Stored<Link> | undefined): void => {
          this.#events.push(() => {
            if (alive()) resolve(stored);
          });
        };
        this.#send(voter, change, answer);
      });
    const acceptors: Acceptors<Link> = {
      read: (voter) => {
        const reserves = reserved-- > 0;
        return ask(voter, (stored) => (reserves ? this.#reserve(stored, proposer) : stored));
      },
      prepare: (voter, ballot) => ask(voter, (stored) => this.#promise(stored, ballot)),
      accept: (voter, ballot, value) => ask(voter, (stored) => this.#accept(stored, ballot, value)),
    };
    return new Proposer(acceptors, {
      proposer,
      membership,
      pause: () => later(() => undefined),
      patience: () => later(() => undefined),
    });
  }

  async #operate(proposer: Proposer<Link>): Promise<void> {
    for (;;) {
      const id = ++this.#ids;
      const kind = this.#random() < 0.5 ? 'change' : 'read';
      const operation: Operation = { kind, id, start: this.#steps };
      this.#operations.push(operation);
      const next = this.#random() < 0.3;
      const outcome =
        kind === 'read'
          ? await proposer.read()
          : await proposer.change((current) => this.#append(current, id, next));
      // Without an answer, the change may still be made later.
      if (outcome.kind === 'chosen') {
        operation.end = this.#steps;
        operation.result = outcome.value;
        if (outcome.value.membership.epoch >= this.#membership.epoch)
          this.#membership = outcome.value.membership;
      }
    }
  }

  #append(current: Link | undefined, id: number, move: boolean): Link {
    if (current !== undefined && idsOf(current).includes(id)) return current;
    const membership = current?.membership ?? this.#first;
    return {
      membership: move && current !== undefined ? this.#moved(membership) : membership,
      length: (current?.length ?? 0) + 1,
      id,
      ...(current !== undefined && { parent: current }),
    };
  }

  #send(voter: Voter, change: Change, answer: (stored: Stored<Link> | undefined) => void): void {
    const machine = this.#machines.find(({ name }) => name === voter.machine);
    const deliver = (reply: typeof answer): void => {
      this.#events.push(() => {
        if (machine?.up && machine.disk.state === voter.state) this.#queue(machine, change, reply);
        else reply(undefined);
      });
    };
    const fate = this.#calm ? 1 : this.#random();
    if (fate >= 0.05) deliver(answer);
    if (fate < 0.08) answer(undefined);
    else if (fate < 0.13) deliver(() => {});
  }

  /** Scripts on a machine run one after the other, under its lock. */
  #queue(machine: Machine, change: Change, answer: (stored: Stored<Link> | undefined) => void): void {
    const { boot } = machine;
    const release = (): void => {
      const next = machine.waiting.shift();
      machine.locked = next !== undefined;
      if (next !== undefined) this.#events.push(next);
    };
    // A loss of power ends the script.
    const isOver = (): boolean => machine.boot !== boot;
    const script = (): void => {
      if (isOver()) answer(undefined);
      else
        this.#script(machine, change, (stored) => {
          answer(isOver() ? undefined : stored);
          if (!isOver()) release();
        });
    };
    if (machine.locked) machine.waiting.push(script);
    else {
      machine.locked = true;
      script();
    }
  }

  #script(machine: Machine, change: Change, end: (stored: Stored<Link> | undefined) => void): void {
    const { disk } = machine;
    if (disk.unsynced !== undefined && this.#mutation !== 'unsynced-state-is-read') {
      disk.stored = disk.unsynced;
      disk.unsynced = undefined;
    }
    const before = disk.unsynced ?? disk.stored;
    const after = change(before);
    const isPromise = after.accepted === before.accepted;
    if (after === before || (isPromise && this.#mutation === 'promise-not-stored')) {
      // A loss of power after an answer about an unsynced state is rare by chance.
      if (disk.unsynced !== undefined && !this.#calm) this.#events.push(() => this.#losePower(machine));
      end(after);
      return;
    }
    disk.unsynced = after;
    if (this.#mutation === 'answer-before-sync') {
      end(after);
      return;
    }
    const isKilled: boolean = !this.#calm && this.#random() < 0.1;
    this.#events.push(() => {
      if (!isKilled && disk.unsynced === after) {
        disk.stored = after;
        disk.unsynced = undefined;
      }
      end(isKilled ? undefined : after);
    });
  }

  #reserve(stored: Stored<Link>, proposer: number): Stored<Link> {
    return { ...stored, promised: { round: stored.promised.round + 1, proposer } };
  }

  #promise(stored: Stored<Link>, ballot: Ballot): Stored<Link> {
    return compareBallots(ballot, stored.promised) > 0 ? { ...stored, promised: ballot } : stored;
  }

  #accept(stored: Stored<Link>, ballot: Ballot, value: Link): Stored<Link> {
    const mayAccept =
      this.#mutation === 'accept-ignores-promise' || compareBallots(ballot, stored.promised) >= 0;
    return mayAccept ? { promised: afterBallot(ballot), accepted: { ballot, value } } : stored;
  }

  /** Replaces a voter that lost its state or is damaged, or any one. A damaged machine gets a new state first. */
  #moved(membership: Membership): Membership {
    const states = new Set(this.#machines.filter((each) => !isDamaged(each)).map(({ disk }) => disk.state));
    const lost =
      membership.voters.find(({ state }) => !states.has(state)) ?? pick(this.#random, membership.voters);
    const others = membership.voters.filter((voter) => voter !== lost);
    const free = this.#machines.filter(({ name }) => !others.some(({ machine }) => machine === name));
    const fresh = pick(this.#random, free);
    if (isDamaged(fresh)) this.#renew(fresh, { promised: NO_BALLOT });
    return withVoters(membership, [...others, voterOf(fresh)]);
  }
}

/** The changes of a value, the first one first. */
function idsOf(last: Link | undefined): readonly number[] {
  const ids: number[] = [];
  for (let link = last; link !== undefined; link = link.parent) ids.push(link.id);
  return ids.reverse();
}

/** The ways in which a history is not linearizable: a lost or repeated change, a fork, a read of an older value. */
export function violations({ operations, last }: History): readonly string[] {
  // The last read fails if too many voters have lost their state.
  const longest = operations
    .map(({ result }) => result)
    .reduce((a, b) => ((b?.length ?? 0) > (a?.length ?? 0) ? b : a), last);
  const chain = idsOf(longest);
  const found: string[] = [];
  if (new Set(chain).size < chain.length) found.push('a change was made twice');
  const ended = operations.filter(({ end }) => end !== undefined).sort((a, b) => (a.end ?? 0) - (b.end ?? 0));
  for (const { id, kind, result } of ended) {
    const ids = idsOf(result);
    if (ids.some((each, index) => chain[index] !== each))
      found.push(`the result of ${id} is not on the chain`);
    if (kind === 'change' && !ids.includes(id)) found.push(`change ${id} is lost`);
  }
  for (const { id, kind, start, result } of ended) {
    const before = Math.max(
      0,
      ...ended.filter(({ end = 0 }) => end < start).map((each) => each.result?.length ?? 0),
    );
    if ((result?.length ?? 0) < before) found.push(`${id} returned an older value`);
    if (kind === 'change' && chain.indexOf(id) < before) found.push(`change ${id} is older than its call`);
  }
  return found;
}

function isDamaged({ disk }: Machine): boolean {
  return disk.stored.promised.round > MAX_AHEAD;
}

function voterOf({ name, disk }: Machine): Voter {
  return { machine: name, state: disk.state };
}

/** All promises that can settle without another event have settled. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
