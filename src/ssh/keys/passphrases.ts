import { readTrustedText, UnusableFile } from '../../base/trusted-file.ts';
import type { Ask } from '../transport.ts';
import type { LockedKey } from './key-file.ts';
import type { PrivateKey } from './private-key.ts';

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
