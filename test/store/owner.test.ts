import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { mayBeRunning, type Owner, parseOwner, thisProcess } from '../../src/store/owner.ts';

const linux = existsSync('/proc/self/stat');
const me = thisProcess();

describe('an owner', () => {
  it('is written and read back', () => {
    expect(parseOwner(JSON.stringify(me))).toEqual(me);
    expect(me.pid).toBe(process.pid);
    expect(me.command).not.toBe('');
  });

  it.runIf(linux)('is known by more than its number where there is /proc', () => {
    expect(me.started).toMatch(/^\d+$/);
    expect(me.boot).toMatch(/^[0-9a-f-]{36}$/);
    expect(me.namespace).toMatch(/^pid:\[\d+\]$/);
  });

  const unreadable: [what: string, text: string][] = [
    ['nothing', ''],
    ['half of it', JSON.stringify(me).slice(0, 20)],
    ['zeros, as a power loss leaves them', '\0'.repeat(80)],
    ['JSON without a pid', '{}'],
    ['null', 'null'],
    ['all processes', JSON.stringify({ ...me, pid: -1 })],
    ['a process group', JSON.stringify({ ...me, pid: 0 })],
    ['a pid as text', JSON.stringify({ ...me, pid: '12' })],
  ];
  it.each(unreadable)('is not read from %s', (_what, text) => {
    expect(parseOwner(text)).toBeUndefined();
  });
});

describe('an owner may be running', () => {
  const cases: [why: string, running: boolean, owner: Owner][] = [
    ['this process', true, me],
    ['the first process, which others may not signal', true, { ...me, pid: 1, started: '' }],
    ['a number beyond all processes', false, { ...me, pid: 2 ** 30 }],
    ['started without /proc, and its number is in use', true, { ...me, started: '', boot: '' }],
    ['another namespace: the number says nothing here', true, { ...me, pid: 2 ** 30, namespace: 'pid:[1]' }],
    ['another namespace, and its boot id neither', true, { ...me, namespace: 'pid:[1]', boot: 'other' }],
    ['a system without namespaces seen from one with them', linux, { ...me, pid: 2 ** 30, namespace: '' }],
  ];
  it.each(cases)('%s: %s', (_why, running, owner) => {
    expect(mayBeRunning(owner)).toBe(running);
  });

  const onLinux: [why: string, owner: Owner][] = [
    ['its number went to a process started at another time', { ...me, started: '1' }],
    ['it ran before the last boot', { ...me, boot: '00000000-0000-0000-0000-000000000000' }],
  ];
  it.runIf(linux).each(onLinux)('no: %s', (_why, owner) => {
    expect(mayBeRunning(owner)).toBe(false);
  });

  it('no: it was killed', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    await once(child, 'spawn');
    const owner = ownerOf(child.pid);
    expect(mayBeRunning(owner)).toBe(true);
    await kill(child);
    expect(mayBeRunning(owner)).toBe(false);
  });

  it.runIf(linux)('no: it was killed, and its parent has not noticed yet', async () => {
    // The shell starts a process and becomes another program, which does not know that it has a child.
    const become = 'sleep 600 & exec "$0" -e "console.log($!); setInterval(() => {}, 1000)"';
    const parent = spawn('/bin/sh', ['-c', become, process.execPath], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    try {
      const [line] = await once(parent.stdout, 'data');
      const owner = ownerOf(Number(`${line}`));
      expect(mayBeRunning(owner)).toBe(true);
      process.kill(owner.pid, 'SIGKILL');
      for (let i = 0; i < 5000 && !statOf(owner.pid).startsWith('Z'); i++) await sleep(1);
      expect(statOf(owner.pid)).toMatch(/^Z/);
      expect(mayBeRunning(owner)).toBe(false);
    } finally {
      await kill(parent);
    }
  });
});

function ownerOf(pid = 0): Owner {
  return { ...me, pid, started: linux ? (statOf(pid).split(' ')[19] ?? '') : '' };
}

/** /proc/PID/stat from the state on, for a process whose name has no parenthesis. */
function statOf(pid: number): string {
  return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1] ?? '';
}

async function kill(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}
