import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { openRootShell } from '../../src/ssh/root-shell.ts';
import { quote } from '../../src/ssh/shell.ts';
import { DEFAULT_WAIT } from '../../src/systemd/driver.ts';
import { observeQuery } from '../../src/systemd/observation.ts';
import { createSshDriver } from '../../src/systemd/ssh-driver.ts';
import { hasSshd, startOpenSsh } from './openssh.ts';
import { createRig, failure, targetOf } from './support.ts';

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

  test('that refuses every login is reported', async () => {
    expect((await observeBehind('echo "This account is currently not available."; exit 1')).message).toBe(
      'Cannot use machine "m1": "This account is currently not available."',
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
    const access = () => ({ ssh: target, become: 'none' as const });
    const driver = createSshDriver(transport, { access, settleMs: 0, wait: DEFAULT_WAIT });
    const session = driver.connect({ name: 'm1', address: target.host, metadata: {} });
    return failure(session.ask(observeQuery({ names: [], digests: false })), 'remote-script');
  }
});
