import { createServer as createHttpServer, request, type Server } from 'node:http';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';

/** After so many bytes in one direction, the connection is cut (`kill`) or stops (`freeze`). */
export type Budget = {
  readonly direction: 'up' | 'down';
  readonly bytes: number;
  readonly end: 'kill' | 'freeze';
};

export type BudgetProxy = {
  readonly port: number;
  /** Offsets at which the forwarded chunks ended, in each direction. */
  readonly boundaries: Readonly<Record<Budget['direction'], readonly number[]>>;
  close(): void;
};

/** A TCP proxy to a local port. Without a budget, it forwards everything. */
export async function startBudgetProxy(port: number, budget?: Budget): Promise<BudgetProxy> {
  const boundaries = { up: [] as number[], down: [] as number[] };
  const sockets: Socket[] = [];
  const server = createServer((near) => {
    const far = connect({ port, host: '127.0.0.1', noDelay: true });
    near.setNoDelay(true);
    sockets.push(near, far);
    const forward = (from: Socket, to: Socket, direction: Budget['direction']): void => {
      let passed = 0;
      from.on('error', () => undefined).on('close', () => to.destroy());
      from.on('data', (chunk: Buffer) => {
        if (near.isPaused()) return;
        const left = budget?.direction === direction ? budget.bytes - passed : chunk.length;
        to.write(chunk.subarray(0, left));
        passed += chunk.length;
        boundaries[direction].push(passed);
        if (left > chunk.length || budget?.direction !== direction) return;
        if (budget.end === 'freeze') for (const socket of [near, far]) socket.pause();
        else near.destroySoon();
      });
    };
    forward(near, far, 'up');
    forward(far, near, 'down');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    boundaries,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** An HTTP proxy on 127.0.0.1 that can lose requests or answers. */
export class LossyProxy {
  readonly #server: Server;
  #loss:
    | { readonly pattern: RegExp; readonly what: Lost; readonly meanwhile: () => Promise<void> }
    | undefined;

  private constructor(target: number) {
    this.#server = createHttpServer(async (incoming, outgoing) => {
      const body = await text(incoming);
      const loss = this.#loss?.pattern.test(body) ? this.#loss : undefined;
      if (loss !== undefined) this.#loss = undefined;
      const answer = loss?.what === 'the request' ? undefined : await post(target, incoming.url ?? '', body);
      await loss?.meanwhile();
      if (loss === undefined && answer !== undefined) outgoing.writeHead(answer.status).end(answer.body);
      else outgoing.destroy();
    });
  }

  static async to(target: number): Promise<LossyProxy> {
    const proxy = new LossyProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Loses the next request whose body matches, or its answer, after `meanwhile`. */
  lose(pattern: RegExp, what: Lost, meanwhile: () => Promise<void> = async () => {}): void {
    this.#loss = { pattern, what, meanwhile };
  }

  async close(): Promise<void> {
    this.#server.close();
  }
}

type Lost = 'the request' | 'the answer';

function post(port: number, path: string, body: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port, path, method: 'POST', agent: false });
    outgoing.on('error', reject);
    outgoing.on('response', async (answer) => {
      resolve({ status: answer.statusCode ?? 0, body: await text(answer) });
    });
    outgoing.end(body);
  });
}
