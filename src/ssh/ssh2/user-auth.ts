import type { Client } from 'ssh2';
import { wireStrings } from '../keys/wire.ts';
import { type Channels, channelsOf, type Protocol, privateParts } from './parts.ts';

export type Prompt = { readonly prompt: string; readonly echo: boolean };

/** The answer of a machine to a login request (RFC 4252, RFC 4256). */
export type AuthReply =
  | { readonly kind: 'success' }
  /** `methods` can continue; `isPartial`: this one succeeded, and the machine requires another one. */
  | { readonly kind: 'failure'; readonly methods: readonly string[]; readonly isPartial: boolean }
  /** A signature with this key would be accepted. */
  | { readonly kind: 'key-accepted' }
  | {
      readonly kind: 'prompts';
      readonly name: string;
      readonly instructions: string;
      readonly prompts: readonly Prompt[];
    }
  | { readonly kind: 'password-expired' };

const USERAUTH_REQUEST = 50;

/**
 * The requests of a login over a connection of ssh2, one at a time, in place of ssh2's own. ssh2 asks for every key
 * whether it would be accepted before it signs, does not support certificates, and truncates signatures of security keys.
 */
export class UserAuth {
  readonly #protocol: Protocol;
  readonly #user: string;
  readonly #session: EarlySession | undefined;
  #answered: ((answer: AuthReply) => void) | undefined;
  /** The signature algorithms that the machine accepts; undefined until it has named them. */
  acceptedAlgorithms: readonly string[] | undefined;

  /**
   * Calls `begin` when the host key is verified, the connection is encrypted and the login service was requested. It does
   * not wait for the answer to that, which saves a round trip. `session` is requested with each login by a key. Call it right
   * after ssh2's `connect`.
   */
  constructor(client: Client, user: string, session: EarlySession | undefined, begin: () => void) {
    const protocol = privateParts(client);
    this.#protocol = protocol;
    this.#user = user;
    this.#session = session;
    const { _handlers: handlers, service } = protocol;
    protocol.service = (name) => {
      service.call(protocol, name);
      // Messages in the same packet as the end of the key exchange are read first: they name the algorithms.
      queueMicrotask(begin);
    };
    // sshd sends all its host keys after a login; ssh2 would request a proof for each of them, which is not needed.
    const { GLOBAL_REQUEST } = handlers;
    handlers.GLOBAL_REQUEST = (from, name: string, ...more) => {
      if (name !== 'hostkeys-00@openssh.com') GLOBAL_REQUEST?.(from, name, ...more);
    };
    handlers.SERVICE_ACCEPT = () => undefined;
    handlers.EXT_INFO = (_, extensions: readonly { name: string; algs: readonly string[] }[]) => {
      this.acceptedAlgorithms = extensions.find(({ name }) => name === 'server-sig-algs')?.algs;
    };
    handlers.USERAUTH_FAILURE = (_, methods: readonly string[] = [], isPartial: boolean) => {
      session?.drop();
      this.#settle({ kind: 'failure', methods, isPartial });
    };
    handlers.USERAUTH_PK_OK = () => this.#settle({ kind: 'key-accepted' });
    handlers.USERAUTH_PASSWD_CHANGEREQ = () => this.#settle({ kind: 'password-expired' });
    handlers.USERAUTH_INFO_REQUEST = (_, name: string, instructions: string, prompts: readonly Prompt[]) =>
      this.#settle({ kind: 'prompts', name, instructions, prompts });
    client.once('ready', () => this.#settle({ kind: 'success' }));
  }

  /** Asks whether a key would be accepted. */
  offerKey(algorithm: string, key: Buffer): Promise<AuthReply> {
    return this.#request('publickey', this.#keyRequest(algorithm, key, false));
  }

  /** Logs in with a key. `sign` gets the data to sign. */
  async useKey(algorithm: string, key: Buffer, sign: (data: Buffer) => Promise<Buffer>): Promise<AuthReply> {
    const request = this.#keyRequest(algorithm, key, true);
    const session = this.#protocol._kex?.sessionID ?? Buffer.alloc(0);
    const signature = await sign(Buffer.concat([wireStrings(session), request]));
    const answer = this.#request('publickey', Buffer.concat([request, wireStrings(signature)]));
    this.#session?.request();
    return answer;
  }

  usePassword(password: string): Promise<AuthReply> {
    const start = this.#start('password');
    return this.#request('password', Buffer.concat([start, Buffer.of(0), wireStrings(password)]));
  }

  /** Starts keyboard-interactive authentication. */
  startDialog(): Promise<AuthReply> {
    const start = this.#start('keyboard-interactive');
    return this.#request('keyboard-interactive', Buffer.concat([start, wireStrings('', '')]));
  }

  answerPrompts(answers: readonly string[]): Promise<AuthReply> {
    const answer = this.#next();
    this.#protocol.authInfoRes([...answers]);
    return answer;
  }

  #keyRequest(algorithm: string, key: Buffer, isSigned: boolean): Buffer {
    const flag = Buffer.of(isSigned ? 1 : 0);
    return Buffer.concat([this.#start('publickey'), flag, wireStrings(algorithm, key)]);
  }

  #start(method: string): Buffer {
    return Buffer.concat([Buffer.of(USERAUTH_REQUEST), wireStrings(this.#user, 'ssh-connection', method)]);
  }

  /** ssh2 needs `method` to parse message 60, which has another meaning with each method. */
  #request(method: string, payload: Buffer): Promise<AuthReply> {
    const answer = this.#next();
    const protocol = this.#protocol;
    protocol._authsQueue.splice(0, Number.POSITIVE_INFINITY, method);
    const writer = protocol._packetRW.write;
    const packet = writer.alloc(payload.length);
    packet.set(payload, writer.allocStart);
    const finished = writer.finalize(packet);
    if (protocol._kexinit === undefined) protocol._cipher.encrypt(finished);
    else protocol._queue = [...(protocol._queue ?? []), finished];
    return answer;
  }

  #next(): Promise<AuthReply> {
    return new Promise((resolve) => {
      this.#answered = resolve;
    });
  }

  /** An answer without a question is ignored. */
  #settle(answer: AuthReply): void {
    const answered = this.#answered;
    this.#answered = undefined;
    answered?.(answer);
  }
}

/** The window and the largest packet of a session, in bytes, as ssh2 requests them. */
const WINDOW = 2 * 1024 * 1024;
const PACKET = 32 * 1024;

type Answered = (error: Error | undefined, channel: unknown) => void;

/**
 * The first session of a connection, requested together with a login, which saves a round trip. What follows the request
 * that succeeds is passed to the service that the login starts (RFC 4252, section 5.1). After a login that fails, OpenSSH
 * answers that it does not implement the request; other servers may end the connection, so they are not sent any.
 */
export class EarlySession {
  readonly #protocol: Protocol;
  readonly #channels: Channels;
  readonly #send: (channel: number) => void;
  #channel: number | undefined;
  /** The answer of the machine, for ssh2's next request for a session. */
  #answer: Parameters<Answered> | undefined;
  #waiting: Answered | undefined;

  /** Call it right after ssh2's `connect`. */
  constructor(client: Client) {
    const protocol = privateParts(client);
    this.#protocol = protocol;
    this.#channels = channelsOf(client);
    const { session } = protocol;
    this.#send = (channel) => session.call(protocol, channel, WINDOW, PACKET);
    protocol.session = (channel, window, packet) => {
      if (!this.#hand(channel)) session.call(protocol, channel, window, packet);
    };
  }

  /** Requests the session, right after a request for a login. */
  request(): void {
    if (!/^SSH-2\.0-OpenSSH_/.test(`${this.#protocol._remoteIdentRaw}`)) return;
    const answered: Answered & { type?: string } = (...answer) => {
      this.#answer = answer;
      this.#waiting?.(...answer);
    };
    answered.type = 'session';
    const channel = this.#channels.add(answered);
    this.#channel = channel;
    this.#send(channel);
  }

  /** The login failed, and the request with it. */
  drop(): void {
    if (this.#channel !== undefined) this.#channels.remove(this.#channel);
    this.#channel = undefined;
  }

  /** Gives the session to the callback of ssh2 for another channel, whose request is then not sent. */
  #hand(other: number): boolean {
    if (this.#channel === undefined) return false;
    this.#channel = undefined;
    const callback = this.#channels.get(other) as Answered;
    this.#channels.remove(other);
    const answer = this.#answer;
    if (answer === undefined) this.#waiting = callback;
    else queueMicrotask(() => callback(...answer));
    return true;
  }
}
