import { randomBytes } from 'node:crypto';
import { open, realpath, rename, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { configError, inQuotes, isFleetError } from '../base/errors.ts';
import { makeFolders } from '../base/folders.ts';
import { readTrusted } from '../base/trusted-file.ts';
import { syncFolder } from '../store/folder.ts';
import type { Config, ConfigRequest } from './config.ts';
import { type ConfigEdit, editConfig } from './edit.ts';
import { type ConfigFile, findConfig, newConfigPath } from './load.ts';
import { parseSections } from './parse.ts';
import { readConfig } from './read.ts';

/** A valid edit: the resulting configuration, and the function that writes it. */
export type PreparedEdit = {
  /** The file, absolute; `isNew` when there is none yet. */
  readonly path: string;
  readonly isNew: boolean;
  readonly config: Config;
  /** Replaces the file. Rejects with FleetError `config` if another process has changed it, or if it cannot be written. */
  write(): Promise<void>;
};

/**
 * Reads the configuration and applies the edit without writing it. Throws FleetError `config`, with the message of the
 * parser, if the result is invalid. Without any file, `add` creates the first candidate.
 */
export async function prepareEdit(request: ConfigRequest, edit: ConfigEdit): Promise<PreparedEdit> {
  const fresh = edit.kind === 'add' ? newConfigPath(request) : undefined;
  const file: ConfigFile = fresh === undefined ? findConfig(request) : { path: fresh, text: '' };
  const text = editConfig(file.path, file.text, edit);
  const config = readEdited(file.path, text, request);
  const isNew = fresh !== undefined;
  return {
    path: file.path,
    isNew,
    config,
    write: () => (isNew ? createConfig(file.path, text) : replace(file, text)),
  };
}

/** Reads the text after the edit. An error says that it is about the edit, because the file itself does not have the fault. */
function readEdited(path: string, text: string, request: ConfigRequest): Config {
  try {
    return readConfig(path, parseSections(path, text), request);
  } catch (error) {
    if (!isFleetError(error, 'config')) throw error;
    throw configError(`cannot make this change: ${error.message}`, error.hint);
  }
}

/** Some editors begin a file with this mark, which is not part of the text. */
const BYTE_ORDER_MARK = '\uFEFF';

/** Replaces the file atomically, and keeps its owner and mode; a symbolic link stays a link. */
async function replace({ path, text: old }: ConfigFile, text: string): Promise<void> {
  await withWriteError(path, async () => {
    const place = await realpath(path);
    const found = await stat(place);
    if (!found.isFile()) throw configError(`cannot edit ${inQuotes(path)}: it is not a file`);
    const { mode, uid, gid } = found;
    const now = new TextDecoder('utf-8', { ignoreBOM: true }).decode(readTrusted(place));
    const mark = now.startsWith(BYTE_ORDER_MARK) ? BYTE_ORDER_MARK : '';
    if (now.slice(mark.length) !== old)
      throw configError(
        `${inQuotes(path)} was changed by another process meanwhile`,
        'Run the command again',
      );
    const temporary = join(dirname(place), `.fleet.conf.${randomBytes(6).toString('hex')}`);
    try {
      await writeDurably(temporary, `${mark}${text}`, { mode: mode & 0o7777, uid, gid });
      await rename(temporary, place);
    } catch (error) {
      await unlink(temporary).catch(() => undefined);
      throw error;
    }
    await syncFolder(dirname(place));
  });
}

/** Writes a new file, and its folders. Rejects with FleetError `config` if it exists or cannot be written. */
export async function createConfig(path: string, text: string): Promise<void> {
  await withWriteError(path, async () => {
    makeFolders(dirname(path), 0o700);
    await writeDurably(path, text);
    await syncFolder(dirname(path));
  });
}

type Owner = { readonly mode: number; readonly uid: number; readonly gid: number };

async function writeDurably(path: string, text: string, owner?: Owner): Promise<void> {
  const handle = await open(path, 'wx', owner === undefined ? 0o644 : 0o600);
  try {
    await handle.writeFile(text);
    if (owner !== undefined) {
      const made = await handle.stat();
      if (made.uid !== owner.uid || made.gid !== owner.gid) await handle.chown(owner.uid, owner.gid);
      await handle.chmod(owner.mode);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function withWriteError(path: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === undefined || code === 'config') throw error;
    throw configError(`cannot write the configuration ${inQuotes(path)}: ${message}`, undefined, error);
  }
}
