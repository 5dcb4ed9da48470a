import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { WireReader, wireStrings, wireUint32 } from '../../src/ssh/keys/wire.ts';
import { hasSshd, startOpenSsh } from './openssh.ts';
import { createTransport, run, targetOf } from './support.ts';

if (!hasSshd) console.log('skipped: security keys, for there is no /usr/sbin/sshd');

const TYPE = 'sk-ssh-ed25519@openssh.com';
const APPLICATION = 'ssh:';
const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const point = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url');
const blob = wireStrings(TYPE, point, APPLICATION);

test.skipIf(!hasSshd)(
  'a security key of the agent logs in, and is touched only for a machine that takes it',
  async () => {
    const server = await startOpenSsh();
    const agent = await startAgent(join(server.folder, 'agent'));
    const transport = createTransport(server.folder);
    onTestFinished(() => transport.close());
    const target = targetOf(server, undefined, {
      user: server.user,
      identityAgent: join(server.folder, 'agent'),
      userKnownHostsFiles: [join(server.folder, 'known_hosts')],
    });
    await expect(run(transport, target, 'true')).rejects.toMatchObject({ code: 'ssh-authentication' });
    expect(agent.touches()).toBe(0);
    await writeFile(join(server.folder, 'authorized_keys'), `${TYPE} ${blob.toString('base64')}\n`);
    expect((await run(transport, target, 'echo in')).stdout).toBe('in\n');
    expect(agent.touches()).toBe(1);
  },
);

/** An agent with a security key in software: it signs as the key would (PROTOCOL.u2f), and counts. */
async function startAgent(path: string) {
  let touches = 0;
  const answer = (request: Buffer): Buffer => {
    const reader = new WireReader(request);
    if (reader.byte() === 11) return Buffer.concat([Buffer.of(12), wireUint32(1), wireStrings(blob, 'key')]);
    reader.string();
    touches++;
    return Buffer.concat([Buffer.of(14), wireStrings(signature(reader.string(), touches))]);
  };
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (data) => socket.write(wireStrings(answer(data.subarray(4)))));
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  onTestFinished(() => void server.close());
  return { touches: () => touches };
}

/** What is signed is the application, a flag for the touch, a counter, and the hash of the data. */
function signature(data: Buffer, count: number): Buffer {
  const sha256 = (text: Buffer | string): Buffer => createHash('sha256').update(text).digest();
  const touch = Buffer.concat([Buffer.of(1), wireUint32(count)]);
  const signed = sign(null, Buffer.concat([sha256(APPLICATION), touch, sha256(data)]), privateKey);
  return Buffer.concat([wireStrings(TYPE, signed), touch]);
}
