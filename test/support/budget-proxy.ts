import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** How far a connection gets: so many bytes in one direction, and then it is cut or says nothing more. */
export type Budget = {
  readonly direction: 'up' | 'down';
  readonly bytes: number;
  readonly end: 'kill' | 'freeze';
};

export type BudgetProxy = {
  readonly port: number;
  /** Where the pieces ended that came by, in bytes from the beginning, in each direction. */
  readonly boundaries: Readonly<Record<Budget['direction'], readonly number[]>>;
  close(): void;
};

/** A way to a port of this machine that breaks after so many bytes; one without a budget does not. */
export async function startBudgetProxy(port: number, budget?: Budget): Promise<BudgetProxy> {
  const boundaries = { up: [] as number[], down: [] as number[] };
  const sockets: Socket[] = [];
  const server = createServer((near) => {
    const far = connect({ port, host: '127.0.0.1', noDelay: true });
    near.setNoDelay(true);
    sockets.push(near, far);
    const passOn = (from: Socket, to: Socket, direction: Budget['direction']): void => {
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
    passOn(near, far, 'up');
    passOn(far, near, 'down');
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
