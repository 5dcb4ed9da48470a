import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { stat, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import https from 'node:https';
import { createServer as createNetServer } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it, onTestFinished } from 'vitest';
import { closeServer, createServer, listenAt, readTls, type Tls } from '../../src/api/listen.ts';
import type { ListenPlace } from '../../src/config/places.ts';
import { makeCertificates } from '../support/certificates.ts';
import { ask, makeFolder } from './support.ts';

const hello = (_: unknown, response: { end(text: string): void }): void => response.end('hello');

async function listen(place: ListenPlace, tls?: Tls) {
  const server = createServer(hello, tls);
  await listenAt(server, place);
  onTestFinished(() => closeServer(server));
  return server;
}

/** What a process leaves behind that is killed while it listens. */
async function leaveStale(path: string): Promise<void> {
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  await once(spawn(process.execPath, ['-e', script]), 'exit');
  expect((await stat(path)).isSocket()).toBe(true);
}

describe('a socket of the file system', () => {
  it('is for its owner and its group', async () => {
    const path = join(await makeFolder(), 's');
    await listen({ kind: 'unix', path });
    expect((await stat(path)).mode & 0o777).toBe(0o660);
    expect(await ask({ socketPath: path }, 'GET', '/')).toEqual({ status: 200, body: 'hello' });
  });

  it('of a process that is gone is replaced', async () => {
    const path = join(await makeFolder(), 's');
    await leaveStale(path);
    await listen({ kind: 'unix', path });
    expect((await ask({ socketPath: path }, 'GET', '/')).body).toBe('hello');
  });

  it('that is answered is an error, and the server continues', async () => {
    const path = join(await makeFolder(), 's');
    await listen({ kind: 'unix', path });
    await expect(listen({ kind: 'unix', path })).rejects.toMatchObject({
      code: 'cannot-listen',
      message: `Cannot listen on "unix:${path}": it is in use`,
    });
    expect((await ask({ socketPath: path }, 'GET', '/')).body).toBe('hello');
  });

  it('does not take the place of a file', async () => {
    const path = join(await makeFolder(), 's');
    await writeFile(path, 'mine');
    await expect(listen({ kind: 'unix', path })).rejects.toMatchObject({ code: 'cannot-listen' });
    expect((await stat(path)).size).toBe(4);
  });

  it('with a path that is too long is an error that says so', async () => {
    const path = join(await makeFolder(), 'x'.repeat(120));
    await expect(listen({ kind: 'unix', path })).rejects.toMatchObject({
      message: expect.stringContaining('a socket has a path of 107 bytes at most'),
    });
  });
});

describe('TCP', () => {
  it('is listened on, and one port by one program', async () => {
    const taken = createNetServer().listen(0, '127.0.0.1');
    onTestFinished(() => void taken.close());
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    await expect(listen({ kind: 'tcp', host: '127.0.0.1', port })).rejects.toMatchObject({
      message: `Cannot listen on "127.0.0.1:${port}": it is in use`,
    });
    const server = await listen({ kind: 'tcp', host: '127.0.0.1', port: 0 });
    const { port: own } = server.address() as { port: number };
    expect((await ask({ host: '127.0.0.1', port: own }, 'GET', '/')).body).toBe('hello');
  });
});

describe('TLS', () => {
  it('is spoken over TCP, to those who show a certificate when a CA for clients is given', async () => {
    const folder = await makeFolder();
    const files = makeCertificates(folder);
    const settings = {
      listen: [],
      listen_read_only: [],
      listen_insecure: false,
      listen_cert_file: files.server.cert,
      listen_key_file: files.server.key,
    };
    const tls = await readTls({ ...settings, listen_client_ca_file: files.ca });
    const [ca, cert, key] = [files.ca, files.client.cert, files.client.key].map((file) => readFileSync(file));
    const server = await listen({ kind: 'tcp', host: '127.0.0.1', port: 0 }, tls);
    const { port } = server.address() as { port: number };
    const where = { host: '127.0.0.1', port, ca, agent: false } as const;
    const get = async (options: https.RequestOptions): Promise<string> => {
      const request = https.request({ ...where, ...options });
      request.end();
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      return text(response);
    };
    expect(await get({ cert, key })).toBe('hello');
    await expect(get({})).rejects.toThrow(/certificate required|ECONNRESET|socket hang up/);
    await expect(ask({ host: '127.0.0.1', port }, 'GET', '/')).rejects.toThrow();
  });
});
