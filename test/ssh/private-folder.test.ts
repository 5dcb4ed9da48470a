import { spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { PrivateFolder } from '../../src/ssh/openssh/folder.ts';

it('what a process that was killed has left is removed by the next one', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'left-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  vi.stubEnv('TMPDIR', folder);
  onTestFinished(() => void vi.unstubAllEnvs());
  const namespace = /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0];
  const { pid: ended } = spawnSync('true');
  const left = `fleet-ssh-${namespace}-${ended}-abcdef`;
  const others = [
    `fleet-ssh-${namespace}-${process.ppid}-abcdef`,
    `fleet-ssh-1-${ended}-abcdef`,
    'fleet-ssh-x',
    `fleet-ssh-${namespace}-${ended}-ABCDEF`,
  ];
  for (const name of [left, ...others.slice(0, 3)]) mkdirSync(join(folder, name));
  writeFileSync(join(folder, left, '1.log'), '');
  symlinkSync('/', join(folder, others[3] ?? ''));
  const own = new PrivateFolder();
  const file = await own.newFile('.sock');
  expect(readdirSync(folder).toSorted()).toEqual([...others, file.split('/').at(-2)].toSorted());
  await own.remove();
  expect(readdirSync(folder).toSorted()).toEqual(others.toSorted());
});
