import { type Deferred, deferred, untilAny } from '../base/async.ts';
import { type ErrorCode, FleetError, isFleetError } from '../base/errors.ts';
import { partOf } from './snapshot.ts';
import type { Change, CommitResult, Listing, Store, StoreRecord } from './store.ts';

/** Requests and answers are lines of JSON; answers may be out of order. */
type Request = { readonly id: number } & Call;
type Call =
  | { readonly call: 'get'; readonly key: string }
  /** fleet 0.1.0 has only `prefix`, one that all `prefixes` begin with. */
  | { readonly call: 'list'; readonly prefix: string; readonly prefixes?: readonly string[] }
  | { readonly call: 'commit'; readonly changes: readonly Change[] }
  | { readonly call: 'wait'; readonly after: number }
  /** Ends the wait of that id. */
  | { readonly call: 'cancel'; readonly wait: number };
type Answer = { readonly id: number; readonly result?: unknown; readonly error?: SentError };
type SentError = { readonly code?: ErrorCode; readonly message: string; readonly hint?: string | undefined };

/** The connection to the process that serves a store. */
export type Lines = {
  send(line: string): void;
  /** Called once with the reason when no more lines will come. */
  onEnd(listener: (error: FleetError) => void): void;
  onLine(listener: (line: string) => void): void;
  /** Ends the other process, and resolves when it has ended. */
  close(): Promise<void>;
};

/** The store that {@link serveStore} serves at the other end of `lines`. A call rejects with the reason once the lines have ended. */
export function remoteStore(lines: Lines): Store {
  return new RemoteStore(lines);
}

class RemoteStore implements Store {
  readonly sendsParts = true;
  readonly #lines: Lines;
  readonly #pending = new Map<number, Deferred<unknown>>();
  readonly #closed = new AbortController();
  readonly #commits = new Set<Promise<unknown>>();
  #next = 1;
  #failure: FleetError | undefined;

  constructor(lines: Lines) {
    this.#lines = lines;
    lines.onLine((line) => this.#take(JSON.parse(line) as Answer));
    lines.onEnd((error) => {
      this.#failure = error;
      for (const { reject } of this.#pending.values()) reject(error);
      this.#pending.clear();
    });
  }

  async get(key: string): Promise<StoreRecord | undefined> {
    return ((await this.#ask({ call: 'get', key })) ?? undefined) as StoreRecord | undefined;
  }

  async list(...prefixes: readonly string[]): Promise<Listing> {
    const [prefix = '', ...more] = prefixes;
    const call = { call: 'list', prefix: more.length === 0 ? prefix : '', prefixes } as const;
    return partOf((await this.#ask(call)) as Listing, prefixes);
  }

  commit(changes: readonly Change[]): Promise<CommitResult> {
    const result = this.#ask({ call: 'commit', changes }) as Promise<CommitResult>;
    this.#commits.add(result);
    return result.finally(() => this.#commits.delete(result));
  }

  waitForChange(after: number, signal: AbortSignal): Promise<boolean> {
    return untilAny([signal, this.#closed.signal], async (over) => {
      if (over.aborted) return false;
      const wait = this.#next;
      const ended = new Promise<false>((resolve) => {
        over.addEventListener('abort', () => resolve(false), { once: true });
      });
      // A failed wait is tried again.
      const changed = this.#ask({ call: 'wait', after }).catch(() => ended);
      const result = await Promise.race([changed, ended]);
      if (over.aborted && this.#failure === undefined) void this.#ask({ call: 'cancel', wait }).catch(ignore);
      return result === true;
    });
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await Promise.allSettled(this.#commits);
    await this.#lines.close();
  }

  #ask(call: Call): Promise<unknown> {
    const id = this.#next++;
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const pending = deferred<unknown>();
    this.#pending.set(id, pending);
    this.#lines.send(JSON.stringify({ id, ...call } satisfies Request));
    return pending.promise;
  }

  #take({ id, result, error }: Answer): void {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    if (error === undefined) pending?.resolve(result);
    else if (error.code === undefined) pending?.reject(new TypeError(error.message));
    else {
      const { code, message, hint } = error;
      pending?.reject(new FleetError(code, message, { hint }));
    }
  }
}

/** Answers lines of {@link remoteStore} from a store; `send` is called with each answer. Returns the handler of a line. */
export function serveStore(store: Store, send: (line: string) => void): (line: string) => Promise<void> {
  const waits = new Map<number, AbortController>();
  const answer = (request: Request): Promise<unknown> => {
    switch (request.call) {
      case 'get':
        return store.get(request.key);
      case 'list':
        return store.list(...(request.prefixes ?? [request.prefix]));
      case 'commit':
        return store.commit(request.changes);
      case 'wait': {
        const end = new AbortController();
        waits.set(request.id, end);
        return store.waitForChange(request.after, end.signal).finally(() => waits.delete(request.id));
      }
      case 'cancel':
        waits.get(request.wait)?.abort();
        return Promise.resolve();
    }
  };
  return async (line) => {
    const request = JSON.parse(line) as Request;
    const { id } = request;
    try {
      send(JSON.stringify({ id, result: await answer(request) } satisfies Answer));
    } catch (error) {
      send(JSON.stringify({ id, error: sent(error) } satisfies Answer));
    }
  };
}

function sent(error: unknown): SentError {
  const message = error instanceof Error ? error.message : String(error);
  return isFleetError(error) ? { code: error.code, message, hint: error.hint } : { message };
}

function ignore(): void {
  // The caller no longer waits.
}
