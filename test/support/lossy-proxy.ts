import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** An HTTP server on 127.0.0.1 that passes requests on to another one, and loses what it is told to. */
export class LossyProxy {
  readonly #server: Server;
  #loss:
    | { readonly pattern: RegExp; readonly what: Lost; readonly meanwhile: () => Promise<void> }
    | undefined;

  private constructor(target: number) {
    this.#server = createServer(async (incoming, outgoing) => {
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

  /** Loses the next request whose body matches, or its answer, once `meanwhile` is done. */
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
