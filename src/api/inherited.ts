import type { Server } from 'node:http';
import { FleetError } from '../base/errors.ts';
import type { Handler } from './handler.ts';
import { listening } from './listen.ts';
import { createServer, type Tls } from './server.ts';

/** The first file descriptor that is handed over (sd_listen_fds(3)). */
const FIRST_FD = 3;

/**
 * Sockets that systemd opened and handed to this process. They cannot be opened again, so they stay open as long as
 * the process lives, whatever serves them; they do not keep it alive.
 */
export class InheritedSockets {
  readonly #fds: readonly number[];
  #servers: readonly Server[] | undefined;
  #handler: Handler = turnAway;

  /** Reads what sd_listen_fds(3) says of `LISTEN_PID` and `LISTEN_FDS`. */
  constructor(env: Readonly<Record<string, string | undefined>>, pid: number) {
    const count = env.LISTEN_PID === String(pid) ? Number(env.LISTEN_FDS ?? 0) : 0;
    this.#fds = Array.from(
      { length: Number.isInteger(count) ? Math.max(0, count) : 0 },
      (_, n) => FIRST_FD + n,
    );
  }

  get areThere(): boolean {
    return this.#fds.length > 0;
  }

  /** Has them served by `handler`. Throws FleetError `cannot-listen` for TCP that lacks TLS and is not `insecure`. */
  async serve(handler: Handler, tls: Tls | undefined, insecure: boolean): Promise<void> {
    this.#servers ??= await Promise.all(this.#fds.map((fd) => this.#open(fd, tls, insecure)));
    this.#handler = handler;
  }

  /** Leaves them open, and asks clients to retry. */
  rest(): void {
    this.#handler = turnAway;
    for (const server of this.#servers ?? []) server.closeAllConnections();
  }

  async #open(fd: number, tls: Tls | undefined, insecure: boolean): Promise<Server> {
    const handle: Handler = (request, response, isPlain) => this.#handler(request, response, isPlain);
    const plain = createServer(handle, undefined);
    await listening(plain, { fd });
    plain.unref();
    // A socket of the file system has no address that Node could tell.
    if (plain.address() === null || (tls === undefined && insecure)) return plain;
    if (tls === undefined)
      throw new FleetError('cannot-listen', `Cannot use socket ${fd} of systemd: it is TCP, without TLS`, {
        hint: 'Add listen_cert_file and listen_key_file, or say listen_insecure = true',
      });
    const secure = createServer(handle, tls);
    await listening(secure, plain as object);
    return secure.unref();
  }
}

const turnAway: Handler = (_, response) => {
  response.writeHead(503, { 'retry-after': '1' }).end();
};
