import { type AddressInfo, createServer, Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import type { SshTarget } from '../../src/ssh/target.ts';
import type { Transport } from '../../src/ssh/transport.ts';
import { hasSshd, startOpenSsh } from './openssh.ts';
import { createTransport, targetOf } from './support.ts';

if (!hasSshd) console.log('skipped: round trips, for there is no /usr/sbin/sshd');

/**
 * In ms: so much more than this box needs to think that time counts round trips. TCP, the names of both sides with
 * what they offer, the key exchange, the login, a session, the command, the script and its answer: seven. That is as
 * few as there can be: sshd takes nothing on a session's standard input before it has started the command.
 */
const ROUND_TRIP = 300;
const ONE_WAY = ROUND_TRIP / 2;

test.skipIf(!hasSshd)(
  'the first pass takes seven round trips, with the one of TCP, and every other one three',
  { timeout: 30_000 },
  async () => {
    const server = await startOpenSsh();
    const near = targetOf(server, server.identityFile, { user: server.user });
    // ssh2 is loaded before anything is measured.
    await roundTrips(createTransport(server.folder), near);
    const far = { ...near, port: await startLongWay(server.port) };
    const transport = createTransport(server.folder);
    onTestFinished(() => transport.close());
    expect(await roundTrips(transport, far)).toBe(7);
    expect(await roundTrips(transport, far)).toBe(3);
    expect(await roundTrips(transport, far)).toBe(3);
  },
);

/** What a pass does on a machine: a shell, a script on its standard input, and the answer. */
async function roundTrips(transport: Transport, target: SshTarget): Promise<number> {
  const start = performance.now();
  const process = await transport.exec(target, 'exec /bin/sh -s');
  const answer = new Promise<string>((resolve) => process.onStdout((chunk) => resolve(String(chunk))));
  process.write('echo answer\n');
  expect(await answer).toBe('answer\n');
  const time = performance.now() - start;
  process.end();
  await process.exit;
  return Math.floor(time / ROUND_TRIP);
}

/** A port that leads to another one, half a round trip away. */
async function startLongWay(port: number): Promise<number> {
  const server = createServer({ noDelay: true }, (here) => {
    // The handshake of TCP is over at once on loopback; on a long way the other side has heard three packets then.
    const there = new Socket();
    const met = performance.now() + ROUND_TRIP + ONE_WAY;
    // A little before the first bytes are to be written.
    setTimeout(() => there.connect({ host: '127.0.0.1', port, noDelay: true }), ROUND_TRIP + ONE_WAY - 20);
    for (const side of [here, there]) side.on('error', () => undefined);
    carry(here, there, met);
    carry(there, here, 0);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

/** Nothing arrives before `met`. */
function carry(from: Socket, to: Socket, met: number): void {
  const late = (deliver: () => void): void =>
    void setTimeout(deliver, Math.max(ONE_WAY, met - performance.now()));
  from.on('data', (chunk) => late(() => to.write(chunk)));
  from.on('end', () => late(() => to.end()));
}
