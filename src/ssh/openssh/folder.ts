import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { FleetError } from '../../base/errors.ts';
import { causeText } from '../../base/system-error.ts';

/** What sun_path of unix(7) holds everywhere, without its final NUL; ssh first listens at a name 17 bytes longer. */
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
  const start = join(tmpdir(), 'fleet-ssh-');
  const isShort = Buffer.byteLength(`${start}XXXXXX/9999.sock`) <= LONGEST_SOCKET;
  const prefix = isShort ? start : '/tmp/fleet-ssh-';
  try {
    return await mkdtemp(prefix);
  } catch (cause) {
    const folder = dirname(prefix);
    throw new FleetError('local', `Cannot make a folder for ssh in "${folder}": ${causeText(cause)}`, {
      hint: 'Set TMPDIR to a folder that exists, and in which you can write',
      cause,
    });
  }
}
