import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { createConfig } from '../../src/config/edit-file.ts';

it('a new file gets its folders, which are private, and an existing file stays', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'fleet-config-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, '.config/fleet/fleet.conf');
  await createConfig(path, 'registry = machines\n');
  expect(await readFile(path, 'utf8')).toBe('registry = machines\n');
  expect((await stat(join(folder, '.config'))).mode & 0o777).toBe(0o700);
  await expect(createConfig(path, '')).rejects.toThrow(/cannot write the configuration .*EEXIST/);
});
