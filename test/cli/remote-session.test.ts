import { PassThrough, Writable } from 'node:stream';
import { describe, expect, it, vi } from 'vitest';
import { runSession, type Stdio, sessionStatus, terminalSize } from '../../src/cli/remote-session.ts';
import type { RemoteSession } from '../../src/ssh/transport.ts';
import { createRig } from '../ssh/support.ts';

const TERMINAL = { term: 'xterm', size: { columns: 80, rows: 24 } };

/** What stands for the three streams of a process. */
function makeStdio() {
  const raw: boolean[] = [];
  const stdin = Object.assign(new PassThrough(), {
    isTTY: true,
    setRawMode: (isRaw: boolean) => raw.push(isRaw),
  });
  const stdout = Object.assign(new PassThrough(), { columns: 80, rows: 24 });
  const stdio = { stdin, stdout, stderr: new PassThrough() } satisfies Stdio;
  const printed = (stream: PassThrough): string => String(stream.read() ?? '');
  return { ...stdio, raw, out: () => printed(stdout), err: () => printed(stdio.stderr) };
}

async function open(command: string, terminal: typeof TERMINAL | undefined = undefined) {
  const rig = await createRig();
  const session = await rig.transport.open(rig.target, { command, terminal, forwardAgent: false });
  return { ...rig, session };
}

function listeners(): readonly number[] {
  return ['SIGINT', 'SIGTERM', 'SIGHUP', 'exit'].map((name) => process.listenerCount(name));
}

/** Resolves when the session has said something. */
function spoken(session: RemoteSession): Promise<void> {
  return new Promise((resolve) => session.onStdout(() => resolve()));
}

describe('a session without a terminal', () => {
  it('gets what is typed, and its two outputs are kept apart', async () => {
    const { session } = await open('cat; echo oops >&2; exit 3');
    const stdio = makeStdio();
    stdio.stdin.end('in');
    const end = await runSession(session, stdio, { terminal: false });
    expect(end).toEqual({ kind: 'exit', exit: { status: 3 } });
    expect([stdio.out(), stdio.err(), stdio.raw]).toEqual(['in', 'oops\n', []]);
  });

  it('ends although the input stays open, which then waits', async () => {
    const { session } = await open('true');
    const stdio = makeStdio();
    await runSession(session, stdio, { terminal: false });
    expect([stdio.stdin.isPaused(), stdio.stdin.listenerCount('data')]).toEqual([true, 0]);
  });

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('is over at %s', async (signal) => {
    const before = listeners();
    const { session } = await open('echo ready; sleep 60');
    const ended = runSession(session, makeStdio(), { terminal: false });
    await spoken(session);
    process.emit(signal);
    expect(await ended).toEqual({ kind: 'signal', signal });
    expect(listeners()).toEqual(before);
  });

  it.each([
    ['its output is closed', 'EPIPE', { kind: 'unread' }],
    ['what it says does not go in', 'ENOSPC', { kind: 'unwritten', error: { code: 'output' } }],
  ])('is over when %s', async (_, code, expected) => {
    const { session } = await open('yes');
    const stdout = new Writable({
      write: (_chunk, _encoding, done) => done(Object.assign(new Error(`write ${code}`), { code })),
    });
    const others = vi.fn();
    stdout.on('error', others);
    const end = await runSession(session, { ...makeStdio(), stdout }, { terminal: false });
    expect(end).toMatchObject(expected);
    expect(others).not.toHaveBeenCalled();
    expect(stdout.listeners('error')).toEqual([others]);
  });

  it('waits for who reads slowly', async () => {
    const bytes = 6 * 1024 * 1024;
    const { session } = await open(`head -c ${bytes} /dev/zero`);
    const stdio = makeStdio();
    let most = 0;
    let read = 0;
    const ended = runSession(session, stdio, { terminal: false });
    const reader = setInterval(() => {
      most = Math.max(most, stdio.stdout.readableLength + stdio.stdout.writableLength);
      read += stdio.stdout.read()?.length ?? 0;
    }, 1);
    await ended;
    await expect.poll(() => read).toBe(bytes);
    clearInterval(reader);
    expect(most).toBeLessThan(1024 * 1024);
  });
});

describe('a session with a terminal', () => {
  it('has raw mode here while it lasts, and gets new sizes', async () => {
    const before = listeners();
    const { session, sshd } = await open('cat', TERMINAL);
    const stdio = makeStdio();
    const ended = runSession(session, stdio, { terminal: true });
    expect(stdio.raw).toEqual([true]);
    Object.assign(stdio.stdout, { columns: 120, rows: 50 }).emit('resize');
    stdio.stdin.end();
    await ended;
    expect(stdio.raw).toEqual([true, false]);
    expect(sshd.requests()).toEqual(['pty xterm 80x24', 'window 120x50']);
    expect([stdio.stdout.listenerCount('resize'), listeners()]).toEqual([0, before]);
  });

  it('gives raw mode back when the connection is lost', async () => {
    const { session, sshd } = await open('echo ready; sleep 60', TERMINAL);
    const stdio = makeStdio();
    const ended = runSession(session, stdio, { terminal: true });
    await spoken(session);
    sshd.cut();
    await expect(ended).rejects.toMatchObject({ code: 'ssh-lost' });
    expect(stdio.raw).toEqual([true, false]);
  });

  it('leaves an input that is no terminal alone', async () => {
    const { session } = await open('cat', TERMINAL);
    const stdio = makeStdio();
    stdio.stdin.isTTY = false;
    stdio.stdin.end();
    await runSession(session, stdio, { terminal: true });
    expect(stdio.raw).toEqual([]);
  });
});

it.each([
  ['its own exit status', { kind: 'exit', exit: { status: 7 } }, 7],
  ['the signal that ended it there', { kind: 'exit', exit: { signal: 'SIGTERM' } }, 143],
  ['a signal that only other systems have', { kind: 'exit', exit: { signal: 'SIGWHAT' } }, 255],
  ['a signal here', { kind: 'signal', signal: 'SIGINT' }, 130],
  ['a reader that went away', { kind: 'unread' }, 0],
] as const)('the exit status tells %s', (_, end, status) => {
  expect(sessionStatus(end)).toBe(status);
});

it('a stream that is no terminal has the classic size', () => {
  expect(terminalSize(new PassThrough())).toEqual({ columns: 80, rows: 24 });
});
