import { untilAny } from '../../base/async.ts';
import type { FleetError } from '../../base/errors.ts';
import { hostAndPort } from '../../base/text.ts';
import { attempt } from '../system-error.ts';
import { type HttpAnswer, NoAnswer, openHttp, type Post } from './http.ts';
import { type Message, toBase64 } from './messages.ts';
import { type Endpoint, type EtcdOptions, readSecrets } from './options.ts';
import { type Refusal, readRefusal, refused, type Silence, unreachable, wantsNewToken } from './trouble.ts';

export type CallOptions = {
  readonly signal?: AbortSignal | undefined;
  /** The request goes to one endpoint, once: it must not be executed twice. */
  readonly once?: boolean;
};

export type CallResult =
  | { readonly kind: 'answer'; readonly message: Message }
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  /** No end point answered. With `once` it may have been done all the same. */
  | { readonly kind: 'unreachable'; readonly error: FleetError };

/** How long one endpoint may send nothing before the next one is tried, in ms. */
const SILENCE = 2_000;
/** How long a watch may send nothing before it ends, in ms: the connection may be dead. */
const WATCH_SILENCE = 10_000;

/**
 * etcd over its v3 JSON gateway (https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway). Endpoints are tried in
 * order, beginning with the one that answered last; a call takes at most 2 s for each of them.
 */
export class EtcdClient {
  readonly #options: EtcdOptions;
  readonly #password: string | undefined;
  readonly #http;
  #preferred = 0;
  #token: Promise<string> | undefined;

  /** Throws `config` when a file that the options name cannot be read. */
  constructor(options: EtcdOptions) {
    const secrets = readSecrets(options);
    this.#options = options;
    this.#password = secrets.password;
    this.#http = openHttp(options.tls, secrets);
  }

  /** The answer, or a FleetError `registry-unavailable`. `path` is below `/v3/`. */
  async call(path: string, message: Message, options: CallOptions = {}): Promise<Message> {
    return answerOf(await this.ask(path, message, options));
  }

  /** The same for a caller that handles refusals and missing answers. */
  async ask(path: string, message: Message, options: CallOptions = {}): Promise<CallResult> {
    const post = { path: `/v3/${path}`, body: JSON.stringify(message), silence: SILENCE, ...options };
    for (let renewed = false; ; renewed = true) {
      const token = await this.#currentToken(options.signal);
      const result = await this.#anyEndpoint({ ...post, token }, options.once === true);
      if (result.kind !== 'refused' || token === undefined || renewed) return result;
      if (!wantsNewToken(result.refusal)) return result;
      this.#token = undefined;
    }
  }

  /**
   * Waits for a change of `key` after a revision of etcd. False when the watch ended for another reason: the caller reads again and starts the next watch from there, so it misses no change.
   */
  async watch(key: string, after: bigint, signal: AbortSignal): Promise<boolean> {
    const found = new AbortController();
    const create = { key: toBase64(key), start_revision: `${after + 1n}` };
    const onLine = (line: string): void => {
      const { result } = JSON.parse(line) as { result?: { events?: unknown; canceled?: unknown } };
      if (result?.events !== undefined || result?.canceled !== undefined) found.abort();
    };
    try {
      const token = await this.#currentToken(signal);
      const body = JSON.stringify({ create_request: create });
      await untilAny([signal, found.signal], (ended) =>
        this.#http.post(this.#endpoints[this.#preferred] as Endpoint, {
          path: '/v3/watch',
          body,
          token,
          silence: WATCH_SILENCE,
          signal: ended,
          onLine,
        }),
      );
    } catch {
      // A timeout, a lost connection, or the change itself.
    }
    return found.signal.aborted;
  }

  close(): void {
    this.#http.close();
  }

  get #endpoints(): readonly Endpoint[] {
    return this.#options.endpoints;
  }

  async #anyEndpoint(post: Post, once: boolean): Promise<CallResult> {
    const silences: Silence[] = [];
    const { length } = this.#endpoints;
    const first = this.#preferred;
    for (let tried = 0; tried < (once ? 1 : length); tried++) {
      const index = (first + tried) % length;
      const endpoint = this.#endpoints[index] as Endpoint;
      const result = await this.#endpoint(endpoint, post, once);
      post.signal?.throwIfAborted();
      this.#preferred = 'why' in result ? (index + 1) % length : index;
      if (!('why' in result)) return result;
      silences.push({ endpoint: hostAndPort(endpoint), ...result });
    }
    return { kind: 'unreachable', error: unreachable(silences) };
  }

  async #endpoint(
    endpoint: Endpoint,
    post: Post,
    once: boolean,
  ): Promise<Exclude<CallResult, { kind: 'unreachable' }> | Omit<Silence, 'endpoint'>> {
    try {
      const answer = await this.#http.post(endpoint, post);
      if (answer.status === 200) return { kind: 'answer', message: readMessage(answer) };
      const refusal = readRefusal(answer);
      return typeof refusal === 'string' ? { why: refusal, code: '' } : { kind: 'refused', refusal };
    } catch (error) {
      if (error instanceof NoAnswer && error.stale && !once) return this.#endpoint(endpoint, post, once);
      return { why: String(Object(error).message), code: String(Object(error).code ?? '') };
    }
  }

  /** A token of the user, the previous one while it is valid; none without a user. */
  async #currentToken(signal: AbortSignal | undefined): Promise<string | undefined> {
    const { etcd_user: name } = this.#options;
    if (name === undefined) return undefined;
    this.#token ??= this.#authenticate(name, signal);
    try {
      return await this.#token;
    } catch (error) {
      this.#token = undefined;
      throw error;
    }
  }

  async #authenticate(name: string, signal: AbortSignal | undefined): Promise<string> {
    const body = JSON.stringify({ name, password: this.#password });
    const post = { path: '/v3/auth/authenticate', body, token: undefined, silence: SILENCE, signal };
    return `${answerOf(await this.#anyEndpoint(post, false)).token}`;
  }
}

/** The answer. Throws a FleetError for a refusal, and for no answer. */
export function answerOf(result: CallResult): Message {
  if (result.kind === 'answer') return result.message;
  throw result.kind === 'refused' ? refused(result.refusal) : result.error;
}

/** Every answer of etcd has a header; without this, an answer of `{}` would be an empty registry. */
function readMessage({ body }: HttpAnswer): Message {
  const message = attempt(() => Object(JSON.parse(body)) as Message);
  const { header } = Object(message?.result ?? message);
  if (message === undefined || Object(header).cluster_id === undefined)
    throw new NoAnswer('not an answer of etcd');
  return message;
}
