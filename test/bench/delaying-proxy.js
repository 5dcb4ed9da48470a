import { connect, createServer } from 'node:net';

/** A port of this box that leads to a machine over a network with a delay. */
export class DelayingProxy {
  /** The delay of each direction, in ms. */
  delayMs = 0;
  #server;
  #sockets = new Set();

  /** @param {{ name: string, host: string, port: string }} machine */
  static async start(machine) {
    const proxy = new DelayingProxy(machine);
    await new Promise((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    proxy.port = `${proxy.#server.address().port}`;
    return proxy;
  }

  constructor(machine) {
    this.#server = createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
      // TCP takes a round trip before the first byte of the client, and half of one more until the machine accepts.
      const opensAt = performance.now() + 3 * this.delayMs;
      const server = connect({
        host: machine.host,
        port: Number(machine.port),
        noDelay: true,
        allowHalfOpen: true,
      });
      this.#pass(client, server, opensAt);
      this.#pass(server, client, opensAt);
    });
  }

  stop() {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #pass(from, to, opensAt) {
    this.#sockets.add(from);
    // Timers of one duration keep their order.
    const later = (work) => {
      const ms = Math.max(this.delayMs, opensAt - performance.now());
      if (ms <= 0) work();
      else setTimeout(work, ms);
    };
    from.on('data', (chunk) => later(() => to.writable && to.write(chunk)));
    from.on('end', () => later(() => to.end()));
    from.on('error', () => to.destroy());
    from.on('close', () => this.#sockets.delete(from));
  }
}
