import { type AgentKey, signWithAgent } from './agent.ts';
import { certificateName, certifiedType, parseCertificate, plainKey } from './certificate.ts';
import { type PrivateKey, signWith } from './private-key.ts';
import { fingerprint, keyType, RSA_HASHES } from './public-key.ts';

/** One key, or one certificate for a key, to log in with. */
export type Credential = {
  /** Its description for messages: origin, type and fingerprint. */
  readonly label: string;
  /** The key, or the certificate, in wire form. */
  readonly blob: Buffer;
  /**
   * True if a signature needs the user (a touch or a passphrase), or if there are many keys to try: then the machine is
   * asked first whether it would accept the key, which costs a round trip.
   */
  readonly asksFirst: boolean;
  /** In SSH's form. Rejects with an Error that says why there is no signature. */
  readonly sign: (data: Buffer, algorithm: string) => Promise<Buffer>;
};

/** A key that can sign. */
export type Signer = Omit<Credential, 'label' | 'blob'> & {
  readonly publicKey: Buffer;
  /** A path, or an agent's name for it. */
  readonly origin: string;
};

export function fileSigner(path: string, key: PrivateKey): Signer {
  return {
    origin: path,
    publicKey: key.publicKey,
    asksFirst: false,
    sign: async (data, algorithm) => signWith(key, data, algorithm),
  };
}

export function agentSigner(socket: string, { publicKey, comment }: AgentKey, asksFirst: boolean): Signer {
  const isSecurityKey = keyType(publicKey).startsWith('sk-');
  return {
    origin: `agent key "${comment}"`,
    publicKey,
    asksFirst: asksFirst || isSecurityKey,
    sign: (data, algorithm) => signWithAgent(socket, publicKey, data, algorithm),
  };
}

/** Certificates for a key come before the key itself. */
export function toCredentials(signer: Signer, certificates: readonly Named[]): Credential[] {
  const { sign, asksFirst, origin, publicKey } = signer;
  const own = plainKey(publicKey);
  const offer = (label: string, blob: Buffer): Credential => ({ label, blob, asksFirst, sign });
  const shown = `${keyType(own)} ${fingerprint(own)}`;
  const fitting = certificates.filter(({ blob }) => parseCertificate(blob)?.publicKey.equals(own));
  const isCertificate = certifiedType(keyType(publicKey)) !== undefined;
  return [
    ...fitting.map(({ path, blob }) => offer(`certificate ${path} (${shown})`, blob)),
    offer(`${origin} (${isCertificate ? 'certificate for ' : ''}${shown})`, publicKey),
  ];
}

/** A certificate from a file. */
export type Named = { readonly path: string; readonly blob: Buffer };

/** The algorithms of a login request: the name for the key, and the name for the signature. */
export type Algorithm = { readonly offered: string; readonly signature: string };

/**
 * The algorithms for a key, best first. RSA keys sign with SHA-2 only, with the algorithms in `server-sig-algs` if
 * the machine sends that list (RFC 8308).
 */
export function algorithmsFor(blob: Buffer, accepted: readonly string[] | undefined): Algorithm[] {
  const type = keyType(blob);
  const plain = certifiedType(type) ?? type;
  const signatures = plain === 'ssh-rsa' ? [...RSA_HASHES.keys()] : [plain];
  const known = signatures.filter((name) => accepted?.includes(name) ?? true);
  return (plain === 'ssh-rsa' ? known : signatures).map((signature) => ({
    offered: plain === type ? signature : certificateName(signature),
    signature,
  }));
}
