import { FleetError } from '../../src/base/errors.ts';
import { NO_BALLOT } from '../../src/quorum/ballot.ts';
import type { VoterAnswer, VoterRequest } from '../../src/quorum/voters.ts';
import { pick, seeded } from '../support/random.ts';
import { answerOf, type Disk, EMPTY_DISK, writesOf } from './model-voters.ts';

/** One faulty rule of a machine. */
export type MachineFault = 'found-not-synced' | 'found-replaces-any';

/** What a machine has on its disk. Writes are lost by a loss of power until they are synced. */
export class Machine {
  readonly name: string;
  disk: Disk = EMPTY_DISK;
  unsynced: Disk | undefined;
  backup: Disk = EMPTY_DISK;
  /** The step from which on it answers. */
  upFrom = 0;
  /** Counts losses of power, which end the scripts that run. */
  boot = 0;
  locked: boolean = false;
  waiting: (() => void)[] = [];

  constructor(name: string) {
    this.name = name;
  }
}

type Reply = (answer: VoterAnswer | undefined) => void;

/**
 * Machines and clocks of one seeded history. Messages are lost, duplicated, delayed and reordered; scripts die between any two
 * writes; clocks run at any speed.
 */
export class World {
  readonly random: () => number;
  readonly machines: readonly Machine[];
  steps = 0;
  /** No faults any more. */
  calm: boolean = false;
  readonly #fault: MachineFault | undefined;
  /** Is called when a register is durable, in place of `before`. */
  readonly #durable: (disk: Disk, before: Disk) => void;
  #ids = 0;
  readonly #events: (() => void)[] = [];
  readonly #timers: (() => void)[] = [];

  constructor(
    seed: number,
    count: number,
    durable: (disk: Disk, before: Disk) => void,
    fault?: MachineFault,
  ) {
    this.random = seeded(seed);
    this.machines = Array.from({ length: count }, (_, index) => new Machine(`m${index}`));
    this.#durable = durable;
    this.#fault = fault;
  }

  newNumber(): number {
    return ++this.#ids;
  }

  newId(): string {
    return this.newNumber().toString(16).padStart(32, '0');
  }

  /** Resolves after any time. */
  later(): Promise<void> {
    return new Promise((resolve) => this.#events.push(resolve));
  }

  /** Resolves when a timer ends, which is later than most messages. */
  timer(): Promise<void> {
    return new Promise((resolve) => this.#timers.push(resolve));
  }

  /** One event, and everything that follows from it without another one. */
  async step(): Promise<void> {
    this.steps++;
    const early = !this.calm && this.random() < 0.1;
    const events =
      this.#events.length === 0 || (early && this.#timers.length > 0) ? this.#timers : this.#events;
    const index = Math.floor(this.random() * events.length);
    const last = events.pop();
    const event = events[index] ?? last;
    if (last !== undefined && index < events.length) events[index] = last;
    event?.();
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** Sends a request and waits for its answer, as long as `alive`. */
  ask(name: string, request: VoterRequest, alive: () => boolean): Promise<VoterAnswer> {
    const machine = this.machines.find((each) => each.name === name);
    return new Promise((resolve, reject) => {
      const answer: Reply = (stored) =>
        this.#events.push(() => {
          if (!alive()) return;
          if (stored === undefined) reject(new FleetError('ssh-refused', `${name} does not answer`));
          else resolve(stored);
        });
      const deliver = (reply: Reply): void => {
        this.#events.push(() => {
          if (machine === undefined || machine.upFrom > this.steps) reply(undefined);
          else this.#queue(machine, request, reply);
        });
      };
      const fate = this.calm ? 1 : this.random();
      if (fate >= 0.05) deliver(answer);
      if (fate < 0.08) answer(undefined);
      else if (fate < 0.13) deliver(() => undefined);
    });
  }

  losePower(machine: Machine, steps: number): void {
    machine.upFrom = Math.max(machine.upFrom, this.steps + steps);
    if (this.random() < 0.5) this.#sync(machine);
    machine.unsynced = undefined;
    machine.boot++;
    machine.locked = false;
    this.#events.push(...machine.waiting.splice(0));
  }

  /** One that is writing, if there is one, because its faults matter most. */
  pickMachine(): Machine {
    const writing = this.machines.filter(({ unsynced }) => unsynced !== undefined);
    return pick(this.random, writing.length > 0 && this.random() < 0.5 ? writing : this.machines);
  }

  /** Scripts on a machine run one after the other, under its lock. A loss of power ends them. */
  #queue(machine: Machine, request: VoterRequest, reply: Reply): void {
    const { boot } = machine;
    const script = (): void => {
      if (machine.boot !== boot) {
        reply(undefined);
        return;
      }
      this.#script(machine, request, (answer) => {
        const isOver = machine.boot !== boot;
        reply(isOver ? undefined : answer);
        if (isOver) return;
        const next = machine.waiting.shift();
        machine.locked = next !== undefined;
        if (next !== undefined) this.#events.push(next);
      });
    };
    if (machine.locked) {
      machine.waiting.push(script);
      return;
    }
    machine.locked = true;
    script();
  }

  #script(machine: Machine, request: VoterRequest, end: Reply): void {
    this.#sync(machine);
    const action = this.#mutated(machine.disk, request.action);
    const writes = writesOf(machine.disk, action, () => this.newId());
    const write = (index: number): void => {
      const after = writes[index];
      if (after === undefined) {
        end(answerOf(machine.disk, request));
        return;
      }
      machine.unsynced = after;
      if (this.#fault === 'found-not-synced' && action.kind === 'found' && after.state === action.state) {
        end(answerOf(after, request));
        return;
      }
      const isKilled = !this.calm && this.random() < 0.05;
      this.#events.push(() => {
        const isOver = isKilled || machine.unsynced !== after;
        if (!isOver) this.#sync(machine);
        if (isOver) end(undefined);
        else write(index + 1);
      });
    };
    write(0);
  }

  #sync(machine: Machine): void {
    if (machine.unsynced === undefined) return;
    const before = machine.disk;
    machine.disk = machine.unsynced;
    machine.unsynced = undefined;
    this.#durable(machine.disk, before);
  }

  #mutated({ state = '', stored }: Disk, action: VoterRequest['action']): VoterRequest['action'] {
    if (this.#fault === 'found-replaces-any' && action.kind === 'found')
      return { ...action, replaced: { state, accepted: stored.accepted?.ballot ?? NO_BALLOT } };
    return action;
  }
}
