import { type AddressInfo, createServer, Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { openRootShell } from '../../src/ssh/root-shell.ts';
import type { SshTarget } from '../../src/ssh/target.ts';
import type { Transport } from '../../src/ssh/transport.ts';
import { hasSshd, startOpenSsh } from './openssh.ts';
import { createTransport, targetOf } from './support.ts';

if (!hasSshd) console.log('skipped: round trips, for there is no /usr/sbin/sshd');

/**
 * In ms: so much more than even a busy box needs to think that time counts round trips. TCP, the names of both sides with
 * what they offer, the key exchange, the login with a session, the command with its script and the answer: five. A script on
 * standard input is one more, for sshd takes nothing there before it has started the command.
 */
const ROUND_TRIP = 1200;
const ONE_WAY = ROUND_TRIP / 2;

test.skipIf(!hasSshd)(
  'the first look takes five round trips, with the one of TCP, every other one two, and a change one more',
  async () => {
    const server = await startOpenSsh();
    const near = targetOf(server, server.identityFile, { user: server.user });
    // ssh2 is loaded before anything is measured.
    await look(createTransport(server.folder), near);
    const far = { ...near, port: await startLongWay(server.port) };
    const transport = createTransport(server.folder);
    onTestFinished(() => transport.close());
    const [first, second] = [await look(transport, far), await look(transport, far)];
    expect([first.looking, second.looking]).toEqual([5, 2]);
    expect([first.changing, second.changing]).toEqual([1, 1]);
  },
);

/**
 * The name, the offer, the key, the login, the channel, the command, and one at the end; offers may go out with the name.
 * Each one wakes the machine.
 */
const MOST_WRITES = 8;

test.skipIf(!hasSshd)('a command is written to the machine in few pieces', async () => {
  const server = await startOpenSsh();
  const target = targetOf(server, server.identityFile, { user: server.user });
  const transport = createTransport(server.folder);
  const prototype: { _writeGeneric(this: Socket, ...given: unknown[]): void } = Socket.prototype as never;
  const { _writeGeneric: original } = prototype;
  let writes = 0;
  prototype._writeGeneric = function (...given) {
    if (this.remotePort === server.port) writes++;
    return original.apply(this, given);
  };
  onTestFinished(() => {
    prototype._writeGeneric = original;
  });
  const process = await transport.exec(target, 'true');
  await process.exit;
  await transport.close();
  expect(writes).toBeGreaterThan(4);
  expect(writes).toBeLessThanOrEqual(MOST_WRITES);
});

/** A shell that runs a script at once and then another one: the round trips of both. */
async function look(transport: Transport, ssh: SshTarget) {
  const start = performance.now();
  const process = await openRootShell(transport, { ssh, become: 'none' }, 'echo seen\n');
  const answers: ((answer: string) => void)[] = [];
  const answer = () => new Promise<string>((resolve) => answers.push(resolve));
  // Data that is there already is passed on at once.
  const seen = answer();
  process.onStdout((chunk) => answers.shift()?.(String(chunk)));
  expect(await seen).toBe('seen\n');
  const looked = performance.now();
  process.write('\necho changed\n');
  expect(await answer()).toBe('changed\n');
  const changed = performance.now();
  process.end();
  await process.exit;
  const trips = (time: number): number => Math.floor(time / ROUND_TRIP);
  return { looking: trips(looked - start), changing: trips(changed - looked) };
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
