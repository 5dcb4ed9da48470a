import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { Script } from 'node:vm';

/** A part of the program: its source, its V8 script, and the file of the compiled form. */
type Part = { readonly source: string; readonly script: Script; readonly cache: string };

/** Around the source of a part; see `require` in Node's documentation of modules. */
const HEAD = '(function (exports, require, module, __filename, __dirname) {';
const TAIL = '\n})';

/** Parts below this size, in bytes, compile faster than a compiled form is read and checked. */
const SMALLEST = 64 * 1024;
/** How many commands add the functions they use to the compiled form; after that it holds what most commands use. */
const MOST_COMMANDS = 12;
/** The flags of `bin/fleetctl`, which differ between commands: V8 refuses a compiled form that was made under others. */
const FLAGS = process.execArgv.filter((word) => word.startsWith('--max-')).join('');
/** Older files are removed, in ms: they may be of another release of fleet or Node. */
const MOST_AGE = 30 * 24 * 3600 * 1000;

/**
 * Loads `entry` of the built program (CommonJS, as the bundler writes it) and returns its exports.
 *
 * V8 compiles a megabyte of JavaScript at each start, which is most of the time of a short command. Its compiled form
 * is therefore kept in `$XDG_CACHE_HOME/fleet/code`. It is used only if the folder and the file belong to this user and
 * no other user can write to them, if the file is intact, if it was made from the same source, and if V8 accepts it (version
 * and flags). Otherwise the source is compiled, and the compiled form is replaced when the process exits; an error there is
 * ignored, because only time is lost.
 * `NODE_DISABLE_COMPILE_CACHE=1` turns it off, as for Node's own.
 */
export function load(entry: string): unknown {
  const folder = cacheFolder();
  const parts: Part[] = [];
  let isComplete = true;
  const loaded = new Map<string, { exports: unknown }>();

  const run = (file: string): unknown => {
    const known = loaded.get(file);
    if (known !== undefined) return known.exports;
    const module = { exports: {} };
    loaded.set(file, module);
    const script = compile(file);
    const requirePart = (name: string): unknown =>
      name.startsWith('.') ? run(resolve(dirname(file), name)) : require(name);
    script.runInThisContext()(module.exports, requirePart, module, file, dirname(file));
    return module.exports;
  };

  const compile = (file: string): Script => {
    const bytes = readFileSync(file);
    const source = `${HEAD}${bytes}${TAIL}`;
    if (folder === undefined || bytes.length < SMALLEST) return new Script(source, { filename: file });
    const cache = join(folder, `${basename(file)}-${process.version}${FLAGS}-${bytes.length}`);
    const cachedData = readCache(cache, bytes);
    const script = new Script(source, { filename: file, ...(cachedData && { cachedData }) });
    if (cachedData === undefined || script.cachedDataRejected) isComplete = false;
    parts.push({ source, script, cache });
    return script;
  };

  if (folder !== undefined)
    process.once('exit', (status) => {
      if (status === 0 || !isComplete) writeCaches(folder, parts, isComplete);
    });
  return run(entry);
}

/** Where compiled forms are kept; undefined where that is off or cannot be found out. */
function cacheFolder(): string | undefined {
  const { XDG_CACHE_HOME = '', NODE_DISABLE_COMPILE_CACHE } = process.env;
  if (NODE_DISABLE_COMPILE_CACHE) return undefined;
  try {
    // A relative path is invalid and to be ignored (XDG Base Directory Specification), and an empty one counts as unset.
    const home = isAbsolute(homedir()) ? homedir() : userInfo().homedir;
    const root = isAbsolute(XDG_CACHE_HOME) ? XDG_CACHE_HOME : join(home, '.cache');
    return join(root, 'fleet/code');
  } catch {
    return undefined;
  }
}

/**
 * The compiled form of a source. Its file has it twice, and then the source: two comparisons find damage and another source.
 * The modules of Node for checksums need longer to load than all the rest of a short command.
 */
function readCache(path: string, source: Buffer): Buffer | undefined {
  try {
    if (!isPrivateFolder(dirname(path))) return undefined;
    const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const stats = fstatSync(file);
      if (!stats.isFile() || !isPrivate(stats)) return undefined;
      const bytes = readFileSync(file);
      const middle = (bytes.length - source.length) / 2;
      const data = bytes.subarray(0, middle);
      const isIntact = data.equals(bytes.subarray(middle, 2 * middle));
      return isIntact && source.equals(bytes.subarray(2 * middle)) ? data : undefined;
    } finally {
      closeSync(file);
    }
  } catch {
    return undefined;
  }
}

function isPrivateFolder(path: string): boolean {
  const stats = lstatSync(path);
  return stats.isDirectory() && isPrivate(stats);
}

/** Owned by this user, and no other user can write to it. */
function isPrivate({ uid, mode }: Stats): boolean {
  return uid === process.geteuid?.() && (mode & 0o022) === 0;
}

/** Replaces the compiled forms, if one was missing or this command has not yet added the functions that it uses. */
function writeCaches(folder: string, parts: readonly Part[], isComplete: boolean): void {
  const [first] = parts;
  if (first === undefined) return;
  try {
    makeFolder(folder, 3);
    if (!isPrivateFolder(folder)) return;
    const list = `${first.cache}.commands`;
    const known = isComplete ? readFileSync(list, 'utf8').split('\n') : [];
    const [, , command = ''] = process.argv;
    if (isComplete && (known.includes(command) || known.length >= MOST_COMMANDS)) return;
    for (const { source, script, cache } of parts) {
      const data = script.createCachedData();
      // V8 has the source as well, so keeping it takes no memory.
      const bytes = Buffer.from(source.slice(HEAD.length, -TAIL.length));
      replaceFile(cache, Buffer.concat([data, data, bytes]));
    }
    replaceFile(list, [...known, command].join('\n'));
    removeOutdated(folder);
  } catch {
    // Only time is lost.
  }
}

/** Makes a folder and at most the `levels - 1` above it: a home folder is not made here. */
function makeFolder(path: string, levels: number): void {
  if (levels === 0 || lstatSync(path, { throwIfNoEntry: false }) !== undefined) return;
  makeFolder(dirname(path), levels - 1);
  mkdirSync(path, { mode: 0o700 });
}

function replaceFile(path: string, content: Buffer | string): void {
  const draft = `${path}.${process.pid}`;
  try {
    writeFileSync(draft, content, { mode: 0o600, flag: 'wx' });
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}

function removeOutdated(folder: string): void {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (Date.now() - statSync(path).mtimeMs > MOST_AGE) rmSync(path);
  }
}
