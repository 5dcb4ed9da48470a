import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRegistry } from '../../src/registry/registry.ts';
import { openFileStore } from '../../src/store/file.ts';
import { desiredUnit } from '../support/builders.ts';
import { buildProgram } from '../support/bundle.ts';

/** Modules of Node that take a millisecond or more. */
const SLOW_MODULES = ['child_process', 'crypto', 'http', 'https', 'tls', 'readline', 'readline/promises'];

/** Runs before fleetctl in its process. Records what it loads, and the objects that take milliseconds to make. */
const PROBE = `
const fs = require('node:fs');
const slow = [];
const parts = [];
const counted = (name, isSlow) => {
  const made = (target, given) => { if (isSlow(...given)) slow.push(name); return Reflect.construct(target, given); };
  return (value) => new Proxy(value, { construct: made });
};
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
function probe(argv: readonly string[]): Found {
  const found = join(folder, 'found.json');
  const { stderr } = spawnSync(process.execPath, [join(folder, 'bin/fleetctl'), ...argv], {
    cwd: folder,
    encoding: 'utf8',
    env: {
      PATH: process.env.PATH,
      HOME: folder,
      FOUND: found,
      NODE_OPTIONS: `--require ${join(folder, 'probe.cjs')}`,
    },
  });
  expect(stderr).not.toContain('Error');
  return JSON.parse(readFileSync(found, 'utf8')) as Found;
}

/** The parts that every command loads. */
const START = ['start', 'rolldown-runtime'];

describe('a command loads only what it uses:', () => {
  it.each<[argv: readonly string[], parts: readonly string[], modules: readonly string[]]>([
    [['--version'], [], []],
    [['help'], ['program', 'commands', 'manual'], ['child_process']],
    [['help', 'start'], ['program', 'commands'], ['child_process']],
    [['__complete', '--', 'li'], ['commands'], []],
    [['__complete', '--', 'list-units', '--fields='], ['commands'], []],
    [['__complete', '--', 'ssh', '--machine='], ['commands', 'registry'], ['crypto']],
    [['__complete', '--', 'cat', ''], ['commands', 'registry'], ['crypto']],
    [
      ['cat', 'db'],
      ['program', 'commands', 'registry'],
      ['child_process', 'crypto'],
    ],
  ])('%s', (argv, parts, modules) => {
    expect(probe(argv)).toEqual({ parts: [...START, ...parts], modules, slow: [] });
  });

  it('no emoji, no Segmenter and no HTTP for a list', () => {
    const { slow, modules } = probe(['list-units']);
    expect({ slow, modules }).toEqual({ slow: [], modules: ['child_process', 'crypto'] });
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
