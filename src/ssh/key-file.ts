import { createPrivateKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { ParsedKey } from 'ssh2';

/** What a key file turned out to hold. */
export type KeyFile =
  | { readonly kind: 'private'; readonly key: ParsedKey }
  /** Only its owner, or an agent, can sign with it: an encrypted key, or the public half of one. */
  | { readonly kind: 'locked'; readonly why: 'encrypted' | 'public'; readonly publicKey: Buffer | undefined }
  | { readonly kind: 'missing' }
  | { readonly kind: 'unusable'; readonly why: string };

/** How ssh2 reads a key; handed in, so that ssh2 is loaded with the first connection only. */
export type ParseKey = (text: string) => ParsedKey | Error;

/**
 * Reads a private key file: OpenSSH's own format, the older PEM formats, PuTTY's, and PKCS#8, which ssh2 does
 * not read by itself. Encrypted keys are not decrypted: that is what an agent is for.
 */
export async function readKeyFile(path: string, parseKey: ParseKey): Promise<KeyFile> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT'
      ? { kind: 'missing' }
      : { kind: 'unusable', why: READ_ERRORS[code ?? ''] ?? `${code}` };
  }
  if (isEncrypted(text))
    return { kind: 'locked', why: 'encrypted', publicKey: openSshHeader(text)?.publicKey };
  const key = parseKey(fromPkcs8(text));
  if (key instanceof Error) return { kind: 'unusable', why: explain(text, key) };
  if (key.isPrivateKey()) return { kind: 'private', key };
  return { kind: 'locked', why: 'public', publicKey: key.getPublicSSH() };
}

const READ_ERRORS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'it is a folder',
};

/** PEM marks encryption in its header or its label, OpenSSH's format in its first field, PuTTY's in a line. */
function isEncrypted(text: string): boolean {
  if (/^Proc-Type: 4,ENCRYPTED|^-----BEGIN ENCRYPTED PRIVATE KEY-----/m.test(text)) return true;
  if (/^PuTTY-User-Key-File-/.test(text)) return !/^Encryption: none\r?$/m.test(text);
  const cipher = openSshHeader(text)?.cipher;
  return cipher !== undefined && cipher !== 'none';
}

/**
 * The readable start of OpenSSH's format (PROTOCOL.key): a magic string, cipher, kdf, kdf options, the number of
 * keys and the public key, which stays in clear text when the private key is encrypted.
 */
function openSshHeader(text: string): { readonly cipher: string; readonly publicKey: Buffer } | undefined {
  const body = /-----BEGIN OPENSSH PRIVATE KEY-----([\sA-Za-z0-9+/=]+)-----END/.exec(text)?.[1];
  const data = Buffer.from(body ?? '', 'base64');
  const magic = 'openssh-key-v1\0';
  if (data.toString('latin1', 0, magic.length) !== magic) return undefined;
  let at = magic.length;
  const next = (): Buffer => {
    const start = at + 4;
    at = start + (start > data.length ? 0 : data.readUInt32BE(at));
    return data.subarray(start, at);
  };
  const cipher = next().toString('latin1');
  next();
  next();
  at += 4;
  return { cipher, publicKey: next() };
}

/** PKCS#8 → the older PEM format of the same key, which ssh2 reads; any other text as it is. */
function fromPkcs8(text: string): string {
  if (!PKCS8.test(text)) return text;
  try {
    const key = createPrivateKey(text);
    if (key.asymmetricKeyType === 'rsa') return String(key.export({ type: 'pkcs1', format: 'pem' }));
    if (key.asymmetricKeyType === 'ec') return String(key.export({ type: 'sec1', format: 'pem' }));
  } catch {
    // A damaged key is told by the parser that comes next.
  }
  return text;
}

const PKCS8 = /^-----BEGIN PRIVATE KEY-----/m;

function explain(text: string, error: Error): string {
  return PKCS8.test(text)
    ? 'this kind of key is not supported in PKCS#8 format; ssh-keygen -p -f FILE rewrites it (OpenSSH 9.6 or newer)'
    : error.message;
}
