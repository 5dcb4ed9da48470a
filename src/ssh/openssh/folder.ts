import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What sun_path of unix(7) holds everywhere, without its final NUL; ssh first listens at a name 17 bytes longer. */
const LONGEST_SOCKET = 103 - 17;

/** A private folder (mode 0700) for sockets and logs of ssh, with a path that is short enough for a socket. */
export class PrivateFolder {
  #path: Promise<string> | undefined;
  #files = 0;

  /** A path in the folder that nobody has; the folder is made with the first. */
  async newFile(suffix: string): Promise<string> {
    this.#path ??= makeFolder();
    this.#files++;
    const name = `${this.#files}${suffix}`;
    return join(await this.#path, name);
  }

  /** Removes it with everything in it. */
  async remove(): Promise<void> {
    if (this.#path !== undefined) await rm(await this.#path, { recursive: true, force: true });
  }
}

async function makeFolder(): Promise<string> {
  const start = join(tmpdir(), 'fleet-ssh-');
  const isShort = Buffer.byteLength(`${start}XXXXXX/9999.sock`) <= LONGEST_SOCKET;
  return mkdtemp(isShort ? start : '/tmp/fleet-ssh-');
}
