import type { ServerHostKeyAlgorithm } from 'ssh2';
import type { FleetError } from '../base/errors.ts';
import { cannotReach } from './failure.ts';
import { describeKey, keyType } from './keys/public-key.ts';
import { type KnownHostKey, knownHostName } from './known-hosts.ts';
import { quote } from './shell.ts';
import type { SshTarget } from './target.ts';

/** What the file of known hosts says of the key that a host presents. `line` counts from 1. */
export type HostKeyVerdict =
  | { readonly kind: 'known' }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'changed'; readonly line: number; readonly expected: Buffer }
  | { readonly kind: 'revoked'; readonly line: number };

/**
 * Judges a key in wire form by the keys known for its host; the first rule that fits decides:
 *
 * 1. a `@revoked` line holds it: revoked;
 * 2. a line holds it: known;
 * 3. the file holds another key for the host: changed. OpenSSH says so for a key of the same type only, and
 *    calls a key of another type new. But {@link hostKeyAlgorithms} asks for the known types first, and a host
 *    that still has its known key presents it then; who presents another type does not have that key;
 * 4. otherwise unknown. Keys of types that this client cannot ask for (ssh-dss, security keys) are no evidence.
 */
export function judgeHostKey(known: readonly KnownHostKey[], key: Buffer): HostKeyVerdict {
  const same = known.filter((entry) => entry.key.equals(key));
  const revoked = same.find((entry) => entry.revoked);
  if (revoked !== undefined) return { kind: 'revoked', line: revoked.line };
  if (same.length > 0) return { kind: 'known' };
  const others = known.filter((entry) => !entry.revoked && ALGORITHMS.has(keyType(entry.key)));
  const other = others.find((entry) => keyType(entry.key) === keyType(key)) ?? others[0];
  return other === undefined
    ? { kind: 'unknown' }
    : { kind: 'changed', line: other.line, expected: other.key };
}

/**
 * Judges the keys that one connection presents. Keys come again with every new key exchange; from the second
 * on it must be the very key that was accepted.
 */
export class HostKeyCheck {
  /** The key that was accepted although the file does not hold it; it is to be learnt. */
  newHostKey: Buffer | undefined;
  readonly #knownKeys: readonly KnownHostKey[];
  readonly #acceptNew: boolean;
  #accepted: Buffer | undefined;

  constructor(knownKeys: readonly KnownHostKey[], acceptNew: boolean) {
    this.#knownKeys = knownKeys;
    this.#acceptNew = acceptNew;
  }

  judge(key: Buffer): HostKeyVerdict {
    if (this.#accepted !== undefined) return { kind: this.#accepted.equals(key) ? 'known' : 'unknown' };
    const verdict = judgeHostKey(this.#knownKeys, key);
    const isNew = verdict.kind === 'unknown' && this.#acceptNew;
    if (isNew) this.newHostKey = key;
    if (isNew || verdict.kind === 'known') this.#accepted = key;
    return isNew ? { kind: 'known' } : verdict;
  }
}

/** The host key algorithms to ask for, best first; those of the known keys come before all others. */
export function hostKeyAlgorithms(known: readonly KnownHostKey[]): ServerHostKeyAlgorithm[] {
  const knownTypes = new Set(known.filter(({ revoked }) => !revoked).map(({ key }) => keyType(key)));
  const types = [...ALGORITHMS.keys()];
  const ordered = [...types.filter((t) => knownTypes.has(t)), ...types.filter((t) => !knownTypes.has(t))];
  return ordered.flatMap((type) => ALGORITHMS.get(type) ?? []);
}

/** Why a key that is not known is refused. `declined` says that a person was asked. */
export function hostKeyRefusal(
  target: SshTarget,
  file: string,
  key: Buffer,
  verdict: Exclude<HostKeyVerdict, { kind: 'known' }> | { readonly kind: 'declined' },
): FleetError {
  const shown = describeKey(key);
  const place =
    verdict.kind === 'changed' || verdict.kind === 'revoked' ? `line ${verdict.line} of "${file}"` : '';
  const name = quote(knownHostName(target.host, target.port));
  const refuse = (what: string, hint: string): FleetError =>
    cannotReach(target, 'ssh-host-key', what, { hint });
  switch (verdict.kind) {
    case 'declined':
      return refuse(
        `its host key was not accepted: ${shown}`,
        'Compare it with the output of "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub" on the machine',
      );
    case 'unknown':
      return refuse(
        `its host key is not known: ${shown}`,
        'If that is the right fingerprint, accept it on a terminal, set "strict_host_key_checking = accept-new" ' +
          `in [ssh], or add the key to "${file}" with ssh-keyscan`,
      );
    case 'changed':
      return refuse(
        `its host key has changed: it shows ${shown}, but ${place} has ${describeKey(verdict.expected)}`,
        'Somebody may be listening in. If the machine was set up anew: ' +
          `ssh-keygen -R ${name} -f ${quote(file)}`,
      );
    case 'revoked':
      return refuse(`its host key is revoked by ${place}: ${shown}`, 'Give the machine a new host key');
  }
}

/**
 * Key type → signature algorithms, best first: ssh2's own order without ssh-rsa (SHA-1) and ssh-dss, which
 * OpenSSH has not offered since 8.8 and 7.0.
 */
const ALGORITHMS: ReadonlyMap<string, readonly ServerHostKeyAlgorithm[]> = new Map([
  ['ssh-ed25519', ['ssh-ed25519']],
  ['ecdsa-sha2-nistp256', ['ecdsa-sha2-nistp256']],
  ['ecdsa-sha2-nistp384', ['ecdsa-sha2-nistp384']],
  ['ecdsa-sha2-nistp521', ['ecdsa-sha2-nistp521']],
  ['ssh-rsa', ['rsa-sha2-512', 'rsa-sha2-256']],
]);
