import { createHash, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import type { RemoteSession, SessionRequest } from '../../src/ssh/transport.ts';
import { createRig, failure, run } from './support.ts';

const MEGABYTE = 1024 * 1024;
const PLAIN: SessionRequest = { command: undefined, terminal: undefined, forwardAgent: false };
/** For a box that has much else to do. */
const PATIENCE = { timeout: 20_000 };
const TERMINAL = { term: 'xterm-256color', size: { columns: 100, rows: 40 } };

describe('a session', () => {
  test('without a command is the login shell', async () => {
    const { transport, target, sshd } = await createRig();
    const session = await transport.open(target, PLAIN);
    const output = collect(session);
    session.write('echo in; exit 6\n');
    expect(await session.exit).toEqual({ status: 6 });
    expect(String(output())).toBe('in\n');
    expect([sshd.requests(), sshd.execs()]).toEqual([['shell'], []]);
  });

  test('with a command that a signal ends says which', async () => {
    const { transport, target } = await createRig();
    const session = await transport.open(target, { ...PLAIN, command: 'kill -TERM $$' });
    expect(await session.exit).toEqual({ signal: 'SIGTERM' });
  });

  test('shares the connection of other commands', async () => {
    const { transport, target, sshd } = await createRig();
    await run(transport, target, 'true');
    const session = await transport.open(target, { ...PLAIN, command: 'true' });
    await session.exit;
    expect(sshd.connections()).toBe(1);
  });

  test('passes every byte as it is, both ways', async () => {
    const { transport, target } = await createRig();
    const session = await transport.open(target, { ...PLAIN, command: 'cat' });
    const output = collect(session);
    const sent = randomBytes(3 * MEGABYTE);
    await feed(session, sent);
    session.end();
    expect(await session.exit).toEqual({ status: 0 });
    expect(digest(output())).toBe(digest(sent));
  });

  test('does not take more input than the command reads', async () => {
    const { transport, target, folder } = await createRig();
    const command = `until [ -e ${folder}/go ]; do sleep 0.05; done; wc -c`;
    const session = await transport.open(target, { ...PLAIN, command });
    const drained = vi.fn();
    session.onDrain(drained);
    const block = Buffer.alloc(MEGABYTE, 'x');
    let blocks = 0;
    while (session.write(block) && blocks < 50) blocks++;
    expect(blocks).toBeLessThan(50);
    expect(drained).not.toHaveBeenCalled();
    await writeFile(join(folder, 'go'), '');
    await vi.waitFor(() => expect(drained).toHaveBeenCalled(), PATIENCE);
    session.end();
    expect(await session.exit).toEqual({ status: 0 });
  });

  test('gives a busy listener nothing more, and then the rest', async () => {
    const { transport, target } = await createRig();
    const bytes = 20 * MEGABYTE;
    const session = await transport.open(target, { ...PLAIN, command: `head -c ${bytes} /dev/zero` });
    let heard = 0;
    let go: () => void = () => undefined;
    const busy = new Promise<void>((resolve) => {
      go = resolve;
    });
    session.onStdout((chunk) => {
      heard += chunk.length;
      return busy;
    });
    await vi.waitFor(() => expect(heard).toBeGreaterThan(0), PATIENCE);
    const first = heard;
    // Long enough for all of it to come if it were not held back.
    await run(transport, target, 'sleep 0.5');
    expect(heard).toBe(first);
    go();
    expect(await session.exit).toEqual({ status: 0 });
    expect(heard).toBe(bytes);
  });
});

describe('a terminal', () => {
  test('is asked for with its name and size, and told a new size', async () => {
    const { transport, target, sshd } = await createRig();
    const session = await transport.open(target, { ...PLAIN, command: 'cat', terminal: TERMINAL });
    session.resize({ columns: 120, rows: 50 });
    session.end();
    await session.exit;
    session.resize({ columns: 1, rows: 1 });
    expect(sshd.requests()).toEqual(['pty xterm-256color 100x40', 'window 120x50']);
  });

  test('comes with a login shell too', async () => {
    const { transport, target, sshd } = await createRig();
    const session = await transport.open(target, { ...PLAIN, terminal: TERMINAL });
    session.end();
    await session.exit;
    expect(sshd.requests()).toEqual(['pty xterm-256color 100x40', 'shell']);
  });

  test('that the machine forbids is told as such', async () => {
    const { transport, target } = await createRig({ misbehaviour: { kind: 'refuse-extras' } });
    const error = await failure(
      transport.open(target, { ...PLAIN, command: 'true', terminal: TERMINAL }),
      'ssh-refused',
    );
    expect(error.message).toMatch(/: it granted no session with a terminal$/);
    expect(error.hint).toContain('PermitTTY');
  });
});

describe('the agent', () => {
  // Nothing listens there: it is asked only when a machine wants a signature.
  const identityAgent = '/nonexistent/agent';

  test('is offered to a session that asks for it, and to no other', async () => {
    const { transport, target, sshd } = await createRig({}, { identityAgent });
    await run(transport, target, 'true');
    expect(sshd.requests()).toEqual([]);
    const session = await transport.open(target, { ...PLAIN, command: 'true', forwardAgent: true });
    expect(await session.exit).toEqual({ status: 0 });
    expect(sshd.requests()).toEqual(['agent']);
  });

  test('that the machine does not take is told as such', async () => {
    const { transport, target } = await createRig(
      { misbehaviour: { kind: 'refuse-extras' } },
      { identityAgent },
    );
    const opening = transport.open(target, { ...PLAIN, command: 'true', forwardAgent: true });
    expect((await failure(opening, 'ssh-refused')).message).toMatch(
      /: it granted no session with agent forwarding$/,
    );
  });
});

function collect(session: RemoteSession): () => Buffer {
  const chunks: Buffer[] = [];
  session.onStdout((chunk) => {
    chunks.push(chunk);
  });
  return () => Buffer.concat(chunks);
}

/** Writes in pieces of odd sizes, as fast as they are taken. */
async function feed(session: RemoteSession, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; at += 77_777) {
    if (session.write(bytes.subarray(at, at + 77_777))) continue;
    await new Promise<void>((resolve) => session.onDrain(resolve));
  }
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
