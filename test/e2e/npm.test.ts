import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };

const ROOT = resolve(import.meta.dirname, '../..');
/** What the package is made of. */
const PARTS = ['.npmrc', 'CHANGELOG.md', 'LICENSE', 'README.md', 'bin', 'examples', 'package.json'];
const SOURCES = [...PARTS, 'package-lock.json', 'src'];

describe('npm install --global', () => {
  const folder = mkdtempSync(join(tmpdir(), 'fleet-npm-'));
  const source = join(folder, 'source');
  for (const name of SOURCES) cpSync(join(ROOT, name), join(source, name), { recursive: true });
  afterAll(() => rmSync(folder, { recursive: true }));

  const run = (program: string, ...args: readonly string[]): string => {
    // No network is needed where npm has the packages in its cache, after `npm ci`.
    const env = { ...process.env, npm_config_update_notifier: 'false', npm_config_audit: 'false' };
    const { status, stdout, stderr } = spawnSync(program, args, { cwd: source, env, encoding: 'utf8' });
    expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
    return stdout;
  };
  const install = (name: string, ...what: readonly string[]): void => {
    const prefix = join(folder, name);
    // npm 12 has to be allowed to ask git; earlier ones ignore that.
    run('npm', 'install', '--global', '--prefix', prefix, '--allow-git=all', ...what);
    // Neither program may need anything of the source.
    for (const program of ['fleetctl', 'fleetd'])
      expect(run(join(prefix, 'bin', program), '--version')).toBe(`${program} version ${manifest.version}\n`);
    expect(run(join(prefix, 'bin/fleetctl'), 'help', 'start')).toContain('Usage: fleetctl start');
  };

  it('takes a git URL', () => {
    run('git', 'init', '--quiet');
    run('git', 'add', '.');
    run('git', '-c', 'user.name=t', '-c', 'user.email=t@t', 'commit', '--quiet', '--message=all');
    install('from-git', `git+file://${source}`);
    // It installs all development packages.
  }, 300_000);

  it('takes a packed tarball, without a registry', () => {
    symlinkSync(join(ROOT, 'node_modules'), join(source, 'node_modules'));
    run('npm', 'pack');
    install('from-tarball', '--offline', `./fleet-${manifest.version}.tgz`);
  });
});
