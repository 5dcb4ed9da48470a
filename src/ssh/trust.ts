import { FleetError } from '../base/errors.ts';
import { closedHere } from './failure.ts';
import { hostKeyRefusal, judgeHostKey } from './host-key.ts';
import { describeKey } from './keys/public-key.ts';
import {
  appendKnownHost,
  type KnownHostKey,
  type KnownHostsLine,
  keysOfHost,
  knownHostName,
  parseKnownHosts,
  readKnownHosts,
} from './known-hosts.ts';
import type { Limit } from './limit.ts';
import type { SshTarget } from './target.ts';

/** What a person is asked about a host that was never seen before. */
export type HostKeyQuestion = {
  /** The machine's name in fleet.conf. */
  readonly machine: string;
  readonly host: string;
  readonly port: number;
  /** Key type and fingerprint: `ssh-ed25519 SHA256:…`. */
  readonly key: string;
};

/** Asks a person. Only a promise that resolves to true is a yes; what it rejects with goes to the caller. */
export type AskHostKey = (question: HostKeyQuestion) => Promise<boolean>;

/** Knows the hosts of one known_hosts file, and learns new ones. */
export class HostKeyTrust {
  readonly #file: string;
  readonly #ask: AskHostKey | undefined;
  readonly #oneAtATime: Limit;
  #text = '';
  #lines: readonly KnownHostsLine[] = [];

  /** `oneAtATime` is for everything that a person is asked. */
  constructor(file: string, ask: AskHostKey | undefined, oneAtATime: Limit) {
    this.#file = file;
    this.#oneAtATime = oneAtATime;
    this.#ask = ask;
  }

  /** The keys that the file holds for a host at this moment. */
  async known(target: SshTarget): Promise<KnownHostKey[]> {
    const text = await this.#try('read', () => readKnownHosts(this.#file));
    if (text !== this.#text) this.#lines = parseKnownHosts(text);
    this.#text = text;
    return keysOfHost(this.#lines, knownHostName(target.host, target.port));
  }

  /** Writes a key that a host has proven to own to the file. */
  async learn(target: SshTarget, key: Buffer): Promise<void> {
    const name = knownHostName(target.host, target.port);
    await this.#try('write', () => appendKnownHost(this.#file, name, key));
  }

  /**
   * Returns when a person has accepted the key and it stands in the file; rejects with an `ssh-host-key` error
   * in every other case. One question is asked at a time; `signal` ends the wait for an answer.
   */
  agree(target: SshTarget, key: Buffer, signal: AbortSignal): Promise<void> {
    return this.#oneAtATime(async () => {
      if (signal.aborted) throw closedHere(target);
      // Another question, or another process, may have settled it meanwhile.
      const verdict = judgeHostKey(await this.known(target), key);
      if (verdict.kind === 'known') return;
      if (verdict.kind !== 'unknown' || this.#ask === undefined) throw this.refusal(target, key, verdict);
      const { name: machine, host, port } = target;
      const question = { machine, host, port, key: describeKey(key) };
      const answer: unknown = await Promise.race([this.#ask(question), aborted(signal)]);
      if (signal.aborted) throw closedHere(target);
      if (answer !== true) throw this.refusal(target, key, { kind: 'declined' });
      await this.learn(target, key);
    });
  }

  /** The error for a key that must not be trusted. */
  refusal(target: SshTarget, key: Buffer, verdict: Parameters<typeof hostKeyRefusal>[3]): FleetError {
    return hostKeyRefusal(target, this.#file, key, verdict);
  }

  async #try<T>(verb: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      const message = `Cannot ${verb} the file of known hosts "${this.#file}": ${(cause as Error).message}`;
      throw new FleetError('ssh-host-key', message, { cause });
    }
  }
}

/** Resolves when the signal is raised. */
function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
