import type { AlgorithmList, Algorithms, Client } from 'ssh2';
import { hostKeyAlgorithms } from './host-key.ts';
import { certificateName, certifiedType, parseCertificate } from './keys/certificate.ts';
import type { KnownHost } from './known-host.ts';
import { type KexInit, type KeyExchange, privateParts } from './ssh2-parts.ts';
import type { SshTarget } from './target.ts';

/**
 * Host certificates for ssh2, which knows plain keys only. They are offered in front of these, ssh2 hands one to the
 * verifier like any other host key, and from {@link HostCertificates.admit} on takes it for the key inside, with
 * which the host has to sign the key exchange. Who may have signed the certificate is for the verifier to judge.
 */
export class HostCertificates {
  readonly #client: Client;
  /** The host key algorithm of the key exchange in progress, as the host named it. */
  #agreed = '';

  /** Call it right after ssh2's `connect`; `algorithms` are those for certificates, best first. */
  constructor(client: Client, algorithms: readonly string[]) {
    this.#client = client;
    const protocol = privateParts(client);
    protocol._offer = withHostKeysFirst(protocol._offer, algorithms);
    let current: KeyExchange | undefined = protocol._kex;
    Object.defineProperty(protocol, '_kex', {
      get: () => current,
      set: (exchange: KeyExchange | undefined) => {
        current = exchange;
        if (exchange !== undefined) this.#follow(exchange.negotiated);
      },
    });
  }

  /** Takes an accepted certificate for its key; does nothing for a plain key. Call it before the verifier answers. */
  admit(presented: Buffer): void {
    const exchange = privateParts(this.#client)._kex;
    const certificate = parseCertificate(presented);
    if (exchange === undefined || certificate === undefined) return;
    exchange.negotiated.serverHostKey = certifiedType(this.#agreed) ?? this.#agreed;
    // The certificate as a whole goes into the hash that the host signs, and is read for that first.
    let reads = 0;
    Object.defineProperty(exchange, '_hostKey', {
      get: () => (reads++ === 0 ? presented : certificate.publicKey),
      // It is forgotten at the end.
      set: () => undefined,
    });
  }

  /** RSA keys, certified or not, are of one type but sign in several ways; ssh2 knows that of the plain ones. */
  #follow(negotiated: KeyExchange['negotiated']): void {
    this.#agreed = negotiated.serverHostKey;
    if (certifiedType(this.#agreed)?.startsWith('rsa-sha2-')) negotiated.serverHostKey = RSA_CERTIFICATE;
  }
}

const RSA_CERTIFICATE = certificateName('ssh-rsa');

function withHostKeysFirst(offer: KexInit, first: readonly string[]): KexInit {
  const { kex, cs, sc } = offer.lists;
  const serverHostKey = [...first, ...offer.lists.serverHostKey.array];
  const names = (side: typeof cs) =>
    Object.fromEntries(Object.entries(side).map(([what, { array }]) => [what, array]));
  const Offer = offer.constructor as new (lists: object) => KexInit;
  return new Offer({ kex: kex.array, serverHostKey, cs: names(cs), sc: names(sc) });
}

/**
 * What ssh2 offers a host: what the target names, as far as ssh2 has it, and ssh2's own lists where it names
 * nothing. If nothing is left of a list, there is nothing to agree on, and the handshake fails with that.
 */
export function offeredAlgorithms({ algorithms, compression }: SshTarget, known: KnownHost): Algorithms {
  const { kex, ciphers, macs, hostKeys } = algorithms;
  const keys = hostKeyAlgorithms(known).filter((name) => hostKeys?.includes(name) ?? true);
  return {
    serverHostKey: exactly(keys),
    compress: compression ? ['zlib@openssh.com', 'none'] : ['none'],
    ...(kex && { kex: exactly(kex) }),
    ...(ciphers && { cipher: exactly(ciphers) }),
    ...(macs && { hmac: exactly(macs) }),
  };
}

/**
 * A list with a name that ssh2 does not have makes it throw, and it takes an empty one for its own; patterns pick
 * from its own list. Its types allow names only.
 */
function exactly<T>(names: readonly string[]): AlgorithmList<T> {
  return { remove: /./, append: names.map(patternFor) } as unknown as AlgorithmList<T>;
}

/** The pattern of each name. V8 compiles a pattern when it is first used, which would be for every machine. */
const PATTERNS = new Map<string, RegExp>();

function patternFor(name: string): RegExp {
  const known = PATTERNS.get(name);
  if (known !== undefined) return known;
  const pattern = new RegExp(`^${name.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)}$`);
  PATTERNS.set(name, pattern);
  return pattern;
}
