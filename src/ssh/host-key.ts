import type { FleetError } from '../base/errors.ts';
import { cannotReach } from './failure.ts';
import { plainKey } from './keys/certificate.ts';
import { describeKey } from './keys/public-key.ts';
import { HOST_KEY_TYPES, type HostKeyVerdict, type KnownHost } from './known-host.ts';
import { knownHostName } from './known-hosts.ts';
import { quote } from './shell.ts';
import type { SshTarget } from './target.ts';

/**
 * Checks the keys that one connection presents. The host presents its key again in every key exchange; it must always
 * be the key, or certificate, that was accepted first.
 */
export class HostKeyCheck {
  /** The key that was accepted although no file holds it; it has to be written to a file. */
  newHostKey: Buffer | undefined;
  readonly #host: KnownHost;
  readonly #acceptNew: boolean;
  #accepted: Buffer | undefined;

  constructor(host: KnownHost, acceptNew: boolean) {
    this.#host = host;
    this.#acceptNew = acceptNew;
  }

  judge(presented: Buffer): HostKeyVerdict {
    if (this.#accepted !== undefined) return { kind: this.#accepted.equals(presented) ? 'known' : 'unknown' };
    const verdict = this.#host.judge(presented);
    const isNew = verdict.kind === 'unknown' && this.#acceptNew;
    if (isNew) this.newHostKey = plainKey(presented);
    if (isNew || verdict.kind === 'known') this.#accepted = presented;
    return isNew ? { kind: 'known' } : verdict;
  }
}

/** The host key algorithms to ask for, best first; those of the known keys first. */
export function hostKeyAlgorithms({ types }: Pick<KnownHost, 'types'>): string[] {
  const all = [...HOST_KEY_TYPES.keys()];
  const ordered = [...all.filter((type) => types.has(type)), ...all.filter((type) => !types.has(type))];
  return ordered.flatMap((type) => HOST_KEY_TYPES.get(type) ?? []);
}

/** The name of a host in known_hosts files. */
export function nameInFiles({ hostKeyAlias, host, port }: SshTarget): string {
  return hostKeyAlias?.toLowerCase() ?? knownHostName(host, port);
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
