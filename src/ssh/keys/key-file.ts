import { createPrivateKey, type KeyObject } from 'node:crypto';
import { readTrustedText, UnusableFile } from '../../base/trusted-file.ts';
import { openOpenSshKey, readOpenSshKey } from './openssh-key.ts';
import { type PrivateKey, toPrivateKey } from './private-key.ts';
import { parsePublicLine } from './public-key.ts';

/** The content of a key file. */
export type KeyFile =
  | { readonly kind: 'private'; readonly key: PrivateKey }
  | LockedKey
  /** Only an agent can sign with the public half of a key. */
  | { readonly kind: 'public'; readonly publicKey: Buffer }
  | { readonly kind: 'missing' }
  | { readonly kind: 'unusable'; readonly why: string };

/** An encrypted key; in some formats the public half is encrypted, too. */
export type LockedKey = {
  readonly kind: 'locked';
  readonly publicKey: Buffer | undefined;
  /** Undefined when the passphrase is wrong; a text with the reason when the decrypted key cannot be used. */
  readonly unlock: (passphrase: string) => Promise<PrivateKey | string | undefined>;
};

/** Reads a private key file: OpenSSH's own format, PKCS#8 and the older PEM formats, encrypted or not. */
export async function readKeyFile(path: string): Promise<KeyFile> {
  try {
    return await readKey(path, readTrustedText(path));
  } catch (error) {
    if (error instanceof UnusableFile) return { kind: 'unusable', why: withHint(error) };
    if (error instanceof RangeError) return { kind: 'unusable', why: error.message };
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return { kind: 'missing' };
    return { kind: 'unusable', why: READ_ERRORS[code ?? ''] ?? `${code}` };
  }
}

const READ_ERRORS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
};

async function readKey(path: string, text: string): Promise<KeyFile> {
  const own = readOpenSshKey(text);
  if (own !== undefined && own.cipher !== 'none') {
    const unlock = (passphrase: string) => usable(() => openOpenSshKey(own, passphrase));
    return { kind: 'locked', publicKey: own.publicKey, unlock };
  }
  // PEM marks encryption in its header or in its label.
  if (/^Proc-Type: 4,ENCRYPTED|^-----BEGIN ENCRYPTED PRIVATE KEY-----/m.test(text)) {
    const unlock = (passphrase: string) => usable(async () => openPem(text, passphrase));
    // ssh-keygen writes the public half beside every key.
    return { kind: 'locked', publicKey: readPublicLine(`${path}.pub`), unlock };
  }
  const publicKey = parsePublicLine(text);
  if (publicKey !== undefined) return { kind: 'public', publicKey };
  if (text.startsWith('PuTTY-User-Key-File-')) return { kind: 'unusable', why: PUTTY };
  const key = await usable(() => (own === undefined ? readPem(text) : openOpenSshKey(own, '')));
  return typeof key === 'object' ? { kind: 'private', key } : { kind: 'unusable', why: key ?? UNKNOWN };
}

const UNKNOWN = 'it is no private key in a format that OpenSSH writes';
const PUTTY = 'it is in the format of PuTTY; "puttygen FILE -O private-openssh -o NEW" makes a new one';

/** The public key, or the certificate, in a file; undefined where there is none that can be used. */
export function readPublicLine(path: string): Buffer | undefined {
  try {
    return parsePublicLine(readTrustedText(path));
  } catch {
    return undefined;
  }
}

function withHint({ why, hint }: UnusableFile): string {
  return hint === undefined ? why : `${why}. ${hint}`;
}

async function usable(
  read: () => KeyObject | undefined | Promise<KeyObject | undefined>,
): Promise<PrivateKey | string | undefined> {
  try {
    const key = await read();
    return key && (toPrivateKey(key) ?? `keys of type ${key.asymmetricKeyType} are not known to SSH`);
  } catch (error) {
    return error instanceof RangeError ? error.message : 'the key is damaged';
  }
}

function readPem(text: string): KeyObject | undefined {
  return /^-----BEGIN ([A-Z]+ )?PRIVATE KEY-----/m.test(text) ? createPrivateKey(text) : undefined;
}

/** OpenSSL cannot always distinguish a wrong passphrase from a damaged key. */
function openPem(text: string, passphrase: string): KeyObject | undefined {
  try {
    return createPrivateKey({ key: text, passphrase });
  } catch {
    return undefined;
  }
}
