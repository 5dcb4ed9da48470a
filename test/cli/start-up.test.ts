import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildProgram } from '../support/bundle.ts';

/** Runs in the process of fleetctl, before it. Counts what costs milliseconds whenever a command starts. */
const PROBE = `
const fs = require('node:fs');
const slow = [];
const counted = (name, isSlow) => {
  const made = (target, given) => { if (isSlow(...given)) slow.push(name); return Reflect.construct(target, given); };
  return (value) => new Proxy(value, { construct: made });
};
globalThis.RegExp = counted('emoji', (source) => String(source).includes('RGI_Emoji'))(RegExp);
Intl.Segmenter = counted('Intl.Segmenter', () => true)(Intl.Segmenter);
process.on('exit', () => fs.writeFileSync(process.env.FOUND, JSON.stringify({ slow })));
`;

const folder = mkdtempSync(join(tmpdir(), 'fleet-start-up-'));
afterAll(() => rmSync(folder, { recursive: true }));
beforeAll(() => {
  buildProgram(folder);
  writeFileSync(join(folder, 'probe.cjs'), PROBE);
  writeFileSync(join(folder, 'fleet.conf'), '[machine.m1]\naddress = 127.0.0.1\n');
});

type Found = { readonly slow: readonly string[] };

/** What a command loads. */
function probe(...argv: readonly string[]): Found {
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

describe('the start of a command', () => {
  it.each([[['--version']], [['help']], [['__complete', '--', 'li']], [['list-unit-files']]])(
    'makes no object that takes milliseconds: %s',
    (argv) => {
      expect(probe(...argv).slow).toEqual([]);
    },
  );
});
