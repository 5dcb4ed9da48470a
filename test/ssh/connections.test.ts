import { writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Sshd, startSshd } from '../support/sshd.ts';
import { createRig, createTransport, failure, run, temporaryFolder } from './support.ts';

describe('one connection a machine', () => {
  test('is opened with the first command and kept for the next', async () => {
    const { transport, target, sshd } = await createRig();
    expect(sshd.connections()).toBe(0);
    await run(transport, target, 'true');
    await run(transport, target, 'true');
    expect(sshd.connections()).toBe(1);
  });

  test('is shared by commands that come while it is opened', async () => {
    const { transport, target, sshd } = await createRig();
    await Promise.all([run(transport, target, 'true'), run(transport, target, 'true')]);
    expect(sshd.connections()).toBe(1);
  });

  test('is not shared by different users', async () => {
    const { transport, target, sshd } = await createRig();
    await run(transport, target, 'true');
    await run(transport, { ...target, user: 'root' }, 'true');
    expect(sshd.logins()).toEqual(['core', 'root']);
  });

  test('is tried again after a failed attempt', async () => {
    const { transport, target, sshd, knownHostsFile } = await createRig({}, { strictHostKeyChecking: 'ask' });
    await failure(transport.exec(target, 'true'), 'ssh-host-key');
    await writeFile(knownHostsFile, `[${sshd.host}]:${sshd.port} ${sshd.hostKeys[0]}\n`);
    expect((await run(transport, target, 'echo in')).stdout).toBe('in\n');
  });
});

describe('a connection that dies', () => {
  test('under a command makes its exit reject, whatever it has said', async () => {
    const { transport, target, sshd } = await createRig();
    const process = await transport.exec(target, 'echo half; sleep 60');
    await new Promise<void>((resolve) => process.onStdout(() => resolve()));
    sshd.cut();
    const error = await failure(process.exit, 'ssh-lost');
    expect(error.message).toBe(`Lost machine "m1" (127.0.0.1:${sshd.port}): the connection was closed`);
  });

  test('while idle, without a message, is also opened again', async () => {
    const { transport, target, sshd } = await createRig({}, { keepaliveTimeoutMs: 400 });
    await run(transport, target, 'true');
    sshd.stall();
    expect((await run(transport, target, 'echo again')).stdout).toBe('again\n');
    expect(sshd.connections()).toBe(2);
    expect(sshd.execs()).toEqual(['true', 'echo again']);
  });

  test('under a command does not make the command run twice', async () => {
    const { transport, target, sshd } = await createRig({ misbehaviour: { kind: 'drop-after', bytes: 1 } });
    await failure(
      run(transport, target, 'echo x').then(() => undefined),
      'ssh-lost',
    );
    await failure(run(transport, target, 'echo y'), 'ssh-lost');
    expect(sshd.execs()).toEqual(['echo x', 'echo y']);
  });
});

describe('a machine that becomes unreachable', () => {
  test('is lost to a running command after the keepalive timeout', async () => {
    const { transport, target, sshd } = await createRig({}, { keepaliveTimeoutMs: 400 });
    const process = await transport.exec(target, 'sleep 60');
    sshd.stall();
    expect((await failure(process.exit, 'ssh-lost')).message).toMatch(/: no answer within 400ms$/);
  });

  test('is not taken for lost while only its command prints nothing', async () => {
    const { transport, target, sshd } = await createRig({}, { keepaliveTimeoutMs: 200 });
    expect((await run(transport, target, 'sleep 1.5; echo done')).stdout).toBe('done\n');
    expect(sshd.connections()).toBe(1);
  });
});

test('no more than 32 machines are being connected to at a time, without a warning', async () => {
  const warnings: Error[] = [];
  const note = (warning: Error): void => void warnings.push(warning);
  process.on('warning', note);
  onTestFinished(() => void process.off('warning', note));
  const servers = await Promise.all([1, 2, 3, 4, 5].map(muteServer));
  const connections = (): number => servers.reduce((sum, server) => sum + server.connections(), 0);
  const { transport, target } = await createRig();
  const machines = servers.flatMap(({ port }, server) =>
    Array.from({ length: 8 }, (_, i) => ({
      ...target,
      name: `m${server}-${i}`,
      port,
      connectTimeoutMs: 700,
    })),
  );
  let seenAtFirstFailure = 0;
  await Promise.all(
    machines.map(async (machine) => {
      await failure(transport.exec(machine, 'true'), 'ssh-timeout');
      seenAtFirstFailure ||= connections();
    }),
  );
  expect(seenAtFirstFailure).toBe(32);
  expect(connections()).toBe(40);
  expect(warnings).toEqual([]);
});

test('no more than 8 logins to one address are under way at a time', async () => {
  const server = await muteServer();
  const { transport, target } = await createRig();
  let seenAtFirstFailure = 0;
  await Promise.all(
    Array.from({ length: 10 }, async (_, i) => {
      const machine = { ...target, name: `m${i}`, port: server.port, connectTimeoutMs: 500 };
      await failure(transport.exec(machine, 'true'), 'ssh-timeout');
      seenAtFirstFailure ||= server.connections();
    }),
  );
  expect(seenAtFirstFailure).toBe(8);
});

describe('closing the transport', () => {
  test('leaves no socket and no timer behind', async () => {
    const { target, sshd, transport, folder } = await createRig();
    const sockets = alive('TCPSocketWrap');
    const timers = alive('Timeout');
    const second = createTransport(folder);
    await run(transport, target, 'true');
    await run(second, target, 'true');
    expect(alive('TCPSocketWrap')).toBeGreaterThan(sockets);
    await Promise.all([transport.close(), second.close()]);
    await expect.poll(() => sshd.openConnections()).toBe(0);
    expect(alive('TCPSocketWrap')).toBe(sockets);
    expect(alive('Timeout')).toBeLessThanOrEqual(timers);
  });

  test('ends what runs and what is being opened', async () => {
    const silent = await startSshd({ misbehaviour: { kind: 'never-answer' } });
    onTestFinished(() => silent.close());
    const { transport, target, sshd } = await createRig();
    const process = await transport.exec(target, 'sleep 60');
    const opening = transport.exec({ ...target, name: 'm2', port: silent.port }, 'true');
    const refused = failure(opening, 'ssh-lost');
    await Promise.all([transport.close(), transport.close()]);
    expect((await failure(process.exit, 'ssh-lost')).message).toMatch(/the connection was closed here$/);
    expect((await refused).message).toMatch(/^Cannot reach machine "m2" .*: the transport is closed$/);
    expect((await failure(transport.exec(target, 'true'), 'ssh-lost')).message).toMatch(
      /the transport is closed$/,
    );
    expect(sshd.connections()).toBe(1);
  });

  test('does not wait for a machine that takes nothing', async () => {
    const { transport, target, sshd } = await createRig();
    const process = await transport.exec(target, 'sleep 60');
    sshd.stall();
    process.write('x'.repeat(8 * 1024 * 1024));
    await transport.close();
    await failure(process.exit, 'ssh-lost');
  });

  test('of a transport that was never used does nothing', async () => {
    await createTransport(await temporaryFolder()).close();
  });

  test('at any moment of an attempt leaves nothing open', async () => {
    const { target, sshd, folder } = await createRig();
    const outcomes = [0, 1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 40].map(async (ms) => {
      const transport = createTransport(folder);
      const exec = transport.exec(target, 'sleep 60').then((process) => process.exit);
      const lost = failure(exec, 'ssh-lost');
      await new Promise((resolve) => setTimeout(resolve, ms));
      await transport.close();
      await lost;
    });
    await Promise.all(outcomes);
    await expect.poll(() => sshd.openConnections()).toBe(0);
  });
});

test('a connection that turns to nonsense is given up', async () => {
  const { transport, target, sshd } = await createRig();
  const near: Socket[] = [];
  const relay = createServer((socket) => {
    near.push(socket);
    socket.on('error', () => undefined);
    socket.pipe(connect(sshd.port, sshd.host).on('error', () => undefined)).pipe(socket);
  });
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void relay.close());
  const { port } = relay.address() as AddressInfo;
  const process = await transport.exec({ ...target, port }, 'sleep 60');
  near[0]?.write('x'.repeat(4096));
  await failure(process.exit, 'ssh-lost');
});

async function muteServer(): Promise<Sshd> {
  const server = await startSshd({ misbehaviour: { kind: 'never-answer' } });
  onTestFinished(() => server.close());
  return server;
}

/** How many resources of that kind hold this process alive; the sockets of the server are among them. */
function alive(kind: string): number {
  return process.getActiveResourcesInfo().filter((name) => name === kind).length;
}
