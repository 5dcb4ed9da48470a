import { join } from 'node:path';
import { readTrustedText } from '../base/trusted-file.ts';
import { globPaths } from './glob.ts';
import { type Directive, parseSshConfig } from './parse.ts';
import { problem, problemAt } from './problem.ts';

/** A file of a configuration. What a user's file includes, and only that, starts at `~/.ssh` and may say `~`. */
export type ConfigFile = { readonly isUser: boolean; readonly directives: readonly Directive[] };

/** What a file is read for; it may not be there unless it `isRequired`. */
export type Reading = { readonly isUser: boolean; readonly isRequired: boolean };

type Include = Directive & { kind: 'include' };

/** Reads files of ssh_config, each of them once. */
export class ConfigFiles {
  readonly #home: string;
  readonly #files = new Map<string, ConfigFile | undefined>();
  readonly #included = new Map<Include, readonly ConfigFile[]>();

  constructor(home: string) {
    this.#home = home;
  }

  /** A file that is there, and can be read or has to be. Throws `config` for one that is wrong or not safe. */
  read(path: string, reading: Reading): ConfigFile | undefined {
    const key = `${reading.isUser} ${path}`;
    if (!this.#files.has(key)) {
      const text = readText(path, reading);
      const directives = text === undefined ? undefined : parseSshConfig(path, text);
      this.#files.set(key, directives && { isUser: reading.isUser, directives });
    }
    return this.#files.get(key);
  }

  /** The files that an Include line of `from` leads to; a pattern without a match is none. */
  included(include: Include, from: ConfigFile): readonly ConfigFile[] {
    const known = this.#included.get(include);
    if (known !== undefined) return known;
    const { isUser } = from;
    const files = include.paths
      .flatMap((path) => globPaths(this.#anchor(path, include, isUser)))
      .flatMap((path) => this.read(path, { isUser, isRequired: true }) ?? []);
    this.#included.set(include, files);
    return files;
  }

  #anchor(path: string, { place }: Include, isUser: boolean): string {
    if (path.startsWith('/')) return path;
    if (!path.startsWith('~')) return join(isUser ? join(this.#home, '.ssh') : '/etc/ssh', path);
    if (!isUser || !/^~(?:\/|$)/.test(path)) throw problemAt(place, `cannot include "${path}"`);
    return join(this.#home, path.slice(1));
  }
}

function readText(path: string, { isRequired }: Reading): string | undefined {
  try {
    return readTrustedText(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (typeof code !== 'string' || !/^E[A-Z]/.test(code)) throw error;
    if (!isRequired) return undefined;
    throw problem(`cannot read ${JSON.stringify(path)}: ${message}`);
  }
}
