import { setTimeout as sleep } from 'node:timers/promises';
import { type Deferred, deferred } from '../base/async.ts';
import { type FleetError, isFleetError } from '../base/errors.ts';
import type { Clock } from '../base/time.ts';
import type { Lease, MachineView, Observation, Token } from '../cluster/snapshot.ts';
import { isAlike } from '../cluster/unit-state.ts';
import { isRefusal, mayBeDown } from '../cluster/unreachable.ts';
import { badAnswer } from '../machine/limits.ts';
import { formatMetadata, type Machine } from '../machine/machine.ts';
import type { MachineSession, SystemdDriver } from '../systemd/driver.ts';
import { observeQuery } from '../systemd/observation.ts';
import { extendQuery } from '../systemd/queries.ts';
import { ShowCache } from '../systemd/show-cache.ts';
import type { Answer } from './leases.ts';
import { within } from './waiting.ts';

export type WatchOptions = {
  readonly driver: SystemdDriver;
  /** Must be monotonic, because it measures how long the machine is unreachable. */
  readonly clock: Clock;
  /**
   * From an answer to the next query, in ms; reduced by up to a tenth at random, so that queries spread out. Less than the
   * keepalive timeout of a session.
   */
  readonly intervalMs: number;
  /** The limit of an answer, in ms; after that the machine is unreachable. */
  readonly deadlineMs: number;
  /** Units that an observation should have and lacks: the machine is asked for them by name. */
  readonly unseen: (observation: Observation) => readonly string[];
  /** The lease that an observation gets, if any. */
  readonly grant: (answer: Answer) => Lease | undefined;
  /** Called after each lease that was sent, with the error if the machine did not take it. */
  readonly onLease: (error: FleetError | undefined) => void;
  /** Called when the machine becomes unreachable or reachable, and when its observation has changed. */
  readonly onChange: () => void;
};

/** The first and the longest pause after an unanswered query, in ms; each failure doubles it. */
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 2_000;
/** The same after a refused query. */
const FIRST_REFUSED_MS = 5_000;
const LONGEST_REFUSED_MS = 300_000;

/**
 * The pause of a watch after `failures` failures of one kind in a row, in ms. An unreachable machine is tried more often than
 * a reachable one, because it may run units that have moved in the meantime; a machine that refuses is known to be up.
 */
export function restMs(failures: number, intervalMs: number, isRefused: boolean): number {
  if (failures === 0) return intervalMs;
  const times = 2 ** (failures - 1);
  return isRefused
    ? Math.min(FIRST_REFUSED_MS * times, LONGEST_REFUSED_MS)
    : Math.min(FIRST_RETRY_MS * times, LONGEST_RETRY_MS, intervalMs);
}

/**
 * Observes one machine over a session that stays open: at an interval, and at once when the session ends. It never waits for
 * another machine, and the last view is always available.
 */
export class MachineWatch {
  readonly #options: WatchOptions;
  #machine: Machine;
  #view: MachineView | undefined;
  #error: FleetError | undefined;
  #session: MachineSession | undefined;
  #failures = 0;
  #isResting: boolean = false;
  #isOver: boolean = false;
  #seenAt = 0;
  /** The last time at which the machine was known to be up, epoch ms: an answer, or the end of its session. */
  #upAt = 0;
  /** The highest token that the machine had seen at the start of the session, removed units included. */
  #token: Token | undefined;
  /** Belongs to the session. */
  #shown = new ShowCache();
  #pause = new AbortController();
  #nextRound: Deferred<void> = deferred();
  readonly #seen: Deferred<void> = deferred();

  constructor(machine: Machine, options: WatchOptions) {
    this.#machine = machine;
    this.#options = options;
  }

  get machine(): Machine {
    return this.#machine;
  }

  /** Replaces the metadata of the machine. */
  describe(machine: Machine): void {
    if (formatMetadata(machine.metadata) === formatMetadata(this.#machine.metadata)) return;
    this.#machine = machine;
    if (this.#view !== undefined) this.#view = { ...this.#view, machine };
  }

  /** Resolves after the first answer or failure. */
  get whenSeen(): Promise<void> {
    return this.#seen.promise;
  }

  /** The last view; undefined before the first answer or failure. */
  get view(): MachineView | undefined {
    return this.#view;
  }

  /** When the last answered query was sent, epoch ms; 0 before the first answer. */
  get seenAt(): number {
    return this.#seenAt;
  }

  /** Why the machine is unreachable; undefined while it is reachable. */
  get unreachable(): FleetError | undefined {
    return this.#error;
  }

  get #isRefused(): boolean {
    return this.#error !== undefined && isRefusal(this.#error);
  }

  /** Runs until `signal` is raised; then the session is closed. */
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
    this.#isOver = true;
    this.#drop();
  }

  /**
   * Observes again at once; resolves when a query that was sent after this call has settled. A machine that refuses is not
   * asked before its pause is over.
   */
  observe(): Promise<void> {
    if (this.#isRefused) return Promise.resolve();
    const { promise } = this.#nextRound;
    this.#pause.abort();
    return promise;
  }

  /**
   * The open session, until it is closed, for a change that has to begin at once; undefined while a query is under way.
   * The watch opens another one if it needs one meanwhile.
   */
  lend(): MachineSession | undefined {
    const session = this.#session;
    if (session === undefined || !this.#isResting) return undefined;
    const [token, shown] = [this.#token, this.#shown];
    let isUsable: boolean = true;
    const broken = (): void => {
      isUsable = false;
    };
    void session.ended.then(broken);
    this.#session = undefined;
    this.#token = undefined;
    this.#shown = new ShowCache();
    return {
      ...session,
      ask: (query) =>
        session.ask(query).catch((error: unknown) => {
          broken();
          throw error;
        }),
      change: async (...given) => {
        const outcomes = await session.change(...given);
        if (outcomes.some(({ failure }) => failure?.code === 'unreachable')) broken();
        return outcomes;
      },
      close: () => {
        if (!isUsable || this.#session !== undefined || this.#isOver) {
          session.close();
          return;
        }
        this.#session = session;
        this.#token = token;
        this.#shown = shown;
      },
    };
  }

  /** Restarts the time for which the machine is unreachable, after this process was paused. */
  resetUnreachable(): void {
    this.#upAt = this.#options.clock.now();
    if (this.#view?.unreachable === undefined) return;
    this.#view = { ...this.#view, unreachable: { ...this.#view.unreachable, since: this.#upAt } };
  }

  /** The query that was sent at `sentAt`, epoch ms, was not answered. */
  failed(sentAt: number, error: FleetError): void {
    this.#drop();
    const isLikeLast = this.#error !== undefined && isRefusal(this.#error) === isRefusal(error);
    this.#failures = isLikeLast ? this.#failures + 1 : 1;
    this.#error = error;
    const before = this.#view;
    const { code, message, hint } = error;
    // A failure of another kind does not tell how long the machine has been down.
    const isAsBefore =
      before?.unreachable !== undefined && mayBeDown(before.unreachable) === mayBeDown(error);
    const since = isAsBefore ? before.unreachable.since : this.#unreachableSince(sentAt);
    const unreachable = { since, code, message, hint };
    this.#view = {
      machine: this.machine,
      id: before?.id,
      observation: undefined,
      unreachable,
      backSince: undefined,
    };
    if (before?.unreachable?.code !== code) this.#options.onChange();
  }

  /**
   * The time counts from the last evidence that the machine was up, because it may have gone down immediately after it. A pause of this
   * process, in which no query was sent, does not count.
   */
  #unreachableSince(sentAt: number): number {
    return this.#view?.observation === undefined
      ? sentAt
      : Math.max(this.#upAt, sentAt - this.#options.intervalMs);
  }

  async #ask(): Promise<void> {
    const { clock, deadlineMs } = this.#options;
    const sentAt = clock.now();
    try {
      this.#answered(await within(deadlineMs, this.machine, this.#observe(sentAt)));
      this.#seenAt = sentAt;
    } catch (error) {
      this.failed(sentAt, badAnswer(this.machine.name, error));
    }
  }

  async #observe(askedAt: number): Promise<Observation> {
    this.#session ??= this.#connect();
    const session = this.#session;
    const withinMs = this.#options.deadlineMs;
    const request = { names: [], digests: true, vitals: true, shown: this.#shown, withinMs };
    // Once per session: a registry that went back while this process runs is detected by the store.
    const first = await session.ask(observeQuery({ ...request, token: this.#token === undefined }));
    this.#upAt = this.#options.clock.now();
    this.#token ??= first.token;
    const names = this.#options.unseen(first);
    const seen = names.length === 0 ? first : await session.ask(observeQuery({ ...request, names }));
    const observation = { ...seen, ...(this.#token !== undefined && { token: this.#token }) };
    const wasUnreachable = this.#view?.observation === undefined;
    const lease = this.#options.grant({ observation, askedAt, wasUnreachable });
    return lease !== undefined && (await this.#extend(session, lease))
      ? { ...observation, lease }
      : observation;
  }

  /** A machine that answers and takes no lease is reachable. */
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
    void session.ended.then(() => this.#session === session && this.#ended());
    return session;
  }

  /**
   * During a query, its failure is reported by the query, and a pause follows. Otherwise the machine has ended the session,
   * because a pause is shorter than the keepalive timeout.
   */
  #ended(): void {
    if (!this.#isResting) return;
    this.#upAt = this.#options.clock.now();
    this.#pause.abort();
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
