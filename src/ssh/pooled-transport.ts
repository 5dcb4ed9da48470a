import { setMaxListeners } from 'node:events';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLimit, type Limit } from '../base/async.ts';
import { type FleetError, isFleetError } from '../base/errors.ts';
import { NoMoreSessions, noWay, TurnedAway, Unsent } from './failure.ts';
import type { SshTarget } from './target.ts';
import type { Login, RemoteProcess, RemoteSession, SessionRequest, SessionTransport } from './transport.ts';

/** A login at a host, for sessions and for connections to other hosts. */
export interface PooledConnection {
  readonly login: Login;
  /** Resolves when it has ended. */
  readonly closed: Promise<void>;
  /** Starts a session; rejects with {@link NoMoreSessions} and {@link Unsent} among other FleetErrors. */
  start(request: SessionRequest): Promise<RemoteSession>;
  /** Releases it. */
  close(): Promise<void>;
}

/** The first use of a login: a session, or a connection to another host. */
export type Use = 'session' | 'forward';

/** Handshakes cost processor time here; more of them at a time only delay each other. */
const MOST_OPENING = 32;
/** sshd starts to drop connections at random when ten of them have not logged in yet (MaxStartups). */
const MOST_OPENING_AT_ONE_PLACE = 8;
/** The maximum of logins at one machine, for machines that allow few sessions over each login (MaxSessions). */
const MOST_LOGINS = 8;

/** A transport with its logins: one for each target if that is enough, shared jump hosts, and a limited rate of new ones. */
export abstract class PooledTransport<C extends PooledConnection> implements SessionTransport {
  readonly #limit = createLimit(MOST_OPENING);
  readonly #limitsOfPlaces = new Map<string, Limit>();
  readonly #connections = new Map<string, Promise<C>>();
  readonly #closing = new AbortController();

  constructor() {
    // Every unfinished login listens; node would report a leak from the eleventh on.
    setMaxListeners(0, this.closing);
  }

  abstract socket(target: SshTarget, path: string): Promise<Duplex>;
  abstract fresh(): SessionTransport;

  /** Logs in at a target; `jumpHost` is the login at the last jump host, if there is one. */
  protected abstract logIn(target: SshTarget, jumpHost: C | undefined, use: Use): Promise<C>;

  /** Aborted by {@link close}. */
  protected get closing(): AbortSignal {
    return this.#closing.signal;
  }

  exec(target: SshTarget, command: string): Promise<RemoteProcess> {
    return this.open(target, { command, terminal: undefined, forwardAgent: false });
  }

  /**
   * Starts a session. If the machine grants no further one over a login, it is requested over another login, and when
   * the maximum of logins is reached, again later.
   */
  async open(target: SshTarget, request: SessionRequest): Promise<RemoteSession> {
    const backOff = new BackOff(target.connectTimeoutMs);
    for (let index = 0; ; index++) {
      const found = await this.#start(target, index, request);
      if (!isFleetError(found)) return found;
      if (index + 1 < MOST_LOGINS) continue;
      if (!(await backOff.pause(this.closing))) throw found;
      index = -1;
    }
  }

  /** The details of the first login at the target; logs in if there is none. */
  async login(target: SshTarget): Promise<Login> {
    return (await this.first(target)).login;
  }

  /** The first login at the target itself. */
  protected first(target: SshTarget): Promise<C> {
    return this.#connection(target, 0, 'forward');
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(
      [...this.#connections.values()].map((connection) => connection.then((c) => c.close(), ignore)),
    );
  }

  /**
   * Repeats an attempt within the timeout while it rejects with {@link TurnedAway}; the number of concurrent attempts is limited. An
   * attempt is passed its timeout, in ms.
   */
  protected async retryTurnedAway<T>(
    target: SshTarget,
    attempt: (timeoutMs: number) => Promise<T>,
  ): Promise<T> {
    const atThisPlace = this.#limitOf(target);
    let backOff: BackOff | undefined;
    for (;;) {
      try {
        return await atThisPlace(() =>
          this.#limit(() => {
            backOff ??= new BackOff(target.connectTimeoutMs);
            return attempt(backOff.leftMs);
          }),
        );
      } catch (error) {
        if (!(error instanceof TurnedAway) || !(await backOff?.pause(this.closing))) throw error;
      }
    }
  }

  /** Starts a session over the nth login; returns the refusal when that login has reached its maximum. */
  async #start(
    target: SshTarget,
    index: number,
    request: SessionRequest,
  ): Promise<RemoteSession | FleetError> {
    const pooled = this.#connection(target, index, 'session');
    const connection = await pooled;
    try {
      return await connection.start(request);
    } catch (error) {
      if (error instanceof NoMoreSessions) return error;
      if (!(error instanceof Unsent)) throw error;
      this.#drop(target, index, pooled);
      return (await this.#connection(target, index, 'session')).start(request);
    }
  }

  /** The nth login at the target: the existing one, or a new one. */
  #connection(target: SshTarget, index: number, use: Use): Promise<C> {
    const key = identity(target, index);
    const known = this.#connections.get(key);
    if (known !== undefined) return known;
    const opening = this.#jumpHost(target).then((jumpHost) => this.logIn(target, jumpHost, use));
    this.#connections.set(key, opening);
    const drop = (): void => this.#drop(target, index, opening);
    opening.then((connection) => connection.closed.then(drop), drop);
    return opening;
  }

  #drop(target: SshTarget, index: number, pooled: Promise<C>): void {
    const key = identity(target, index);
    if (this.#connections.get(key) === pooled) this.#connections.delete(key);
  }

  /** The login at the last jump host before the target, shared by all targets behind that host. */
  async #jumpHost(target: SshTarget): Promise<C | undefined> {
    const host = lastJump(target);
    try {
      return host && (await this.#connection(host, 0, 'forward'));
    } catch (error) {
      throw isFleetError(error) ? noWay(target, error) : error;
    }
  }

  /** All ProxyCommands count as one host, because they may log in to the same jump host. */
  #limitOf({ host, port, via }: SshTarget): Limit {
    const place = JSON.stringify(via.kind === 'command' ? via.kind : [host, port, via]);
    const limit = this.#limitsOfPlaces.get(place) ?? createLimit(MOST_OPENING_AT_ONE_PLACE);
    this.#limitsOfPlaces.set(place, limit);
    return limit;
  }
}

/** Targets with the same identity share logins; every field counts, because each may lead to another host. */
function identity(target: SshTarget, index: number): string {
  return JSON.stringify([target, index]);
}

/** The last jump host before the target, with the hosts before it. */
function lastJump({ via }: SshTarget): SshTarget | undefined {
  if (via.kind !== 'jump') return undefined;
  const last = via.jumps.at(-1);
  const jumps = via.jumps.slice(0, -1);
  return last && jumps.length > 0 ? { ...last, via: { kind: 'jump', jumps } } : last;
}

function ignore(): void {
  // A failed attempt has nothing to close.
}

/** The first pause, in ms; each next one is twice as long, up to a maximum. */
const FIRST_MS = 100;
const LONGEST_MS = 1000;
const MOST_PAUSES = 8;

/**
 * Pauses before further attempts, as long as time is left. Each is random, between half of its maximum and all of it, so that
 * clients that were refused at the same time do not retry at the same time.
 */
class BackOff {
  readonly #end: number;
  #pauses = 0;

  /** `budgetMs` is the time for all attempts and pauses together, from now on. */
  constructor(budgetMs: number) {
    this.#end = performance.now() + budgetMs;
  }

  /** The time that is left, in ms; negative when it is over. */
  get leftMs(): number {
    return this.#end - performance.now();
  }

  /** Waits, and returns true if there is time for another attempt. `signal` ends the wait with false. */
  async pause(signal: AbortSignal): Promise<boolean> {
    const most = Math.min(FIRST_MS * 2 ** this.#pauses, LONGEST_MS);
    const ms = most * (0.5 + Math.random() / 2);
    this.#pauses++;
    if (signal.aborted || this.#pauses > MOST_PAUSES || ms >= this.leftMs) return false;
    return sleep(ms, true, { signal }).catch(() => false);
  }
}
