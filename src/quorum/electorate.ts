import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { deferred, withTimeout } from '../base/async.ts';
import { FleetError, isFleetError } from '../base/errors.ts';
import { quoted } from '../base/visible.ts';
import type { Head } from './head.ts';
import { hasQuorum, type Membership, type Voter, withVoters } from './membership.ts';
import { type Outcome, Proposer } from './register.ts';
import type { HeadVoters } from './voters.ts';

/** `lost`: its machine has stored something else, so it does not count. */
export type VoterStatus = {
  readonly machine: string;
  readonly state: 'current' | 'behind' | 'lost' | 'unreachable';
  readonly revision?: number;
  readonly error?: FleetError;
};

/** The limits for a voter that gets a new state, and for one that is asked about its own, in ms. */
const REPLACEMENT_MS = 3000;
const STATUS_MS = 5000;
/** How long the rest of the voters is waited for, in ms, if the answers of a majority are not enough. */
const PATIENCE_MS = 300;
/** A proposer that was disturbed waits up to this time, in ms, and up to twice as long each time. */
const PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 1000;
/** After so many attempts, a command gives up. */
const MOST_ATTEMPTS = 50;

/** Finds, creates and replaces the voters of a registry. */
export class Electorate {
  readonly #machines: readonly string[];
  readonly #holders: HeadVoters;
  readonly #onReplaced: (machine: string) => void;
  /** The clusters that own machines without a registry. */
  readonly #owners = new Map<string, string>();
  /** The voters that this process has tried to replace. */
  readonly #tried = new Set<string>();
  #opening: Promise<Proposer<Head> | undefined> | undefined;
  #first: Membership | undefined;

  /** The first ones of `machines` become voters. `onReplaced` is called when a voter has its state again that it had lost. */
  constructor(machines: readonly string[], holders: HeadVoters, onReplaced: (machine: string) => void) {
    this.#machines = machines;
    this.#holders = holders;
    this.#onReplaced = onReplaced;
  }

  /** The voters of a registry that this process creates. */
  get first(): Membership | undefined {
    return this.#first;
  }

  /** A proposer; undefined if there is no registry yet. */
  open(): Promise<Proposer<Head> | undefined> {
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
    const machines = this.#machines;
    const likely = voterCount(machines.length);
    let unreachable: unknown;
    const invalid: string[] = [];
    for (const group of [machines.slice(0, likely), machines.slice(likely)]) {
      const heads = new Map<string, Head>();
      const asked = group.map(async (machine, index) => {
        const { state, head, isInvalid, owner } = await this.#holders.find(machine, index === 0);
        if (isInvalid) invalid.push(machine);
        if (owner !== undefined) this.#owners.set(machine, owner);
        if (state !== undefined && head !== undefined) heads.set(state, head);
      });
      // A machine that hangs must not delay the others.
      unreachable ??= await firstError(asked, () => isConfirmed(newestOf(heads), heads));
      const newest = newestOf(heads);
      if (newest !== undefined) return this.#proposer(newest.membership);
    }
    if (invalid.length > 0)
      throw new FleetError(
        'registry-no-majority',
        `Cannot find the registry: its files on these machines are damaged, or copies: ${invalid.join(', ')}`,
        {
          hint: 'Copies do not count, because they may be old. Move /var/lib/fleet/registry away on these machines, then run fleetctl recover',
        },
      );
    if (unreachable === undefined) return undefined;
    throw new FleetError('registry-no-majority', 'Cannot find the registry: no machine that answers has it', {
      hint: 'A registry is created only while every machine answers, because a machine that does not answer may have one',
      cause: unreachable,
    });
  }

  /**
   * A proposer for a registry that does not exist yet, with voters that have a state. Throws FleetError
   * `registry-no-majority` unless it `belongsTo` the cluster that owns a machine, because the registry of that one may be lost.
   */
  async create(belongsTo: (cluster: string) => boolean): Promise<Proposer<Head>> {
    const machines = this.#machines;
    for (const [machine, owner] of this.#owners) {
      if (belongsTo(owner)) continue;
      throw new FleetError(
        'registry-no-majority',
        `Cannot create a registry: machine "${machine}" belongs to cluster ${quoted(owner)}, and no machine has its registry`,
        {
          hint: 'To rebuild it from the machines: fleetctl recover. If that cluster is gone, run "rm /var/lib/fleet/cluster" on its machines',
        },
      );
    }
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
      patience: () => sleep(PATIENCE_MS),
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

  /** The head; undefined if there is none yet. Throws FleetError `registry-no-majority`, which names the missing voters. */
  headOf(outcome: Outcome<Head>): Head | undefined {
    if (outcome.kind === 'chosen') return outcome.value;
    if (outcome.kind === 'empty') return undefined;
    const lost = new Set(this.#holders.lostOf({ epoch: 0, voters: outcome.missing }));
    const names = (voters: readonly Voter[]): string => voters.map(({ machine }) => machine).join(', ');
    const silent = outcome.missing.filter((voter) => !lost.has(voter));
    const causes = [
      ...(silent.length > 0 ? [`these voters do not answer: ${names(silent)}`] : []),
      ...(lost.size > 0 ? [`these have lost their copy, or have an old one: ${names([...lost])}`] : []),
    ];
    throw new FleetError(
      'registry-no-majority',
      `Cannot ${outcome.proposed ? 'confirm the change of' : 'read'} the registry: ${causes.join('; ')}`,
      {
        hint: outcome.proposed
          ? 'The change may be made or not; run the command again when a majority of the voters answers'
          : 'A majority of the voters has to answer; units keep running meanwhile',
      },
    );
  }

  /** Gives each voter that lost its state a new one, with the contents. An error leaves it as it is, because the rest is a majority. */
  async replaceLost(proposer: Proposer<Head>): Promise<void> {
    for (const lost of this.#holders.lostOf(proposer.membership)) {
      if (this.#tried.has(lost.state)) continue;
      this.#tried.add(lost.state);
      try {
        const fresh = await withTimeout(REPLACEMENT_MS, this.#holders.create(lost.machine), () => undefined);
        if (fresh === undefined || fresh.state === lost.state) continue;
        await proposer.change((head) => head && withoutLost(head, lost, fresh));
        // The second step of the change.
        this.headOf(await proposer.change((head) => head));
        this.#onReplaced(lost.machine);
      } catch (error) {
        if (!isFleetError(error)) throw error;
      }
    }
  }

  /** The voters and what each has stored; undefined if there is no registry yet. */
  async status(): Promise<readonly VoterStatus[] | undefined> {
    const proposer = await this.open();
    const head = proposer && this.headOf(await proposer.read());
    if (head === undefined) return undefined;
    return Promise.all(
      head.membership.voters.map(async ({ machine, state }): Promise<VoterStatus> => {
        try {
          const found = await withTimeout(STATUS_MS, this.#holders.find(machine, false), () => {
            throw new FleetError(
              'ssh-timeout',
              `Voter "${machine}" did not answer within ${STATUS_MS / 1000} s`,
            );
          });
          if (found.state !== state) return { machine, state: 'lost' };
          const revision = found.head?.revision ?? 0;
          if (revision < head.revision) return { machine, state: 'behind', revision };
          return {
            machine,
            state: found.head === head || revision > head.revision ? 'current' : 'lost',
            revision,
          };
        } catch (error) {
          if (!isFleetError(error)) throw error;
          return { machine, state: 'unreachable', error };
        }
      }),
    );
  }
}

/** Five voters in clusters of seven machines or more, one in clusters of one or two, three otherwise. */
function voterCount(machines: number): number {
  if (machines >= 7) return 5;
  return machines >= 3 ? 3 : 1;
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
