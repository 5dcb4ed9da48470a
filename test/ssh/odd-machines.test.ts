import { spawnSync } from 'node:child_process';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openRootShell } from '../../src/ssh/root-shell.ts';
import { quote } from '../../src/ssh/shell.ts';
import { PATIENT } from '../../src/systemd/patience.ts';
import { createSshDriver } from '../../src/systemd/ssh-driver.ts';
import { startSshd } from '../support/sshd.ts';
import { hasSshd, startOpenSsh } from './openssh.ts';
import { createRig, createTransport, failure, run, targetOf } from './support.ts';

if (!hasSshd) console.log('skipped: odd machines, for there is no /usr/sbin/sshd');
const against = describe.skipIf(!hasSshd);
/** Every character that may mean something to a shell, in one word. */
const WORD = `${String.fromCharCode(...Array.from({ length: 95 }, (_, index) => 32 + index))}\n\tü!!`;
const FIRST = `x=${quote(WORD)}\nprintf '%s' "$x" "$LC_ALL"\n`;
const NEXT = '\ncd /; x=a; echo ", $x $LC_ALL"; exit 3\n';
const ANSWER = { exit: { status: 3 }, stdout: `${WORD}C, a C\n`, stderr: '' };

against('a login shell', () => {
  for (const shell of ['sh', 'bash', 'dash', 'zsh', 'fish', 'csh', 'tcsh', 'ksh', 'mksh', 'busybox sh'])
    test.skipIf(spawnSync('sh', ['-c', `${shell} -c :`]).status !== 0)(
      `that is ${shell} is replaced at once`,
      async () => expect(await runBehind(`exec ${shell} -c "$SSH_ORIGINAL_COMMAND"`)).toEqual(ANSWER),
    );

  test('that greets, sleeps and warns first is no hindrance', async () => {
    const outcome = await runBehind('echo Welcome; sleep 0.5; echo Old! >&2; sh -c "$SSH_ORIGINAL_COMMAND"');
    expect(outcome).toEqual({ ...ANSWER, stdout: `Welcome\n${ANSWER.stdout}`, stderr: 'Old!\n' });
  });

  test('that lets nobody work says so', async () => {
    expect((await observeBehind('echo "This account is currently not available."; exit 1')).message).toBe(
      'Cannot use machine "m1": This account is currently not available.',
    );
  });

  async function connection(force: string) {
    const server = await startOpenSsh([`ForceCommand ${force}`]);
    const { transport } = await createRig();
    return { transport, target: targetOf(server, server.identityFile, { user: server.user }) };
  }

  async function runBehind(force: string) {
    const { transport, target } = await connection(force);
    const process = await openRootShell(transport, { ssh: target, become: 'none' }, FIRST);
    const output = { stdout: '', stderr: '' };
    process.onStdout((chunk) => (output.stdout += chunk));
    process.onStderr((chunk) => (output.stderr += chunk));
    process.write(NEXT);
    return { exit: await process.exit, ...output };
  }

  async function observeBehind(force: string) {
    const { transport, target } = await connection(force);
    const access = new Map([['m1', { ssh: target, become: 'none' as const }]]);
    const driver = createSshDriver(transport, { access, settleMs: 0, patience: PATIENT });
    const session = await driver.connect({ name: 'm1', address: target.host, metadata: {} });
    return failure(session.observe({ names: [], digests: false }), 'remote-script');
  }
});

describe('a machine that somebody else takes the place of', () => {
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
});

/** A port that leads to another one, until it is turned: then what is open is cut, and the next comes out elsewhere. */
async function relay(port: number) {
  let exit = port;
  const open: Socket[] = [];
  const server = createServer((near) => {
    const far = connect(exit, '127.0.0.1');
    open.push(near, far);
    for (const socket of [near, far]) socket.on('error', () => undefined);
    near.pipe(far).pipe(near);
    near.on('close', () => far.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return {
    port: (server.address() as AddressInfo).port,
    turn: (to: number) => {
      exit = to;
      for (const socket of open.splice(0)) socket.destroy();
    },
  };
}
