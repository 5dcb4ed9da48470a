import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRegistry } from '../../src/registry/registry.ts';
import { openFileStore } from '../../src/store/file.ts';
import { hasSshd, startOpenSsh } from '../ssh/openssh.ts';
import { desiredUnit } from '../support/builders.ts';
import { buildProgram } from '../support/bundle.ts';

/** Modules of Node that take a millisecond or more. */
const SLOW_MODULES = [
  ...[
    'child_process',
    'crypto',
    'fs/promises',
    'http',
    'https',
    'net',
    'readline',
    'readline/promises',
    'stream',
  ],
  ...['tls', 'zlib'],
];

/** Runs before fleetctl in its process. Records what it loads, and the objects that take milliseconds to make. */
const PROBE = `
const fs = require('node:fs');
const slow = [];
const parts = [];
const counted = (name, isSlow) => {
  const made = (target, given) => { if (isSlow(...given)) slow.push(name); return Reflect.construct(target, given); };
  return (value) => new Proxy(value, { construct: made });
};
WebAssembly.Module = counted('WebAssembly.Module', () => true)(WebAssembly.Module);
WebAssembly.instantiate = () => slow.push('WebAssembly.instantiate');
globalThis.RegExp = counted('emoji', (source) => String(source).includes('RGI_Emoji'))(RegExp);
Intl.Segmenter = counted('Intl.Segmenter', () => true)(Intl.Segmenter);
const { readFileSync } = fs;
fs.readFileSync = (file, ...options) => {
  const [, part] = /chunks.([\\w-]+)\\.cjs$/.exec(file) ?? [];
  if (part !== undefined) parts.push(part);
  return readFileSync(file, ...options);
};
process.on('exit', () => {
  const modules = ${JSON.stringify(SLOW_MODULES)}.filter((name) => process.moduleLoadList.includes('NativeModule ' + name));
  fs.writeFileSync(process.env.FOUND, JSON.stringify({ parts, modules, slow }));
});
`;

const folder = mkdtempSync(join(tmpdir(), 'fleet-start-up-'));
afterAll(() => rmSync(folder, { recursive: true }));
beforeAll(async () => {
  const registry = createRegistry(openFileStore(join(folder, 'registry')), {
    clock: { now: () => 0 },
    author: 'me@here',
  });
  await registry.update(() => [{ kind: 'put-unit', unit: desiredUnit('db.service') }]);
  await registry.close();
  buildProgram(folder);
  writeFileSync(join(folder, 'probe.cjs'), PROBE);
  writeFileSync(join(folder, 'fleet.conf'), '[machine.m1]\naddress = 127.0.0.1\n');
});

type Found = Readonly<Record<'parts' | 'modules' | 'slow', readonly string[]>>;

/** What a command loads. */
function probe(argv: readonly string[]): Found & { readonly stdout: string } {
  const found = join(folder, 'found.json');
  const { stdout, stderr } = spawnSync(process.execPath, [join(folder, 'bin/fleetctl'), ...argv], {
    cwd: folder,
    encoding: 'utf8',
    env: {
      PATH: process.env.PATH,
      HOME: folder,
      FOUND: found,
      NODE_OPTIONS: `--require ${join(folder, 'probe.cjs')}`,
    },
  });
  if (!argv.includes(NO_FLEETD)) expect(stderr).not.toContain('Error');
  return { ...(JSON.parse(readFileSync(found, 'utf8')) as Found), stdout };
}

/** The modules for hashes and addresses. */
const HASH = ['crypto', 'net', 'stream'];
/** The endpoint of a fleetd that is not there. */
const NO_FLEETD = 'unix:///nowhere';
/** The parts that every command loads. */
const START = ['start', 'rolldown-runtime'];

describe('a command loads only what it uses:', () => {
  it.each<[argv: readonly string[], parts: readonly string[], modules: readonly string[]]>([
    [['--version'], [], []],
    [['help'], ['commands'], []],
    [['help', 'units'], ['commands', 'manual'], []],
    [['__complete', '--', 'help', 'un'], ['commands'], []],
    [['help', 'start'], ['commands', 'program'], []],
    [['__complete', '--', 'li'], ['commands'], []],
    [['__complete', '--', 'list-units', '--fields='], ['commands'], []],
    [['__complete', '--', 'ssh', '--machine='], ['commands', 'registry', 'model'], HASH],
    [['__complete', '--', 'cat', ''], ['commands', 'registry', 'model'], HASH],
    [['cat', 'db'], ['program', 'commands', 'registry', 'model'], HASH],
  ])('%s', (argv, parts, modules) => {
    expect(probe(argv)).toMatchObject({ parts: [...START, ...parts], modules, slow: [] });
  });

  it('no reader of unit files for the definitions of commands', () => {
    expect(readFileSync(join(folder, 'dist/chunks/commands.cjs'), 'utf8')).not.toContain('parseUnitFile(');
  });

  it('neither ssh2 nor zod nor HTTP for a list from fleetd', () => {
    const { parts, modules } = probe(['list-units', '--endpoint', NO_FLEETD]);
    expect(parts).toEqual([...START, 'program', 'commands', 'lists', 'model']);
    expect(modules).toEqual(['net', 'stream']);
  });

  it('no emoji, no Segmenter, no WebAssembly and no HTTP for a list', () => {
    const { slow, modules } = probe(['list-units']);
    expect({ slow, modules }).toEqual({ slow: [], modules: HASH });
  });
});

describe.skipIf(!hasSshd)('a cipher without native code', () => {
  it.each([
    ['chacha20-poly1305@openssh.com', ['WebAssembly.Module']],
    ['aes128-gcm@openssh.com', []],
  ])('is compiled when it is used: %s', async (cipher, compiled) => {
    const { host, port, user, identityFile, folder: keys } = await startOpenSsh([`Ciphers ${cipher}`]);
    const hostKey = readFileSync(join(keys, 'host_ed25519.pub'), 'utf8');
    writeFileSync(join(folder, 'known_hosts'), `[${host}]:${port} ${hostKey}`, { mode: 0o600 });
    const ssh = `user = ${user}\nidentity_file = ${identityFile}\nknown_hosts_file = known_hosts\n`;
    const conf = join(folder, 'cipher.conf');
    writeFileSync(conf, `[ssh]\n${ssh}[machine.m1]\naddress = ${host}:${port}\n`, { mode: 0o600 });
    const { slow, stdout } = probe(['--config', conf, 'ssh', '--machine', 'm1', 'echo', 'hello']);
    expect({ slow, stdout }).toEqual({ slow: compiled, stdout: 'hello\n' });
  });
});

describe('the program', () => {
  it('is ASCII', () => {
    const { stdout } = spawnSync(
      'grep',
      ['-rlP', '[^\\x00-\\x7f]', '--include=*.cjs', join(folder, 'dist')],
      {
        encoding: 'utf8',
      },
    );
    expect(stdout).toBe('');
  });
});
