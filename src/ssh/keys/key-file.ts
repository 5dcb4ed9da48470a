import { createPrivateKey, type KeyObject } from 'node:crypto';
import { readTrustedText, UnusableFile } from '../../base/trusted-file.ts';
import type { Ask } from '../transport.ts';
import { openOpenSshKey, type PrivateKey, readOpenSshKey, toPrivateKey } from './private-key.ts';
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

/** The sources of passphrases: a file with one on its first line, and the user at the terminal. */
export type PassphraseSources = {
  readonly passphraseFile: string | undefined;
  readonly ask: Ask | undefined;
};

export type Unlocked =
  | { readonly kind: 'open'; readonly key: PrivateKey }
  | { readonly kind: 'closed'; readonly why: string };

/** The number of attempts at the terminal, as in ssh(1). */
const TURNS = 3;

/** Decrypts keys: each once for all machines, with one question to the user for each. */
export class Passphrases {
  readonly #sources: PassphraseSources;
  readonly #keys = new Map<string, Promise<Unlocked>>();
  #fromFile: Promise<string | Error> | undefined;

  constructor(sources: PassphraseSources) {
    this.#sources = sources;
  }

  /** True when there is a source of passphrases; with `quiet` the user is not one. */
  canOpen(quiet: boolean): boolean {
    return this.#sources.passphraseFile !== undefined || (!quiet && this.#sources.ask !== undefined);
  }

  open(path: string, key: LockedKey, quiet: boolean): Promise<Unlocked> {
    const name = JSON.stringify([path, quiet]);
    const opened = this.#keys.get(name) ?? this.#open(path, key, quiet);
    this.#keys.set(name, opened);
    return opened;
  }

  /** Keys that could not be decrypted are tried again from now on. */
  forget(): void {
    this.#fromFile = undefined;
    for (const [name, opened] of this.#keys)
      void opened.then(({ kind }) => kind === 'closed' && this.#keys.delete(name));
  }

  async #open(path: string, key: LockedKey, quiet: boolean): Promise<Unlocked> {
    const { passphraseFile, ask } = this.#sources;
    let why = 'it is encrypted';
    if (passphraseFile !== undefined) {
      this.#fromFile ??= firstLine(passphraseFile);
      const passphrase = await this.#fromFile;
      if (passphrase instanceof Error) why = `the passphrase file "${passphraseFile}": ${passphrase.message}`;
      else {
        const opened = await tryPassphrase(key, passphrase);
        if (opened !== undefined) return opened;
        why = `the passphrase in "${passphraseFile}" does not open it`;
      }
    }
    if (ask === undefined || quiet) return { kind: 'closed', why };
    for (let turn = 0; turn < TURNS; turn++) {
      const passphrase = await ask({ text: `Passphrase for the key "${path}": `, isSecret: true });
      if (passphrase === undefined || passphrase === '') return { kind: 'closed', why };
      const opened = await tryPassphrase(key, passphrase);
      if (opened !== undefined) return opened;
    }
    return { kind: 'closed', why: 'the passphrase does not open it' };
  }
}

async function tryPassphrase(key: LockedKey, passphrase: string): Promise<Unlocked | undefined> {
  const opened = await key.unlock(passphrase);
  if (opened === undefined) return undefined;
  return typeof opened === 'string' ? { kind: 'closed', why: opened } : { kind: 'open', key: opened };
}

async function firstLine(path: string): Promise<string | Error> {
  try {
    return readTrustedText(path).split(/\r?\n/, 1)[0] ?? '';
  } catch (error) {
    if (error instanceof UnusableFile) return new Error(error.why);
    const { code } = error as NodeJS.ErrnoException;
    return new Error(code === 'ENOENT' ? 'there is no such file' : `${code}`);
  }
}
