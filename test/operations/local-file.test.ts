import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readLocalUnits } from '../../src/operations/local-file.ts';

const cwd = mkdtempSync(join(tmpdir(), 'fleet-local-'));
const server = createServer();
beforeAll(async () => {
  execFileSync('mkfifo', ['pipe.service', 'pipe@.service'], { cwd });
  symlinkSync('/dev/zero', join(cwd, 'zero.service'));
  symlinkSync('pipe.service', join(cwd, 'link.service'));
  mkdirSync(join(cwd, 'folder.service'));
  mkdirSync(join(cwd, 'folder'));
  writeFileSync(join(cwd, 'long.service'), `#${'x'.repeat(1024 * 1024)}`);
  writeFileSync(join(cwd, 'most.service'), `#${'x'.repeat(1024 * 1024 - 1)}`);
  writeFileSync(join(cwd, 'bytes.service'), Buffer.from('#\n#\xff', 'latin1'));
  for (const name of ['site.container', 'net.network', 'notes.txt', 'plain'])
    writeFileSync(join(cwd, name), '#');
  await new Promise<void>((resolve) => server.listen(join(cwd, 'socket.service'), resolve));
});
afterAll(() => {
  server.close();
  rmSync(cwd, { recursive: true });
});

const TYPES = 'fleet runs service, socket, timer, path, mount, automount, swap, target and slice units';

it.each([
  ['zero', 'Cannot read unit file "zero.service": it is a device'],
  ['pipe', 'Cannot read unit file "pipe.service": it is a pipe'],
  ['link', 'Cannot read unit file "link.service": it is a pipe'],
  ['pipe@1', 'Cannot read unit file "pipe@.service": it is a pipe'],
  ['socket', 'Cannot read unit file "socket.service": it is a socket'],
  ['folder', 'Cannot read unit file "folder.service": it is a folder'],
  ['long', 'Cannot read unit file "long.service": it is longer than 1 MiB'],
  ['bytes', 'Cannot read unit file "bytes.service", line 2: it is not UTF-8 text'],
  ['site.container', `Cannot run "site.container": ${TYPES}`],
  ['./net.network', `Cannot run "net.network": ${TYPES}`],
  ['notes.txt', `Cannot run "notes.txt": ${TYPES}`],
])('%s cannot be read, at once', async (argument, message) => {
  const [unit] = await readLocalUnits([argument], cwd);
  const error = (unit?.own ?? unit?.template)?.content;
  expect((error as Error).message.replaceAll(`${cwd}/`, '')).toBe(message);
});

it('a file of Quadlet comes with what to do', async () => {
  const [unit] = await readLocalUnits(['site.container'], cwd);
  expect(unit?.own?.content).toMatchObject({
    hint: expect.stringMatching(/^\.container files are for Quadlet: /),
  });
});

it('a folder is not a unit name', async () => {
  await expect(readLocalUnits(['folder/'], cwd)).rejects.toMatchObject({ code: 'unit-name' });
});

it('reads up to 1 MiB', async () => {
  const [unit] = await readLocalUnits(['most'], cwd);
  expect(unit?.own?.content).toHaveLength(1024 * 1024);
});

it.each(['plain', 'gone', 'gone.container', 'pipe.service/x'])('%s is not there', async (argument) => {
  const [unit] = await readLocalUnits([argument], cwd);
  expect([unit?.own, unit?.template]).toEqual([undefined, undefined]);
});
