import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundle } from '../support/bundle.ts';

const folder = mkdtempSync(join(tmpdir(), 'fleet-process-'));
afterAll(() => rmSync(folder, { recursive: true }));

let worker = '';
beforeAll(async () => {
  worker = await bundle(new URL('process-worker.ts', import.meta.url), folder);
});

/** How the program ends, started by a shell line in which `$1` is it. */
function run(line: string, env: Readonly<Record<string, string>> = {}) {
  const { status, stdout, stderr } = spawnSync('bash', ['-c', line, 'sh', worker, process.execPath], {
    cwd: folder,
    encoding: 'utf8',
    env: { PATH: process.env.PATH, HOME: folder, ...env },
  });
  return { status, stdout, stderr };
}

describe('a process that fails', () => {
  const TRACE = 'hint: FLEETCTL_DEBUG=1 in the environment shows where it happened\n';

  it.each([
    ['throw', `Error: Fleet has a defect: TypeError: x is not a function\n${TRACE}`],
    ['callback', `Error: Fleet has a defect: TypeError: in a callback\n${TRACE}`],
    [
      'system',
      `Error: Cannot continue, because open "/nowhere/file" failed on this computer: no such file or directory\n${TRACE}`,
    ],
  ])('by a %s says so in one line', (way, stderr) => {
    expect(run(`exec "$2" "$1" ${way}`)).toEqual({ status: 1, stdout: '', stderr });
  });

  it('shows where, when asked', () => {
    const { status, stderr } = run('exec "$2" "$1" throw', { FLEETCTL_DEBUG: '1' });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^Error: Fleet has a defect: [\s\S]*\n {4}at /);
  });

  it('says what is wrong with its folder', () => {
    expect(run('mkdir gone; cd gone; rmdir ../gone; exec "$2" "$1"')).toEqual({
      status: 2,
      stdout: '',
      stderr:
        'Error: Cannot use the current folder: no such file or directory\nhint: It may have been removed: change to another one with cd\n',
    });
  });

  it.skipIf(process.getuid?.() !== 0).each(['-u HOME', 'HOME=', 'HOME=.'])(
    'says that it has no home with env %s',
    (home) => {
      // The folder of the tests is closed to others.
      const program = `exec setpriv --reuid 54321 --clear-groups env ${home} "$2" --input-type=module`;
      const { status, stderr } = run(`${program} <"$1"`);
      expect([status, stderr.split('\n')[0]]).toEqual([
        2,
        'Error: Cannot find your home folder: user 54321 has none',
      ]);
    },
  );
});

describe('a process that hangs in a system call', () => {
  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('is ended by %s', async (signal) => {
    rmSync(join(folder, 'pipe'), { force: true });
    const child = spawn(process.execPath, [worker, 'hang'], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk;
    });
    await once(child.stdout, 'data');
    child.kill(signal);
    expect(await once(child, 'close')).toEqual([null, signal]);
    expect(said).toBe('Interrupted.\n');
  });
});

describe('bin/fleetctl', () => {
  let program = '';
  beforeAll(async () => {
    mkdirSync(join(folder, 'program/dist'), { recursive: true });
    const parts = {
      load: new URL('../../src/cli/load.ts', import.meta.url),
      fleetctl: new URL('program-worker.ts', import.meta.url),
    };
    for (const [name, source] of Object.entries(parts))
      cpSync(await bundle(source, folder, 'cjs'), join(folder, `program/dist/${name}.cjs`));
    cpSync(new URL('../../bin', import.meta.url).pathname, join(folder, 'program/bin'), { recursive: true });
    program = join(folder, 'program/bin/fleetctl');
  });

  it.each([
    ['says what is asked', '"$P"', 0, 'data\n', ''],
    [
      'whose output is closed fails',
      '"$P" >&-',
      1,
      '',
      'Error: Cannot write the output: bad file descriptor\n',
    ],
    [
      'whose input is closed too',
      '"$P" <&- >&-',
      1,
      '',
      'Error: Cannot write the output: bad file descriptor\n',
    ],
    ['without any stream', '"$P" <&- >&- 2>&-', 1, '', ''],
    ['without an input', '"$P" <&-', 0, 'data\n', ''],
    ['whose output is discarded', '"$P" >/dev/null', 0, '', ''],
    ['whose output is open for reading and writing', '"$P" 1<>/dev/null', 0, '', ''],
    ['hands on its words', '"$P" "a  b" ""', 0, 'data\n["a  b",""]\n', ''],
  ])('%s', (_, line, status, stdout, stderr) => {
    const path = `${join(process.execPath, '..')}:${process.env.PATH}`;
    expect(run(line, { P: program, PATH: path })).toEqual({ status, stdout, stderr });
  });
});
