import { spawnSync } from 'node:child_process';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { Ask } from '../../src/ssh/transport.ts';
import { hasSshd, startOpenSsh } from './openssh.ts';
import { createTransport, failure, run, targetOf, temporaryFolder } from './support.ts';

/** A separate PAM service for one sshd needs root, and a file system that only that process sees. */
const canTest = hasSshd && spawnSync('unshare', ['--mount', 'true']).status === 0;
if (!canTest) console.log("skipped: OpenSSH's server with PAM, which needs root and unshare --mount");
const against = test.skipIf(!canTest);

const CODE = '123456';

against('a code that PAM asks for after the key lets in, once asked for on one connection', async () => {
  const { log, ask } = person([CODE]);
  const { transport, target } = await setUp(ask);
  expect((await run(transport, target, 'echo in')).stdout).toBe('in\n');
  expect((await run(transport, target, 'echo again')).stdout).toBe('again\n');
  expect(log).toEqual([{ text: expect.stringContaining('Password: '), isSecret: true }]);
});

against('a wrong code is asked for again', async () => {
  const { log, ask } = person(['654321', CODE]);
  const { transport, target } = await setUp(ask);
  expect((await run(transport, target, 'echo in')).stdout).toBe('in\n');
  expect(log).toHaveLength(2);
});

against('wrong codes, and a missing terminal, are reported as such', async () => {
  const wrong = await setUp(person([]).ask);
  const refused = await failure(wrong.transport.exec(wrong.target, 'true'), 'ssh-authentication');
  const withoutTerminal = await setUp(undefined);
  const unasked = await failure(
    withoutTerminal.transport.exec(withoutTerminal.target, 'true'),
    'ssh-authentication',
  );
  expect([refused.message, unasked.message]).toEqual([
    expect.stringMatching(
      /: it did not let "root" in with \S+\/id \(ssh-ed25519 \S+\), answers to its questions$/,
    ),
    expect.stringMatching(
      /: after a key it also requires keyboard-interactive, which cannot be answered here$/,
    ),
  ]);
});

/** A person who gives these answers, and a wrong one when there are no more. */
function person(answers: readonly string[]) {
  const log: Parameters<Ask>[0][] = [];
  const ask: Ask = async (question) => {
    log.push(question);
    return answers[log.length - 1] ?? 'wrong';
  };
  return { log, ask };
}

/** A server that wants a key and then a code. */
async function setUp(ask: Ask | undefined) {
  const check = join(await temporaryFolder(), 'check');
  await writeFile(check, `#!/bin/sh\n[ "$(tr -d '\\0')" = ${CODE} ]\n`);
  await chmod(check, 0o755);
  const server = await startOpenSsh(
    [
      'UsePAM yes',
      // Else PAM is given something else than what root answers.
      'PermitRootLogin yes',
      'KbdInteractiveAuthentication yes',
      'AuthenticationMethods publickey,keyboard-interactive',
    ],
    [
      `auth required pam_exec.so expose_authtok quiet ${check}`,
      // What sets the user up later: that module does not.
      'auth required pam_permit.so',
      'account required pam_permit.so',
      'session required pam_permit.so',
    ],
  );
  const transport = createTransport(server.folder, { ask });
  onTestFinished(() => transport.close());
  return { server, transport, target: targetOf(server, server.identityFile, { user: server.user }) };
}
