import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { isFleetError } from '../../src/base/errors.ts';
import { type Become, BecomePassword } from '../../src/ssh/become.ts';
import { openRootShell } from '../../src/ssh/root-shell.ts';
import { CLEAN_SHELL, LocalShell } from '../support/local-shell.ts';
import { targetOf, temporaryFolder } from './support.ts';

const STUBS = new URL('../support/stubs', import.meta.url).pathname;

type Situation = {
  readonly user?: string;
  readonly become?: Become;
  /** What the person gives. */
  readonly password?: string;
  readonly environment?: Readonly<Record<string, string>>;
};

/** Opens a shell on machines that share the password, one after the other, and has each say something twice. */
async function open(situation: Situation, machines: readonly string[] = ['m1']) {
  const { user = 'core', become = 'sudo', password, environment } = situation;
  const log = join(await temporaryFolder(), 'log');
  const shell = new LocalShell({
    shell: '/bin/sh',
    setup: '',
    environment: { PATH: `${STUBS}:${process.env.PATH}`, SUDO_LOG: log, ...environment },
    rewrite: (script) => script,
  });
  onTestFinished(() => shell.kill());
  const given = password === undefined ? undefined : new BecomePassword(async () => password);
  const ends: { readonly code: string; readonly message: string; readonly hint?: string | undefined }[] = [];
  for (const name of machines) {
    const ssh = targetOf({ host: '127.0.0.1', port: 22 }, undefined, { name, user });
    try {
      const process = await openRootShell(shell, { ssh, become, password: given }, 'echo "hello $LC_ALL"\n');
      let said = '';
      process.onStdout((chunk) => {
        said += chunk;
      });
      process.write('\necho "and $LC_ALL"; exit\n');
      await process.exit;
      ends.push({ code: 'open', message: said.replace(/^ready-.*\n/, '') });
    } catch (error) {
      if (!isFleetError(error)) throw error;
      ends.push({ code: error.code, message: error.message, hint: error.hint });
    }
  }
  return { ends, commands: shell.commands, sent: existsSync(log) ? readFileSync(log, 'utf8') : '' };
}

describe('a root shell', () => {
  it.each([
    ['root', 'sudo', `exec ${CLEAN_SHELL} -c `],
    ['core', 'none', `exec ${CLEAN_SHELL} -c `],
    ['core', 'sudo', `exec env LC_ALL=C sudo -n -- ${CLEAN_SHELL} -c `],
  ] as const)('of %s with become = %s is one exec', async (user, become, start) => {
    const { ends, commands } = await open({ user, become });
    expect(ends).toEqual([{ code: 'open', message: 'hello C\nand C\n' }]);
    expect(commands).toEqual([expect.stringContaining(start)]);
  });

  it('is had for a password, which is asked for once and is in no command', async () => {
    const { ends, commands, sent } = await open({
      password: 'it\'s \\ a "secret" $x',
      environment: { SUDO_PASSWORD: 'it\'s \\ a "secret" $x' },
    });
    expect(ends).toEqual([{ code: 'open', message: 'hello C\nand C\n' }]);
    expect(sent).toBe('it\'s \\ a "secret" $x\n');
    expect(commands.join()).not.toContain('secret');
  });

  it('is had without the password where none is asked for: it is not sent', async () => {
    const { ends, sent } = await open({ password: 'secret' });
    expect([ends, sent]).toEqual([[{ code: 'open', message: 'hello C\nand C\n' }], '']);
  });

  it('is not had with a wrong password, which one machine gets once, whatever language sudo speaks', async () => {
    const environment = { SUDO_PASSWORD: 'right', SUDO_AGAIN: 'Leider falsch.' };
    const { ends, sent } = await open({ password: 'wrong', environment }, ['m1', 'm2', 'm3']);
    expect(sent).toBe('wrong\n');
    expect(ends.map(({ code, message }) => [code, message])).toEqual([
      ['become-refused', 'Cannot use machine "m1": sudo did not take the password'],
      [
        'become-refused',
        'Cannot use machine "m2": the password for sudo was not sent there, because machine "m1" refused it',
      ],
      [
        'become-refused',
        'Cannot use machine "m3": the password for sudo was not sent there, because machine "m1" refused it',
      ],
    ]);
    expect(JSON.stringify(ends)).not.toContain('wrong');
  });

  it('reports a missing permission differently from a wrong password, and continues with the next machine', async () => {
    const environment = { SUDO_PASSWORD: 'right', SUDO_RULES: 'core is not in the sudoers file.' };
    const { ends, sent } = await open({ password: 'right', environment }, ['m1', 'm2']);
    expect(sent).toBe('right\nright\n');
    expect(ends[0]).toEqual({
      code: 'become-denied',
      message: 'Cannot use machine "m1": "core is not in the sudoers file."',
      hint: 'Run visudo there and add "core ALL=(ALL) ALL", or log in as another user',
    });
    expect(ends[1]?.code).toBe('become-denied');
  });

  it.each([
    ['sudo: sorry, you must have a tty to run sudo', 'become-tty', 'add "Defaults:core !requiretty"'],
    ['sudo: 1 incorrect password attempt', 'become-refused', 'Give the right password'],
    ["sudo: I'm sorry core. I'm afraid I can't do that", 'become-denied', 'visudo'],
    ['Sorry, user core is not allowed to execute x as root', 'become-denied', 'visudo'],
    ["env: 'sudo': No such file or directory", 'become-missing', 'Install sudo there'],
    ['sudo: unable to open /etc/sudoers', 'remote-script', 'root rights'],
  ])('says why: %s', async (says, code, hint) => {
    const { ends } = await open({ password: 'x', environment: { SUDO_SAYS: says } });
    expect(ends).toEqual([
      { code, message: `Cannot use machine "m1": "${says}"`, hint: expect.stringContaining(hint) },
    ]);
  });
});
