import type { AlgorithmList, Algorithms, Client } from 'ssh2';
import { hostKeyAlgorithms, type KnownHost } from '../host-keys/known-host.ts';
import { certificateName, certifiedType, parseCertificate } from '../keys/certificate.ts';
import type { SshTarget } from '../target.ts';
import { type KexInit, type KeyExchange, type Protocol, privateParts } from './parts.ts';

/**
 * Host certificates for ssh2, which supports plain keys only. Their algorithms are offered before those of plain keys.
 * ssh2 passes a certificate to the verifier like any other host key; after {@link HostCertificates.admit} it uses the
 * key in the certificate to check the signature of the key exchange. The verifier checks the authority.
 */
export class HostCertificates {
  readonly #protocol: Protocol;
  /** The host key algorithm of the key exchange in progress, as the host named it. */
  #agreed = '';

  /** Call it right after ssh2's `connect`; `algorithms` are those for certificates, best first. */
  constructor(client: Client, algorithms: readonly string[]) {
    const protocol = privateParts(client);
    this.#protocol = protocol;
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

  /** Replaces an accepted certificate by its key; does nothing for a plain key. Call it before the verifier answers. */
  admit(presented: Buffer): void {
    const exchange = this.#protocol._kex;
    const certificate = parseCertificate(presented);
    if (exchange === undefined || certificate === undefined) return;
    exchange.negotiated.serverHostKey = certifiedType(this.#agreed) ?? this.#agreed;
    // The first read is for the hash that the host signs, which includes the whole certificate.
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
 * The algorithms that ssh2 offers to a host: those of the target that ssh2 supports, and ssh2's own lists where the
 * target names none. The handshake fails if a list is empty.
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
 * ssh2 throws for a name that it does not support, and uses its own list for an empty one; patterns select from its
 * own list. Its types allow names only.
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
