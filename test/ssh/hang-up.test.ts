import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { hangUp, type RemoteProcess } from '../../src/ssh/transport.ts';
import { hasSshd, startOpenSsh } from './openssh.ts';
import { createTransport, run, targetOf } from './support.ts';

// sshd without a terminal reports no lost connection; only a real sshd shows that.
describe.skipIf(!hasSshd || !existsSync('/proc/self/status'))('hanging up', () => {
  test('ends a command with all its children, and no command of other connections', async () => {
    const server = await startOpenSsh();
    const target = targetOf(server, server.identityFile, { user: server.user });
    const ours = createTransport(server.folder);
    const theirs = createTransport(server.folder);
    const command = 'echo $$; sleep 300 & echo $!; wait';
    const doomed = await pids(await ours.exec(target, command), 2);
    const spared = await pids(await theirs.exec(target, command), 2);
    await hangUp(ours, target);
    await expect.poll(() => doomed.filter(isAlive)).toEqual([]);
    expect(spared.filter(isAlive)).toEqual(spared);
    await hangUp(theirs, target);
    await expect.poll(() => spared.filter(isAlive)).toEqual([]);
    await Promise.all([ours.close(), theirs.close()]);
  });

  test('leaves a connection with nothing on it as it is', async () => {
    const server = await startOpenSsh();
    const target = targetOf(server, server.identityFile, { user: server.user });
    const transport = createTransport(server.folder);
    await hangUp(transport, target);
    expect((await run(transport, target, 'echo still here')).stdout).toBe('still here\n');
    await transport.close();
  });
});

/** The first numbers that a command prints. */
function pids(process: RemoteProcess, count: number): Promise<readonly number[]> {
  return new Promise((resolve) => {
    let text = '';
    process.onStdout((chunk) => {
      text += chunk;
      const lines = text.split('\n').slice(0, -1);
      if (lines.length >= count) resolve(lines.map(Number));
    });
  });
}

/** A zombie has ended, and its parent has not read its status yet. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
