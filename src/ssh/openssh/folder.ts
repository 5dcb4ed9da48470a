import { readlinkSync } from 'node:fs';
import { lstat, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { causeText, FleetError } from '../../base/errors.ts';

/** The length of sun_path in unix(7) on every system, without its final NUL; ssh first listens at a name 17 bytes longer. */
const LONGEST_SOCKET = 103 - 17;

/** A private folder (mode 0700) for sockets and logs of ssh, with a path that is short enough for a socket. */
export class PrivateFolder {
  #path: Promise<string> | undefined;
  #files = 0;

  /** An unused path in the folder; the folder is made with the first. Rejects with FleetError `local`. */
  async newFile(suffix: string): Promise<string> {
    this.#path ??= makeFolder();
    this.#files++;
    const name = `${this.#files}${suffix}`;
    return join(await this.#path, name);
  }

  /** Removes it with everything in it. */
  async remove(): Promise<void> {
    const path = await this.#path?.catch(() => undefined);
    if (path !== undefined) await rm(path, { recursive: true, force: true });
  }
}

async function makeFolder(): Promise<string> {
  // The owner is in the name, so that a later process finds the folders of killed ones.
  const own = `fleet-ssh-${pidNamespace()}-${process.pid}-`;
  const isShort = Buffer.byteLength(join(tmpdir(), `${own}XXXXXX/9999.sock`)) <= LONGEST_SOCKET;
  const folder = isShort ? tmpdir() : '/tmp';
  try {
    await removeLeft(folder);
    return await mkdtemp(join(folder, own));
  } catch (cause) {
    throw new FleetError('local', `Cannot make a folder for ssh in "${folder}": ${causeText(cause)}`, {
      hint: 'Set TMPDIR to a folder that exists, and in which you can write',
      cause,
    });
  }
}

/** Removes folders of this user whose process was killed; those of other pid namespaces are kept. */
async function removeLeft(folder: string): Promise<void> {
  const mine = new RegExp(`^fleet-ssh-${pidNamespace()}-(\\d+)-\\w{6}$`);
  for (const name of await readdir(folder)) {
    const pid = Number(mine.exec(name)?.[1]);
    if (!(pid > 0) || isRunning(pid)) continue;
    const path = join(folder, name);
    const found = await lstat(path).catch(() => undefined);
    if (found?.isDirectory() === true && found.uid === process.geteuid?.())
      await rm(path, { recursive: true, force: true }).catch(() => undefined);
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** The number of the pid namespace; 0 if there is none. */
function pidNamespace(): string {
  try {
    return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '0';
  } catch {
    return '0';
  }
}
