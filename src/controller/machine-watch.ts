import { setTimeout as sleep } from 'node:timers/promises';
import { type Deferred, deferred } from '../base/async.ts';
import { type FleetError, isFleetError } from '../base/errors.ts';
import type { Clock } from '../base/time.ts';
import type { Lease, MachineView, Observation, Token } from '../cluster/snapshot.ts';
import { withoutMeasures } from '../cluster/unit-state.ts';
import { isRefusal, mayBeDown } from '../cluster/unreachable.ts';
import { badAnswer } from '../machine/limits.ts';
import type { Machine } from '../machine/machine.ts';
import type { MachineSession, SystemdDriver } from '../systemd/driver.ts';
import { observeQuery } from '../systemd/observation.ts';
import { extendQuery } from '../systemd/queries.ts';
import { ShowCache } from '../systemd/show-cache.ts';
import { within } from './deadline.ts';

export type WatchOptions = {
  readonly driver: SystemdDriver;
  /** Must not jump: silence is measured with it. */
  readonly clock: Clock;
  /** From an answer to the next question, in ms; up to a tenth less, so that machines are not asked in step. */
  readonly intervalMs: number;
  /** A machine that has not answered a question for so long, in ms, is silent. */
  readonly deadlineMs: number;
  /** Units that the answer should have and has not: the machine is asked for them by name. */
  readonly unseen: (observation: Observation) => readonly string[];
  /** The lease that the machine gets for an answer, if any; told also whether it was silent before. */
  readonly grant: (observation: Observation, wasUnreachable: boolean) => Lease | undefined;
  /** Called after each lease that was sent, with the error when the machine could not take it. */
  readonly onLease: (error: FleetError | undefined) => void;
  /** Called when a machine falls silent or comes back, and when what it answers has changed. */
  readonly onChange: () => void;
};

/** The first and the longest pause after a question that was not answered, in ms; they double in between. */
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 2_000;
/** The same after a question that was refused. */
const FIRST_REFUSED_MS = 5_000;
const LONGEST_REFUSED_MS = 300_000;

/**
 * The rest of a watch whose last `failures` questions failed alike, in ms. A machine that comes back may run what
 * has moved meanwhile, so that it is looked for more often than one that answers is asked; one that refuses is there.
 */
export function restMs(failures: number, intervalMs: number, isRefused: boolean): number {
  if (failures === 0) return intervalMs;
  const times = 2 ** (failures - 1);
  return isRefused
    ? Math.min(FIRST_REFUSED_MS * times, LONGEST_REFUSED_MS)
    : Math.min(FIRST_RETRY_MS * times, LONGEST_RETRY_MS, intervalMs);
}

/**
 * Keeps an eye on one machine: over a session that stays open it asks at an interval, and at once when the session
 * ends. It never waits for another machine, and what it saw last can be had at any time.
 */
export class MachineWatch {
  readonly machine: Machine;
  readonly #options: WatchOptions;
  #view: MachineView | undefined;
  #error: FleetError | undefined;
  #session: MachineSession | undefined;
  #failures = 0;
  #isResting: boolean = false;
  #seenAt = 0;
  /** The highest token that the machine had seen when the session began, also of units that were removed. */
  #token: Token | undefined;
  /** Of the session. */
  #shown = new ShowCache();
  #pause = new AbortController();
  #nextRound: Deferred<void> = deferred();
  readonly #seen: Deferred<void> = deferred();

  constructor(machine: Machine, options: WatchOptions) {
    this.machine = machine;
    this.#options = options;
  }

  /** Resolves when the machine has answered for the first time, or has not. */
  get whenSeen(): Promise<void> {
    return this.#seen.promise;
  }

  /** What was seen last; undefined before the first answer or silence. */
  get view(): MachineView | undefined {
    return this.#view;
  }

  /** When the question was put that it answered last, epoch ms; 0 before it ever answered. */
  get seenAt(): number {
    return this.#seenAt;
  }

  /** Why the machine is silent; undefined while it answers. */
  get unreachable(): FleetError | undefined {
    return this.#error;
  }

  get #isRefused(): boolean {
    return this.#error !== undefined && isRefusal(this.#error);
  }

  /** Watches until `signal` is raised; then it has let go of its session. */
  async run(signal: AbortSignal): Promise<void> {
    const wake = (): void => this.#pause.abort();
    signal.addEventListener('abort', wake);
    while (!signal.aborted) {
      const round = this.#nextRound;
      this.#nextRound = deferred();
      await this.#ask();
      round.resolve();
      this.#seen.resolve();
      if (!signal.aborted) await this.#rest();
    }
    signal.removeEventListener('abort', wake);
    this.#nextRound.resolve();
    this.#drop();
  }

  /**
   * Asks again at once; resolves when a question has been settled that was put after this call. A machine that refuses
   * is left alone until its time has come.
   */
  look(): Promise<void> {
    if (this.#isRefused) return Promise.resolve();
    const { promise } = this.#nextRound;
    this.#pause.abort();
    return promise;
  }

  /** Counts silence from now on: whoever measures it was not awake. */
  beginAnew(): void {
    if (this.#view?.unreachable === undefined) return;
    this.#view = {
      ...this.#view,
      unreachable: { ...this.#view.unreachable, since: this.#options.clock.now() },
    };
  }

  /** It did not answer what was asked at `asked`, epoch ms. */
  failed(asked: number, error: FleetError): void {
    this.#drop();
    const isLikeLast = this.#error !== undefined && isRefusal(this.#error) === isRefusal(error);
    this.#failures = isLikeLast ? this.#failures + 1 : 1;
    this.#error = error;
    const before = this.#view;
    const { code, message, hint } = error;
    // Trouble of another kind says nothing of how long the machine has been down.
    const isAsBefore =
      before?.unreachable !== undefined && mayBeDown(before.unreachable) === mayBeDown(error);
    const unreachable = { since: isAsBefore ? before.unreachable.since : asked, code, message, hint };
    this.#view = {
      machine: this.machine,
      id: before?.id,
      observation: undefined,
      unreachable,
      backSince: undefined,
    };
    if (before?.unreachable?.code !== code) this.#options.onChange();
  }

  async #ask(): Promise<void> {
    const { clock, deadlineMs } = this.#options;
    const asked = clock.now();
    try {
      this.#answered(await within(deadlineMs, this.machine, this.#observe()));
      this.#seenAt = asked;
    } catch (error) {
      this.failed(asked, badAnswer(this.machine.name, error));
    }
  }

  async #observe(): Promise<Observation> {
    this.#session ??= this.#connect();
    const session = this.#session;
    const withinMs = this.#options.deadlineMs;
    const request = { names: [], digests: true, vitals: true, shown: this.#shown, withinMs };
    // Once a session: a store tells that its registry went back under a process, and this is for what went back before.
    const first = await session.ask(observeQuery({ ...request, token: this.#token === undefined }));
    this.#token ??= first.token;
    const names = this.#options.unseen(first);
    const seen = names.length === 0 ? first : await session.ask(observeQuery({ ...request, names }));
    const observation = { ...seen, ...(this.#token !== undefined && { token: this.#token }) };
    const lease = this.#options.grant(observation, this.#view?.observation === undefined);
    return lease !== undefined && (await this.#extend(session, lease))
      ? { ...observation, lease }
      : observation;
  }

  /** A machine that answers and takes no lease is not silent. */
  async #extend(session: MachineSession, lease: Lease): Promise<boolean> {
    try {
      const isExtended = await session.ask(extendQuery(lease));
      this.#options.onLease(undefined);
      return isExtended;
    } catch (error) {
      if (!isFleetError(error, 'remote-script') && !isFleetError(error, 'machine-stopping')) throw error;
      this.#options.onLease(error);
      return false;
    }
  }

  #connect(): MachineSession {
    const session = this.#options.driver.connect(this.machine);
    // While a question is open its own failure tells, and is followed by a rest.
    void session.ended.then(() => this.#session === session && this.#isResting && this.#pause.abort());
    return session;
  }

  #answered(observation: Observation): void {
    const { machine } = this;
    const before = this.#view;
    const backSince = before?.unreachable === undefined ? before?.backSince : this.#options.clock.now();
    this.#failures = 0;
    this.#error = undefined;
    this.#view = { machine, id: observation.id, observation, unreachable: undefined, backSince };
    if (!isAlike(before?.observation, observation)) this.#options.onChange();
  }

  async #rest(): Promise<void> {
    const ms = restMs(this.#failures, this.#options.intervalMs, this.#isRefused) * (0.9 + Math.random() / 10);
    this.#isResting = true;
    await sleep(ms, undefined, { signal: this.#pause.signal }).catch(() => undefined);
    this.#isResting = false;
    this.#pause = new AbortController();
  }

  #drop(): void {
    this.#session?.close();
    this.#session = undefined;
    this.#token = undefined;
    this.#shown = new ShowCache();
  }
}

/** Whether two observations show the same, but for the clocks and for what is used of the machine. */
function isAlike(a: Observation | undefined, b: Observation): boolean {
  return a !== undefined && withoutMeasures(a) === withoutMeasures(b);
}
