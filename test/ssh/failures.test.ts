import { type AddressInfo, createServer, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { closedWhile, openFailure } from '../../src/ssh/failure.ts';
import { createRig, createTransport, failure, run, targetOf, temporaryFolder } from './support.ts';

describe('a machine that cannot be reached', () => {
  test('because nothing listens there', async () => {
    const { transport, target } = await createRig({}, { port: 1 });
    const error = await failure(transport.exec(target, 'true'), 'ssh-refused');
    expect(error.message).toBe('Cannot reach machine "m1" (127.0.0.1:1): connection refused');
    expect(error.hint).toBe('Check that sshd listens on port 1 there');
  });

  test('because its name does not exist', async () => {
    const { transport, target } = await createRig({}, { host: 'no-such-machine.invalid' });
    const error = await failure(transport.exec(target, 'true'), 'ssh-name');
    expect(error.message).toMatch(/^Cannot reach machine "m1" \(no-such-machine\.invalid:\d+\): /);
    expect(error.hint).toBe('Check "address" in [machine.m1]');
  });

  test('because it accepts connections and says nothing, as a stopped sshd does', async () => {
    const { transport, target } = await createRig(
      { misbehaviour: { kind: 'never-answer' } },
      { connectTimeoutMs: 300 },
    );
    const error = await failure(transport.exec(target, 'true'), 'ssh-timeout');
    expect(error.message).toMatch(/: it accepts connections but does not speak SSH within 300ms$/);
  });

  test('because something else listens there', async () => {
    const port = await listen((socket) => {
      socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    });
    const error = await failureAt(port, 'ssh-turned-away');
    expect(error.message).toMatch(/: the server there is not an SSH server$/);
  });

  test('because it hangs up at once, as sshd does at its MaxStartups', async () => {
    const port = await listen((socket) => socket.end());
    const error = await failureAt(port, 'ssh-lost', 400);
    expect(error.message).toMatch(/: the connection was closed during the SSH handshake$/);
  });

  test('because it has a penalty for our address, and says so before it hangs up', async () => {
    const port = await listen((socket) => socket.end('Not allowed at this time\r\n'));
    const error = await failureAt(port, 'ssh-turned-away', 400);
    expect(error.message).toMatch(/ closed during the SSH handshake: Not allowed at this time$/);
  });

  test('because it hangs up in the middle of the key exchange', async () => {
    const port = await listen((socket) => {
      socket.write('SSH-2.0-odd\r\n');
      socket.once('data', () => socket.end());
    });
    await failureAt(port, 'ssh-turned-away', 400);
  });

  test('because it resets the connection', async () => {
    const port = await listen((socket) => socket.resetAndDestroy());
    expect((await failureAt(port, 'ssh-lost', 400)).message).toMatch(/: connection reset$/);
  });

  test('because it has an unknown version of SSH', async () => {
    const port = await listen((socket) => socket.write('SSH-99\r\n'));
    expect((await failureAt(port, 'ssh-turned-away')).message).toMatch(/: no SSH connection: /);
  });

  test('because it ends the key exchange with a reason', async () => {
    const port = await listen((socket) => {
      socket.write('SSH-2.0-odd\r\n');
      socket.once('data', () => socket.write(disconnect('Not allowed at this time')));
    });
    expect((await failureAt(port, 'ssh-turned-away')).message).toMatch(
      /: no SSH connection: "Not allowed at this time"$/,
    );
  });
});

describe('a session that is not granted', () => {
  test('is refused by the machine', async () => {
    const { transport, target, sshd } = await createRig({ misbehaviour: { kind: 'refuse-sessions' } });
    const error = await failure(transport.exec(target, 'true'), 'ssh-turned-away');
    expect(error.message).toMatch(/: it granted no session$/);
    expect(error.hint).toMatch(/MaxSessions/);
    expect(sshd.execs()).toEqual([]);
  });

  test('in time is a timeout, and a command that starts after that is closed', async () => {
    const { transport, target, sshd } = await createRig(
      { misbehaviour: { kind: 'delay', ms: 1500 } },
      { connectTimeoutMs: 1000 },
    );
    const error = await failure(transport.exec(target, 'sleep 60'), 'ssh-timeout');
    expect(error.message).toMatch(/: it did not start a session within 1s$/);
    await expect.poll(() => sshd.commands()).toEqual({ started: 1, running: 0 });
  });
});

test('a machine that sends more than the window of a channel is disconnected while nothing is read', async () => {
  const { transport, target, sshd } = await createRig({ misbehaviour: { kind: 'ignore-window' } });
  const process = await transport.exec(target, 'true');
  await expect.poll(() => sshd.openConnections()).toBe(0);
  process.onStdout(() => undefined);
  process.onStderr(() => undefined);
  const error = await failure(process.exit, 'ssh-lost');
  expect(error.message).toMatch(/: it sent more than the window of its channel allows$/);
});

test('a machine that is down does not disturb the others', async () => {
  const { transport, target } = await createRig();
  const folder = await temporaryFolder();
  const down = targetOf({ host: '127.0.0.1', port: 1 }, `${folder}/none`);
  const [failed, ran] = await Promise.all([
    failure(transport.exec({ ...target, name: 'm2', port: 1 }, 'true'), 'ssh-refused'),
    run(transport, target, 'echo here'),
  ]);
  expect(failed.message).toContain('machine "m2"');
  expect(ran.stdout).toBe('here\n');
  await failure(transport.exec(down, 'true'), 'ssh-authentication');
});

describe('the words for errors that cannot be had on a loopback address', () => {
  const target = targetOf({ host: '::1', port: 22 }, undefined);
  test('of ssh2, which reads no banner longer than a packet, name the other transport', () => {
    const error = openFailure(target, 'authentication', new Error('Bad packet length'));
    expect(error.hint).toContain('transport = openssh');
    const refused = Object.assign(new Error('Too many authentication failures'), { code: 2 });
    expect(openFailure(target, 'authentication', refused).hint).toBeUndefined();
  });

  test.each([
    ['EHOSTUNREACH', 'ssh-refused', 'no route to host'],
    ['ENETUNREACH', 'ssh-local', 'network unreachable'],
    ['ETIMEDOUT', 'ssh-timeout', 'no answer'],
    ['EAI_AGAIN', 'ssh-name', 'the name server did not answer'],
    ['EACCES', 'ssh-local', 'EACCES'],
  ])('%s is %s', (code, fleetCode, words) => {
    const error = openFailure(target, 'connect', Object.assign(new Error('x'), { code }));
    expect(error).toMatchObject({ code: fleetCode });
    expect(error.message).toBe(`Cannot reach machine "m1" ([::1]:22): ${words}`);
  });

  test('a login that is cut off', () => {
    const error = closedWhile(target, 'authentication', { spoke: true });
    expect(error.message).toMatch(/ was closed during authentication$/);
    expect(error.code).toBe('ssh-turned-away');
  });
});

async function failureAt(port: number, code: Parameters<typeof failure>[1], connectTimeoutMs = 5000) {
  const { target, folder } = await createRig();
  const transport = createTransport(folder);
  onTestFinished(() => transport.close());
  return failure(transport.exec({ ...target, port, connectTimeoutMs }, 'true'), code);
}

/** A server that does one thing to everybody who connects. */
async function listen(greet: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    greet(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

/** An unencrypted SSH_MSG_DISCONNECT (RFC 4253, 11.1), reason 2. */
function disconnect(description: string): Buffer {
  const text = Buffer.from(description);
  const payload = Buffer.concat([Buffer.from([1, 0, 0, 0, 2, 0, 0, 0, text.length]), text, Buffer.alloc(4)]);
  const padding = 8 - ((payload.length + 5) % 8) + 8;
  const head = Buffer.alloc(5);
  head.writeUInt32BE(payload.length + padding + 1);
  head[4] = padding;
  return Buffer.concat([head, payload, Buffer.alloc(padding)]);
}
