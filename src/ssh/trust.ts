import type { Limit } from '../base/async.ts';
import { causeText, FleetError } from '../base/errors.ts';
import { closedHere } from './failure.ts';
import { hostKeyRefusal, nameInFiles } from './host-key.ts';
import { plainKey } from './keys/certificate.ts';
import { describeKey, keyType } from './keys/public-key.ts';
import { type HostNames, KnownHost } from './known-host.ts';
import { appendKnownHost, knownHostName } from './known-hosts.ts';
import { type KnownHostsFile, KnownHostsFiles } from './known-hosts-file.ts';
import type { SshTarget } from './target.ts';

/** The question to the user about an unknown host. */
export type HostKeyQuestion = {
  /** The machine's name in fleet.conf. */
  readonly machine: string;
  readonly host: string;
  readonly port: number;
  /** Key type and fingerprint: `ssh-ed25519 SHA256:…`. */
  readonly key: string;
};

/** Asks the user. Only a promise that resolves to true accepts the key; rejections go to the caller. */
export type AskHostKey = (question: HostKeyQuestion) => Promise<boolean>;

/** Reads the known_hosts files of targets, and adds new hosts. */
export class HostKeyTrust {
  readonly #ask: AskHostKey | undefined;
  readonly #oneAtATime: Limit;
  readonly #files = new KnownHostsFiles();

  /** `oneAtATime` serializes all questions to the user. */
  constructor(ask: AskHostKey | undefined, oneAtATime: Limit) {
    this.#ask = ask;
    this.#oneAtATime = oneAtATime;
  }

  /** The entries of the files about a host, at this moment. Rejects with FleetError `local` for a file that cannot be read. */
  async known(target: SshTarget): Promise<KnownHost> {
    const paths = [...target.userKnownHostsFiles, ...target.globalKnownHostsFiles];
    const files = await Promise.all(paths.map((path) => this.#read(path)));
    return new KnownHost(files, namesOf(target));
  }

  /** Writes a key that a host has proven to own to the first file. Rejects with FleetError `local` when it cannot. */
  async learn(target: SshTarget, key: Buffer): Promise<void> {
    const [file] = target.userKnownHostsFiles;
    const name = nameInFiles(target);
    if (file === undefined) throw hostKeyRefusal(target, key, { kind: 'unknown' });
    const hashed = target.hashKnownHosts || (await this.#read(file)).isHashed;
    await withFileError('write', file, () => appendKnownHost(file, name, key, hashed));
  }

  /**
   * Returns when the user has accepted the key and it is in the file; otherwise rejects with an `ssh-host-key` error or
   * the error of the file. One question is asked at a time; `signal` ends the wait for an answer.
   */
  agree(target: SshTarget, presented: Buffer, signal: AbortSignal): Promise<void> {
    // A certificate of an unknown authority counts as the key in it.
    const key = plainKey(presented);
    return this.#oneAtATime(async () => {
      if (signal.aborted) throw closedHere(target);
      // The answer to another question, or another process, may have added the key.
      const verdict = (await this.known(target)).judge(key);
      if (verdict.kind === 'known') return;
      const ask = target.strictHostKeyChecking === 'ask' && !target.batchMode ? this.#ask : undefined;
      if (verdict.kind !== 'unknown' || ask === undefined) throw hostKeyRefusal(target, key, verdict);
      const { name: machine, host, port } = target;
      const question = { machine, host, port, key: describeKey(key) };
      const answer: unknown = await Promise.race([ask(question), aborted(signal)]);
      if (signal.aborted) throw closedHere(target);
      if (answer !== true) throw hostKeyRefusal(target, key, { kind: 'declined' });
      await this.learn(target, key);
    });
  }

  #read(path: string): Promise<KnownHostsFile> {
    return withFileError('read', path, () => this.#files.read(path));
  }
}

/**
 * The entries of the known_hosts files about a target, as lines of a file for another user who connects to the same host and
 * port: its keys, those that are revoked, and those that may sign for it. Rejects with `ssh-host-key` when a file cannot be read.
 */
export async function knownHostLines(target: SshTarget): Promise<readonly string[]> {
  const files = new KnownHostsFiles();
  const paths = [...target.userKnownHostsFiles, ...target.globalKnownHostsFiles];
  const read = await Promise.all(paths.map((path) => withFileError('read', path, () => files.read(path))));
  const name = knownHostName(target.host, target.port);
  const lines = namesOf(target).names.flatMap((each) => read.flatMap((file) => file.all(each)));
  const written = lines.map(({ marker, key }) => {
    const mark = marker === undefined ? '' : `@${marker} `;
    return `${mark}${name} ${keyType(key)} ${key.toString('base64')}`;
  });
  return [...new Set(written)];
}

/** An entry without a port applies to all ports, as in ssh(1); an alias has separate entries. */
function namesOf(target: SshTarget): HostNames {
  const host = target.hostKeyAlias ?? target.host;
  const name = nameInFiles(target);
  const plain = target.host.toLowerCase();
  const isPlain = target.hostKeyAlias !== undefined || name === plain;
  return { host, names: isPlain ? [name] : [name, plain] };
}

async function withFileError<T>(verb: string, file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const message = `Cannot ${verb} the file of known hosts "${file}": ${causeText(cause)}`;
    throw new FleetError('local', message, {
      hint: 'Name another one with known_hosts_file in [ssh]',
      cause,
    });
  }
}

/** Resolves when the signal is raised. */
function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
