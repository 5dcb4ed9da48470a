import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import type { SshTarget } from '../../src/ssh/target.ts';
import type { RemoteProcess, RemoteSession, SessionRequest } from '../../src/ssh/transport.ts';
import type { SshdOptions } from '../support/sshd.ts';
import { createRig, failure, run } from './support.ts';

const MEGABYTE = 1024 * 1024;
const PLAIN: SessionRequest = { command: undefined, terminal: undefined, forwardAgent: false };
/** For a box that has much else to do. */
const PATIENCE = { timeout: 20_000 };

const hasSsh = spawnSync('ssh', ['-V']).status === 0;
if (!hasSsh) console.log('skipped: the transport over ssh(1), for there is none');

// What holds for every transport, whatever is beneath it.
describe.each(['ssh2', ...(hasSsh ? ['openssh'] : [])] as const)('over %s', (kind) => {
  const transport = kind as SshTarget['transport'];
  const rig = (server: SshdOptions = {}, changes: Partial<SshTarget> = {}) =>
    createRig(server, { transport, ...changes });

  test('the three streams and the exit status of a command are passed', async () => {
    const { transport, target, sshd } = await rig();
    const outcome = await run(transport, target, 'cat; echo oops >&2; exit 3', 'grüße');
    expect(outcome).toEqual({ exit: { status: 3 }, stdout: 'grüße', stderr: 'oops\n' });
    expect(sshd.execs()).toEqual(['cat; echo oops >&2; exit 3']);
  });

  test('a command that a signal ended says which', async () => {
    const { transport, target } = await rig();
    // ssh(1) has no way to tell.
    const expected = kind === 'openssh' ? { status: 255 } : { signal: 'SIGKILL' };
    expect((await run(transport, target, 'kill -KILL $$')).exit).toEqual(expected);
  });

  test('a script of 4 MB goes in, whole', async () => {
    const { transport, target } = await rig();
    const { exit, stdout } = await run(transport, target, 'sleep 0.2; wc -c', 'é'.repeat(2 * MEGABYTE));
    expect({ exit, bytes: Number(stdout) }).toEqual({ exit: { status: 0 }, bytes: 4 * MEGABYTE });
  });

  test('all of 8 MB of output has arrived when the exit is reported', async () => {
    const { transport, target } = await rig();
    const { exit, stdout } = await run(
      transport,
      target,
      `head -c ${8 * MEGABYTE} /dev/zero | tr '\\0' x; exit 4`,
    );
    expect({ exit, bytes: stdout.length }).toEqual({ exit: { status: 4 }, bytes: 8 * MEGABYTE });
  });

  test('a command that does not read its input ends normally', async () => {
    const { transport, target } = await rig();
    const process = await transport.exec(target, 'exec 0<&-; exit 7');
    process.write('x'.repeat(4 * MEGABYTE));
    expect(await process.exit).toEqual({ status: 7 });
    process.write('not read');
    process.end();
  });

  test('a command waits until its output is taken, and ends then', async () => {
    const { transport, target } = await rig();
    const bytes = 8 * MEGABYTE;
    const process = await transport.exec(target, `head -c ${bytes} /dev/zero; echo x >&2`);
    process.end();
    const early = await Promise.race([process.exit, run(transport, target, 'sleep 0.5')]);
    expect(early).toMatchObject({ stdout: '' });
    const output = collect(process);
    expect(await process.exit).toEqual({ status: 0 });
    expect(output()).toHaveLength(bytes);
  });

  test('a late listener gets everything from the first byte on', async () => {
    const { transport, target } = await rig();
    const process = await transport.exec(target, 'echo one; echo two >&2; cat; echo three');
    await run(transport, target, 'sleep 0.1');
    let heard = '';
    process.onStdout((chunk) => {
      heard += chunk;
    });
    process.onStderr((chunk) => {
      heard += chunk;
    });
    process.end();
    expect(await process.exit).toEqual({ status: 0 });
    expect(heard).toBe('one\ntwo\nthree\n');
  });

  test('a closed command ends at once and has no more output', async () => {
    const { transport, target } = await rig();
    const process = await transport.exec(target, 'while echo x; do sleep 0.01; done');
    let chunks = 0;
    await new Promise<void>((resolve) => {
      process.onStdout(() => {
        chunks++;
        resolve();
      });
    });
    process.close();
    const heard = chunks;
    expect((await failure(process.exit, 'ssh-lost')).message).toMatch(/the command was closed$/);
    expect((await run(transport, target, 'sleep 0.1; echo next')).stdout).toBe('next\n');
    expect(chunks).toBe(heard);
    process.close();
    process.write('x');
    process.end();
  });

  test('many commands run on one connection at the same time', async () => {
    const { transport, target, sshd } = await rig();
    const numbers = Array.from({ length: 20 }, (_, i) => String(i));
    const outcomes = await Promise.all(
      numbers.map((number) => run(transport, target, `sleep 0.1; echo ${number}`)),
    );
    expect(outcomes.map(({ stdout }) => stdout.trim())).toEqual(numbers);
    expect(sshd.connections()).toBe(1);
  });

  test('a command is given to the login shell, whatever it begins with', async () => {
    const { transport, target, sshd } = await rig();
    await run(transport, target, '-v');
    expect(sshd.execs()).toEqual(['-v']);
  });

  test('the address of the connection and the credential are reported', async () => {
    const { transport, target, folder } = await rig();
    expect(await transport.login(target)).toEqual({
      address: '127.0.0.1',
      credential: expect.stringContaining(`${folder}/id`),
    });
  });

  test('the status 255 of a command is its own', async () => {
    const { transport, target } = await rig();
    expect((await run(transport, target, 'exit 255')).exit).toEqual({ status: 255 });
  });

  describe('a session', () => {
    test('without a command is the login shell', async () => {
      const { transport, target, sshd } = await rig();
      const session = await transport.open(target, PLAIN);
      const output = collect(session);
      session.write('echo in; exit 6\n');
      expect(await session.exit).toEqual({ status: 6 });
      expect(String(output())).toBe('in\n');
      expect([sshd.requests(), sshd.execs()]).toEqual([['shell'], []]);
    });

    test('passes every byte as it is, both ways', async () => {
      const { transport, target } = await rig();
      const session = await transport.open(target, { ...PLAIN, command: 'cat' });
      const output = collect(session);
      const sent = randomBytes(3 * MEGABYTE);
      await feed(session, sent);
      session.end();
      expect(await session.exit).toEqual({ status: 0 });
      expect(output().equals(sent)).toBe(true);
    });

    test('does not take more input than the command reads', async () => {
      const { transport, target, folder } = await rig();
      const command = `until [ -e ${folder}/go ]; do sleep 0.05; done; wc -c`;
      const session = await transport.open(target, { ...PLAIN, command });
      collect(session);
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
      const { transport, target } = await rig();
      const bytes = 8 * MEGABYTE;
      const session = await transport.open(target, { ...PLAIN, command: `head -c ${bytes} /dev/zero` });
      let heard = 0;
      let release: () => void = () => undefined;
      const busy = new Promise<void>((resolve) => {
        release = resolve;
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
      release();
      expect(await session.exit).toEqual({ status: 0 });
      expect(heard).toBe(bytes);
    });

    test('gets the terminal it asks for', async () => {
      const { transport, target, sshd } = await rig();
      const terminal = { term: 'xterm-fleet', size: { columns: 100, rows: 40 } };
      const session = await transport.open(target, { ...PLAIN, command: 'cat', terminal });
      session.end();
      await session.exit;
      expect(sshd.requests()[0]).toMatch(/^pty xterm-fleet /);
    });
  });

  describe('a connection that dies', () => {
    test('under a command makes its exit reject, whatever it has said', async () => {
      const { transport, target, sshd } = await rig();
      const process = await transport.exec(target, 'echo half; sleep 60');
      await new Promise<void>((resolve) => process.onStdout(() => resolve()));
      sshd.cut();
      const error = await failure(process.exit, 'ssh-lost');
      expect(error.message).toMatch(/^Lost machine "m1" \(127.0.0.1:\d+\): .*closed/);
    });

    test('in the middle of the output is no success', async () => {
      const { transport, target } = await rig({ misbehaviour: { kind: 'drop-after', bytes: 500_000 } });
      const process = await transport.exec(target, 'head -c 1000000 /dev/zero');
      collect(process);
      await failure(process.exit, 'ssh-lost');
    });

    test('while idle is opened again by the next command', async () => {
      const { transport, target, sshd } = await rig();
      await run(transport, target, 'true');
      sshd.cut();
      expect((await run(transport, target, 'echo again')).stdout).toBe('again\n');
      expect(sshd.connections()).toBe(2);
    });

    test('without a word is lost to a running command after the keepalive timeout', async () => {
      const { transport, target, sshd } = await rig({}, { keepaliveTimeoutMs: 1000 });
      const process = await transport.exec(target, 'sleep 60');
      sshd.stall();
      await failure(process.exit, 'ssh-lost');
    });
  });

  describe('a machine that cannot be reached', () => {
    test.each([
      ['nothing listens there', { port: 1 }, 'ssh-refused', 'connection refused'],
      ['its name does not exist', { host: 'no-such-machine.invalid' }, 'ssh-name', 'name'],
      ['a user is refused', { user: 'nobody' }, 'ssh-authentication', 'did not let "nobody" in'],
      [
        'its key is not known',
        { strictHostKeyChecking: 'yes' },
        'ssh-host-key',
        'host key is not known: ssh-ed25519 SHA256:',
      ],
    ] as const)('because %s', async (_, changes, code, words) => {
      const { transport, target, sshd } = await rig({ user: 'core' }, changes);
      const error = await failure(transport.exec(target, 'true'), code);
      expect(error.message.toLowerCase()).toContain(words.toLowerCase());
      expect(error.message).toContain('Cannot reach machine "m1"');
      expect(sshd.execs()).toEqual([]);
    });

    test('because its key has changed', async () => {
      const { transport, target, sshd, knownHostsFile } = await rig();
      const other = (await createRig()).sshd;
      await writeFile(knownHostsFile, `[${sshd.host}]:${sshd.port} ${other.hostKeys[0]}\n`);
      const error = await failure(transport.exec(target, 'true'), 'ssh-host-key');
      expect(error.message).toContain('its host key has changed: it shows ssh-ed25519 SHA256:');
      expect(sshd.logins()).toEqual([]);
    });

    test('because it says nothing, as a stopped sshd does', async () => {
      const { transport, target } = await rig(
        { misbehaviour: { kind: 'never-answer' } },
        { connectTimeoutMs: 500 },
      );
      const error = await failure(transport.exec(target, 'true'), 'ssh-timeout');
      expect(error.message).toMatch(/: it accepts connections but does not speak SSH within \d+ms$/);
    });

    test('because it grants no session', async () => {
      const { transport, target } = await rig(
        { misbehaviour: { kind: 'refuse-sessions' } },
        { connectTimeoutMs: 500 },
      );
      await failure(transport.exec(target, 'true'), 'ssh-turned-away');
    });
  });

  test('closing the transport ends what runs', async () => {
    const { transport, target, sshd } = await rig();
    const process = await transport.exec(target, 'sleep 60');
    const lost = failure(process.exit, 'ssh-lost');
    await transport.close();
    await lost;
    await vi.waitFor(() => expect(sshd.openConnections()).toBe(0), PATIENCE);
    await failure(transport.exec(target, 'true'), 'ssh-lost');
  });
});

function collect(process: RemoteProcess): () => Buffer {
  const chunks: Buffer[] = [];
  process.onStdout((chunk) => {
    chunks.push(chunk);
  });
  process.onStderr(() => undefined);
  return () => Buffer.concat(chunks);
}

/** Writes in pieces of odd sizes, as fast as they are taken. */
async function feed(session: RemoteSession, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; at += 77_777) {
    if (session.write(bytes.subarray(at, at + 77_777))) continue;
    await new Promise<void>((resolve) => session.onDrain(resolve));
  }
}
