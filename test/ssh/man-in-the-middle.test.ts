import { readFile, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { observeQuery } from '../../src/systemd/observation.ts';
import { createSshDriver } from '../../src/systemd/ssh-driver.ts';
import { startSshd } from '../support/sshd.ts';
import { hasSshd, startOpenSsh } from './openssh.ts';
import { createOpenssh, createRig, createTransport, failure, run, targetOf } from './support.ts';

if (!hasSshd) console.log('skipped: what OpenSSH would see in the middle, for there is no /usr/sbin/sshd');

/** Messages of SSH (RFC 4253, 12) without information about the user or the request. */
const SAYS_NOTHING = { disconnect: 1, keyExchange: 20, publicKey: 30 };

describe('a machine that is impersonated', () => {
  test.each(['ssh2', 'openssh'] as const)(
    'over %s gets no login and not a byte of a script',
    async (transport) => {
      const rig = await createRig({}, { transport });
      const thief = await startSshd();
      onTestFinished(() => thief.close());
      const road = await relay(rig.sshd.port);
      const target = { ...rig.target, port: road.port };
      const first = await rig.transport.exec(target, 'cat');
      road.turn(thief.port);
      await failure(first.exit, 'ssh-lost');
      const error = await failure(rig.transport.exec(target, 'cat'), 'ssh-host-key');
      expect(error.message).toContain('its host key has changed');
      expect([thief.logins(), thief.execs(), thief.connections()]).toEqual([[], [], 1]);
    },
  );

  test.skipIf(!hasSshd)('behind a jump host that is the right one', async () => {
    const [jumpHost, rig, thief] = [await startOpenSsh(), await createRig(), await startSshd()];
    onTestFinished(() => thief.close());
    const road = await relay(rig.sshd.port);
    const jump = { ...targetOf(jumpHost, jumpHost.identityFile, { user: jumpHost.user }), name: 'jump' };
    const target = { ...rig.target, port: road.port, via: { kind: 'jump' as const, jumps: [jump] } };
    await run(rig.transport, target, 'true');
    const later = createTransport(rig.folder);
    onTestFinished(() => later.close());
    road.turn(thief.port);
    await failure(later.exec(target, 'cat'), 'ssh-host-key');
    expect([thief.logins(), thief.execs()]).toEqual([[], []]);
  });

  test.skipIf(!hasSshd).each(['ssh2', 'openssh'] as const)(
    'over %s: not one byte behind the key exchange, though the key of the user would be let in',
    async (kind) => {
      const [machine, thief] = [await startOpenSsh(), await startOpenSsh()];
      const road = await relay(machine.port);
      const near = { host: machine.host, port: road.port };
      const target = targetOf(near, machine.identityFile, { user: machine.user, transport: kind });
      await writeFile(join(thief.folder, 'authorized_keys'), await readFile(`${machine.identityFile}.pub`));
      const transport = kind === 'ssh2' ? createTransport(machine.folder) : createOpenssh();
      onTestFinished(() => transport.close());
      expect((await run(transport, target, 'echo in')).stdout).toBe('in\n');
      road.turn(thief.port);
      const access = () => ({ ssh: target, become: 'none' as const });
      const driver = createSshDriver(transport, { access, settleMs: 0 });
      const session = driver.connect({ name: 'm1', address: target.host, metadata: {} });
      await failure(session.ask(observeQuery({ names: ['web.service'], digests: true })), 'ssh-host-key');
      const messages = messagesIn(Buffer.concat(road.said));
      expect(messages).toContain(SAYS_NOTHING.publicKey);
      expect(messages.filter((type) => !Object.values(SAYS_NOTHING).includes(type))).toEqual([]);
    },
  );
});

/** The types of the messages that a client has sent. Until it takes new keys, all of them can be read. */
function messagesIn(bytes: Buffer): readonly number[] {
  const types: number[] = [];
  let at = bytes.indexOf('\n') + 1;
  while (at < bytes.length) {
    types.push(bytes.readUInt8(at + 5));
    at += 4 + bytes.readUInt32BE(at);
  }
  return types;
}

/**
 * A port that leads to another one, until it is turned: then what is open is cut, and the next comes out elsewhere.
 * `said` is what came in since.
 */
async function relay(port: number) {
  let exit = port;
  const open: Socket[] = [];
  const said: Buffer[] = [];
  const server = createServer((near) => {
    const far = connect(exit, '127.0.0.1');
    open.push(near, far);
    for (const socket of [near, far]) socket.on('error', () => undefined);
    near.on('data', (chunk) => said.push(chunk));
    near.pipe(far).pipe(near);
    near.on('close', () => far.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return {
    port: (server.address() as AddressInfo).port,
    said,
    turn: (to: number) => {
      exit = to;
      said.length = 0;
      for (const socket of open.splice(0)) socket.destroy();
    },
  };
}
