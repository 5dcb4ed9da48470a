import { certificateFault, parseCertificate, plainKey } from '../keys/certificate.ts';
import { keyType } from '../keys/public-key.ts';
import type { KnownHostsFile, KnownHostsLine } from './known-hosts-file.ts';

/** The verdict of the known_hosts files on the key, or the certificate, that a host presents. */
export type HostKeyVerdict =
  | { readonly kind: 'known' }
  | { readonly kind: 'unknown' }
  /** `isCertain`: the connection preferred the types of the known keys. */
  | { readonly kind: 'changed'; readonly by: KnownHostsLine; readonly isCertain: boolean }
  | { readonly kind: 'revoked'; readonly by: KnownHostsLine }
  | { readonly kind: 'certificate'; readonly why: string };

/** The names of a host: `host` in certificates, the first of `names` in files, the others if that one is not found. */
export type HostNames = { readonly host: string; readonly names: readonly [string, ...string[]] };

/** The entries of one host in the known_hosts files, at one moment. */
export class KnownHost {
  /** The types of its keys, which a connection should prefer. */
  readonly types: ReadonlySet<string>;
  /** True when an authority may sign certificates for it. */
  readonly hasAuthority: boolean;
  readonly #files: readonly KnownHostsFile[];
  readonly #names: HostNames;
  readonly #isCertain: boolean;

  constructor(files: readonly KnownHostsFile[], names: HostNames) {
    this.#files = files;
    this.#names = names;
    this.#isCertain = files.every((file) => names.names.every((name) => file.knowsAll(name)));
    this.hasAuthority = files.some((file) => names.names.some((name) => file.hasAuthority(name)));
    this.types = new Set(this.#isCertain ? this.#ownTypes() : this.#likelyTypes());
  }

  /**
   * Checks a key in wire form; the first rule that matches decides:
   *
   * 1. a `@revoked` line holds it, or the key of the authority that signed it: revoked;
   * 2. it is a certificate of an authority that a `@cert-authority` line names: known if it is valid for this host;
   * 3. a line holds it: known. A certificate of another authority counts as the plain key in it;
   * 4. the files hold another key for the host: changed. OpenSSH does so for a key of the same type only, and
   *    calls a key of another type new. But the connection prefers the known types, so a host that still has its known
   *    key presents it; a host that presents another type does not have that key;
   * 5. otherwise unknown. Known keys of types that this client cannot negotiate (ssh-dss, security keys) are ignored.
   *
   * `now` is in ms since 1970.
   */
  judge(presented: Buffer, now: number = Date.now()): HostKeyVerdict {
    const certificate = parseCertificate(presented);
    const key = certificate?.publicKey ?? presented;
    const forbidden = [presented, key, ...(certificate ? [certificate.authority] : [])];
    const revoked = forbidden.flatMap((one) => this.#withKey(one, 'revoked'))[0];
    if (revoked !== undefined) return { kind: 'revoked', by: revoked };
    if (certificate !== undefined) {
      const isOurs = this.#withKey(certificate.authority, 'cert-authority').length > 0;
      const why = isOurs ? certificateFault(certificate, this.#names.host, now) : undefined;
      if (isOurs) return why === undefined ? { kind: 'known' } : { kind: 'certificate', why };
    }
    if (this.#withKey(key, undefined).length > 0) return { kind: 'known' };
    return this.#judgeStranger(key);
  }

  #judgeStranger(key: Buffer): HostKeyVerdict {
    // Lines of the other names are found too, for the next connection; without the key, they are about other ports.
    const [others = []] = this.#names.names.map((name) => this.#evidence(name));
    const other = others.find((line) => keyType(line.key) === keyType(key)) ?? others[0];
    return other === undefined
      ? { kind: 'unknown' }
      : { kind: 'changed', by: other, isCertain: this.#isCertain };
  }

  /** The lines with a key of the host under one of its names. */
  #evidence(name: string): KnownHostsLine[] {
    return this.#files.flatMap((file) => file.all(name)).filter(isEvidence);
  }

  #ownTypes(): string[] {
    return this.#names.names.flatMap((name) => this.#evidence(name)).map(({ key }) => keyType(key));
  }

  /** It is not known yet which lines with hashed names are about this host; they are searched if none has its key. */
  #likelyTypes(): string[] {
    const lines = this.#lines((file, name) => file.unhashed(name));
    const types = lines.filter(isEvidence).map(({ key }) => keyType(key));
    return types.length > 0 ? types : this.#files.flatMap(({ hashedTypes }) => [...hashedTypes]);
  }

  #withKey(key: Buffer, marker: KnownHostsLine['marker']): KnownHostsLine[] {
    return this.#lines((file, name) => file.withKey(key, name)).filter((line) => line.marker === marker);
  }

  /** What is found in each file under each name. */
  #lines(find: (file: KnownHostsFile, name: string) => readonly KnownHostsLine[]): KnownHostsLine[] {
    return this.#files.flatMap((file) => this.#names.names.flatMap((name) => find(file, name)));
  }
}

/** Whether a line states a key of the host. */
function isEvidence({ marker, key }: KnownHostsLine): boolean {
  return marker === undefined && HOST_KEY_TYPES.has(keyType(key));
}

/**
 * Key type → signature algorithms, best first: ssh2's own order without ssh-rsa (SHA-1) and ssh-dss, which
 * OpenSSH has not offered since 8.8 and 7.0.
 */
const HOST_KEY_TYPES: ReadonlyMap<string, readonly string[]> = new Map([
  ['ssh-ed25519', ['ssh-ed25519']],
  ['ecdsa-sha2-nistp256', ['ecdsa-sha2-nistp256']],
  ['ecdsa-sha2-nistp384', ['ecdsa-sha2-nistp384']],
  ['ecdsa-sha2-nistp521', ['ecdsa-sha2-nistp521']],
  ['ssh-rsa', ['rsa-sha2-512', 'rsa-sha2-256']],
]);

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
