import type { Client } from 'ssh2';
import { channelsOf, privateParts } from './parts.ts';

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
  readonly #client: Client;
  readonly #send: (channel: number) => void;
  #channel: number | undefined;
  /** The answer of the machine, for ssh2's next request for a session. */
  #answer: Parameters<Answered> | undefined;
  #waiting: Answered | undefined;

  /** Call it right after ssh2's `connect`. */
  constructor(client: Client) {
    this.#client = client;
    const protocol = privateParts(client);
    const { session } = protocol;
    this.#send = (channel) => session.call(protocol, channel, WINDOW, PACKET);
    protocol.session = (channel, window, packet) => {
      if (!this.#hand(channel)) session.call(protocol, channel, window, packet);
    };
  }

  /** Requests the session, right after a request for a login. */
  request(): void {
    if (!/^SSH-2\.0-OpenSSH_/.test(`${privateParts(this.#client)._remoteIdentRaw}`)) return;
    const answered: Answered & { type?: string } = (...answer) => {
      this.#answer = answer;
      this.#waiting?.(...answer);
    };
    answered.type = 'session';
    const channel = channelsOf(this.#client).add(answered);
    this.#channel = channel;
    this.#send(channel);
  }

  /** The login failed, and the request with it. */
  drop(): void {
    if (this.#channel !== undefined) channelsOf(this.#client).remove(this.#channel);
    this.#channel = undefined;
  }

  /** Gives the session to the callback of ssh2 for another channel, whose request is then not sent. */
  #hand(other: number): boolean {
    if (this.#channel === undefined) return false;
    this.#channel = undefined;
    const channels = channelsOf(this.#client);
    const callback = channels.get(other) as Answered;
    channels.remove(other);
    const answer = this.#answer;
    if (answer === undefined) this.#waiting = callback;
    else queueMicrotask(() => callback(...answer));
    return true;
  }
}
