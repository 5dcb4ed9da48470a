import { describe, expect, test } from 'vitest';
import type { SessionRequest } from '../../src/ssh/transport.ts';
import { createRig, failure, run } from './support.ts';

const PLAIN: SessionRequest = { command: undefined, terminal: undefined, forwardAgent: false };
const TERMINAL = { term: 'xterm-256color', size: { columns: 100, rows: 40 } };

describe('a session', () => {
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

  test('that the machine forbids is reported as such', async () => {
    const { transport, target } = await createRig({ misbehaviour: { kind: 'refuse-extras' } });
    const error = await failure(
      transport.open(target, { ...PLAIN, command: 'true', terminal: TERMINAL }),
      'ssh-turned-away',
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

  test('that the machine does not accept is reported as such', async () => {
    const { transport, target } = await createRig(
      { misbehaviour: { kind: 'refuse-extras' } },
      { identityAgent },
    );
    const opening = transport.open(target, { ...PLAIN, command: 'true', forwardAgent: true });
    expect((await failure(opening, 'ssh-turned-away')).message).toMatch(
      /: it granted no session with agent forwarding$/,
    );
  });
});
