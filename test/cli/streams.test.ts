import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { printAnswer } from '../../src/cli/command.ts';
import { render, type Text } from '../../src/cli/terminal.ts';
import { bundle } from '../support/bundle.ts';
import { streamsWith } from './desk.ts';

const folder = mkdtempSync(join(tmpdir(), 'fleet-output-'));
const file = join(folder, 'file');
afterAll(() => rmSync(folder, { recursive: true }));

let program = '';
beforeAll(async () => {
  program = await bundle(new URL('output-worker.ts', import.meta.url), folder);
});

/** A process that says a warning and 100,000 bytes, with its streams led elsewhere. */
function run(redirections: string, before = ':') {
  const script = `trap '' XFSZ; ${before}; exec ${process.execPath} "$1" ${redirections}`;
  const { status, stderr } = spawnSync('sh', ['-c', script, 'sh', program, file], { encoding: 'utf8' });
  return { status, stderr };
}

describe('a report of what was done', () => {
  it.each([
    ['of lines', {}, 'Destroyed a.service\n'],
    ['as JSON', { output: 'json' }, '{\n  "unit": "a.service"\n}\n'],
  ])('%s has its lines for standard error too, should it be needed', async (_, options, text) => {
    const printed: string[] = [];
    const streams = streamsWith({ out: (...texts: Text[]) => void printed.push(...texts.map(render)) });
    const answer = { out: ['Destroyed a.service'], err: [] };
    await printAnswer({ options, streams }, answer, () => ({ unit: 'a.service' }), true);
    expect(printed).toEqual([text, 'Destroyed a.service\n']);
  });
});

describe('output', () => {
  it('goes to a file, whole', () => {
    expect(run('>"$2"')).toEqual({ status: 0, stderr: 'a warning\n' });
    expect(statSync(file).size).toBe(100_000);
  });

  it.each([
    ['to a device that is full', '>/dev/full', ':', 'no space left on device'],
    ['of which a part goes in, as on a disk that is full,', '>"$2"', 'ulimit -f 8', 'file too large'],
  ])('%s is an error', (_, redirections, before, why) => {
    const stderr = `a warning\nwhat was done\nError: Cannot write the output: ${why}\n`;
    expect(run(redirections, before)).toEqual({ status: 1, stderr });
  });

  it('without a reader is not an error', () => {
    expect(run('| head -c 1 >&2').stderr).toBe('a warning\nx');
  });

  it('goes to a pipe that does not block, whole, although its reader is slow', () => {
    // Processes share this property of a pipe, and the shell starts a program without a change of it.
    const opener = `new (require('net').Socket)({ fd: 1, readable: false }); require('fs').writeFileSync(process.argv[1], '');
      setInterval(() => undefined, 1000)`;
    const script = `rm -f "$2"; { "$3" -e "$4" "$2" & until [ -e "$2" ]; do sleep 0.05; done; "$3" "$1"; echo $? >&2
      kill -KILL $!; } | { sleep 1; wc -c >&2; }`;
    const { stderr } = spawnSync('sh', ['-c', script, 'sh', program, file, process.execPath, opener], {
      encoding: 'utf8',
    });
    expect(stderr.match(/\w.*/g)).toEqual(['a warning', '0', '100000']);
  });

  it('that are warnings may be lost: data is not', () => {
    expect(run('2>/dev/full >"$2"')).toEqual({ status: 0, stderr: '' });
    expect(statSync(file).size).toBe(100_000);
  });
});
