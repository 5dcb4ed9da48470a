import type { Limit } from '../../base/async.ts';
import { causeText, FleetError } from '../../base/errors.ts';
import { cannotReach, closedHere } from '../failure.ts';
import { plainKey } from '../keys/certificate.ts';
import { describeKey, keyType } from '../keys/public-key.ts';
import { quote } from '../shell.ts';
import type { SshTarget } from '../target.ts';
import { type HostKeyVerdict, type HostNames, KnownHost } from './known-host.ts';
import { appendKnownHost, type KnownHostsFile, KnownHostsFiles, knownHostName } from './known-hosts-file.ts';

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

  /** The entries of the files about a host, at this moment. Throws FleetError `local` for a file that cannot be read. */
  known(target: SshTarget): KnownHost {
    return new KnownHost(filesOf(target, this.#files), namesOf(target));
  }

  /** Writes a key that a host has proven to own to the first file. Rejects with FleetError `local` when it cannot. */
  async learn(target: SshTarget, key: Buffer): Promise<void> {
    const [file] = target.userKnownHostsFiles;
    const name = nameInFiles(target);
    if (file === undefined) throw hostKeyRefusal(target, key, { kind: 'unknown' });
    const hashed = target.hashKnownHosts || knownHostsAt(file, this.#files).isHashed;
    await appendKnownHost(file, name, key, hashed).catch((cause) => {
      throw fileError('write', file, cause);
    });
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
      const verdict = this.known(target).judge(key);
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
}

/**
 * The entries of the known_hosts files about a target, as lines of a file for another user who connects to the same host and
 * port: its keys, those that are revoked, and those that may sign for it. Throws FleetError `local` for a file that cannot be read.
 */
export function knownHostLines(target: SshTarget): readonly string[] {
  const files = filesOf(target, new KnownHostsFiles());
  const name = knownHostName(target.host, target.port);
  const lines = namesOf(target).names.flatMap((each) => files.flatMap((file) => file.all(each)));
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

/** The name of a host in known_hosts files. */
function nameInFiles({ hostKeyAlias, host, port }: SshTarget): string {
  return hostKeyAlias?.toLowerCase() ?? knownHostName(host, port);
}

function filesOf(target: SshTarget, files: KnownHostsFiles): readonly KnownHostsFile[] {
  const paths = [...target.userKnownHostsFiles, ...target.globalKnownHostsFiles];
  return paths.map((path) => knownHostsAt(path, files));
}

function knownHostsAt(path: string, files: KnownHostsFiles): KnownHostsFile {
  try {
    return files.read(path);
  } catch (cause) {
    throw fileError('read', path, cause);
  }
}

function fileError(verb: 'read' | 'write', file: string, cause: unknown): FleetError {
  const message = `Cannot ${verb} the file of known hosts "${file}": ${causeText(cause)}`;
  const hint = 'Name another one with known_hosts_file in [ssh]';
  return new FleetError('local', message, { hint, cause });
}

/** Resolves when the signal is raised. */
function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

/** Why a key that is not known is refused. `declined`: the user did not accept it. */
export function hostKeyRefusal(
  target: SshTarget,
  key: Buffer,
  verdict: Exclude<HostKeyVerdict, { kind: 'known' }> | { readonly kind: 'declined' },
): FleetError {
  const shown = describeKey(plainKey(key));
  const refuse = (what: string, hint: string): FleetError =>
    cannotReach(target, 'ssh-host-key', what, { hint });
  switch (verdict.kind) {
    case 'declined':
      return refuse(
        `its host key was not accepted: ${shown}`,
        'Compare it with the output of "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub" on the machine',
      );
    case 'unknown':
      return refuse(`its host key is not known: ${shown}`, adviceForUnknown(target));
    case 'changed': {
      const { file, line, key: expected } = verdict.by;
      return refuse(
        `its host key has changed: it shows ${shown}, but line ${line} of "${file}" has ${describeKey(expected)}`,
        'The connection may be intercepted. If the machine was set up again: ' +
          `ssh-keygen -R ${quote(nameInFiles(target))} -f ${quote(file)}`,
      );
    }
    case 'revoked': {
      const place = `line ${verdict.by.line} of "${verdict.by.file}"`;
      return refuse(`its host key is revoked by ${place}: ${shown}`, 'Give the machine a new host key');
    }
    case 'certificate':
      return refuse(
        `its host certificate is not valid: ${verdict.why}`,
        `Have the authority sign its key again: ssh-keygen -s CA -I ID -h -n ${quote(target.hostKeyAlias ?? target.host)} KEY.pub`,
      );
  }
}

function adviceForUnknown({ strictHostKeyChecking, userKnownHostsFiles }: SshTarget): string {
  const [file] = userKnownHostsFiles;
  const add =
    file === undefined
      ? 'name a file with known_hosts_file in [ssh] (--known-hosts-file)'
      : `add the key to "${file}" with ssh-keyscan`;
  return strictHostKeyChecking === 'yes'
    ? `If that is the right fingerprint, ${add}; strict_host_key_checking is "yes"`
    : 'If that is the right fingerprint, accept it on a terminal, set "strict_host_key_checking = accept-new" ' +
        `in [ssh] (--strict-host-key-checking=accept-new), or ${add}`;
}
