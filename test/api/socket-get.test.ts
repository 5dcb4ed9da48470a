import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { type ClientTimeouts, fetchSnapshot, parseEndpoint } from '../../src/api/client.ts';
import { cluster } from '../support/builders.ts';
import { makeFolder } from './support.ts';

const BODY = JSON.stringify({
  ...{ version: 1, origin: 'hére', ageMs: 0, leads: true },
  snapshot: { ...cluster().machine('m1').snapshot(), cordons: [] },
});
const LENGTH = `Content-Length: ${Buffer.byteLength(BODY)}`;
const WORKING = 'HTTP/1.1 102 Processing\r\n\r\n';
const PATIENT: ClientTimeouts = { firstMs: 60_000, wholeMs: 60_000 };

/** A client reads these answers to its requests, in pieces of so many bytes; 'open' keeps the connection. */
async function read(
  answers: readonly string[],
  { size = 1_000_000, end = 'open' as 'closed' | 'open', limits = PATIENT } = {},
) {
  const path = join(await makeFolder(), 'fleet.sock');
  const left = [...answers];
  const requests: string[] = [];
  const server = createServer(async (socket) => {
    socket.on('error', () => undefined);
    const [request] = await once(socket, 'data');
    requests.push(String(request));
    const bytes = Buffer.from(left.shift() ?? '');
    for (let at = 0; at < bytes.length && !socket.destroyed; at += size) {
      socket.write(bytes.subarray(at, at + size));
      if (size < bytes.length) await new Promise(setImmediate);
    }
    if (end === 'closed') socket.end();
  }).listen(path);
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const endpoint = parseEndpoint(`unix://${path}`) ?? expect.unreachable();
  const said = fetchSnapshot(endpoint, limits).then(
    ({ origin }) => origin,
    ({ message }: Error) => message.replace(/^The endpoint "[^"]*" /, ''),
  );
  return { said: await said, requests };
}

it.each([
  ['with its length', `HTTP/1.1 200 OK\r\ncontent-type: x\r\n${LENGTH}\r\n\r\n${BODY}`],
  ['after interim answers', `${WORKING}${WORKING}HTTP/1.1 200 OK\r\n${LENGTH}\r\n\r\n${BODY}`],
  ['followed by more', `HTTP/1.1 200 OK\r\n${LENGTH}\r\n\r\n${BODY}HTTP/1.1 500 No\r\n\r\n`],
])('reads an answer %s, in pieces of any size', async (_, answer) => {
  for (const size of [1, 7, 1_000_000]) expect((await read([answer], { size })).said).toBe('hére');
});

it('reads an answer that ends with the connection', async () => {
  expect((await read([`HTTP/1.0 200 OK\r\n\r\n${BODY}`], { size: 100, end: 'closed' })).said).toBe('hére');
});

it('leaves an answer in chunks to node:http, with another request', async () => {
  const size = Buffer.byteLength(BODY).toString(16);
  const answer = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${size}\r\n${BODY}\r\n0\r\n\r\n`;
  const { said, requests } = await read([answer, answer]);
  expect([said, requests.length]).toEqual(['hére', 2]);
  expect(requests[0]).toBe(requests[1]);
});

it.each([
  ['closed early', `HTTP/1.1 200 OK\r\n${LENGTH}\r\n\r\n${BODY.slice(1)}`, 'the connection was closed'],
  ['closed in its head', `HTTP/1.1 200 OK\r\n${LENGTH}\r\n`, 'the connection was closed'],
  ['closed after an interim one', WORKING, 'the connection was closed'],
  ['of a refusal', 'HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n', 'refuses: "status 503"'],
  ['without HTTP', 'SSH-2.0-OpenSSH_9\r\n\r\n', 'its answer is not HTTP/1.1'],
  ['with two lengths', `HTTP/1.1 200 OK\r\n${LENGTH}\r\n${LENGTH}\r\n\r\n`, 'its answer is not HTTP/1.1'],
  ['with a negative length', 'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n', 'its answer is not HTTP/1.1'],
  ['with a line that is none', 'HTTP/1.1 200 OK\r\nContent Length: 1\r\n\r\n', 'its answer is not HTTP/1.1'],
  ['with an endless head', `HTTP/1.1 200 OK\r\nx: ${'x'.repeat(20_000)}`, 'its answer is not HTTP/1.1'],
  ['of something else', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}', 'does not answer as fleetd does'],
])('says what is wrong with an answer %s', async (_, answer, problem) => {
  expect((await read([answer], { end: 'closed' })).said).toContain(problem);
});

it('waits for neither a beginning nor an end longer than it may', async () => {
  const first = { limits: { ...PATIENT, firstMs: 200 } };
  expect((await read([''], first)).said).toContain('no answer within 0.2 s');
  const whole = { limits: { ...PATIENT, wholeMs: 300 } };
  for (const begun of [WORKING, `HTTP/1.1 200 OK\r\n${LENGTH}\r\n\r\n`])
    expect((await read([begun], whole)).said).toContain('no answer within 0.3 s');
});
