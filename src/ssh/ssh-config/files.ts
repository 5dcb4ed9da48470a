import { closeSync, fstatSync, openSync, readFileSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { globPaths } from './glob.ts';
import { type Directive, parseSshConfig } from './parse.ts';
import { problem, problemAt } from './problem.ts';

/** A file of a configuration. What a user's file includes, and only that, starts at `~/.ssh` and may say `~`. */
export type ConfigFile = { readonly isUser: boolean; readonly directives: readonly Directive[] };

/** What a file is read for: paths that may not be there, and files that nobody else may write. */
export type Reading = { readonly isUser: boolean; readonly isRequired: boolean; readonly isChecked: boolean };

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
      .flatMap((path) => this.read(path, { isUser, isRequired: true, isChecked: true }) ?? []);
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

function readText(path: string, { isRequired, isChecked }: Reading): string | undefined {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    const stats = fstatSync(file);
    if (isChecked && !isSafe(stats))
      throw problem(
        `the file ${JSON.stringify(path)} has a bad owner or bad permissions`,
        'It must belong to you or root, and nobody else may write it: chmod 600',
      );
    // fopen() takes a folder for an empty file.
    return stats.isDirectory() ? '' : readFileSync(file, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (typeof code !== 'string' || !/^E[A-Z]/.test(code)) throw error;
    if (!isRequired) return undefined;
    throw problem(`cannot read ${JSON.stringify(path)}: ${message}`);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** Nobody but its owner and root may write it; a group may when it is the owner's own, as Debian has it. */
function isSafe({ uid, gid, mode }: Stats): boolean {
  const me = process.getuid?.() ?? uid;
  if ((uid !== 0 && uid !== me) || (mode & 0o002) !== 0) return false;
  return (mode & 0o020) === 0 || isOwnGroup(uid, gid);
}

/** True when /etc/group and /etc/passwd name nobody else in a group. */
function isOwnGroup(uid: number, gid: number): boolean {
  const rows = (path: string): string[][] =>
    readFileSync(path, 'utf8')
      .split('\n')
      .map((row) => row.split(':'));
  try {
    const users = rows('/etc/passwd');
    const owner = users.find(([, , id]) => id === String(uid))?.[0];
    const members = rows('/etc/group').find(([, , id]) => id === String(gid))?.[3] ?? '';
    const primary = users.filter(([, , , group]) => group === String(gid)).map(([name]) => name);
    const all = [...members.split(',').filter((name) => name !== ''), ...primary];
    return all.length > 0 && all.every((name) => name === owner);
  } catch {
    return false;
  }
}
