import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { examineQuery } from '../../src/systemd/examination.ts';
import { observeQuery } from '../../src/systemd/observation.ts';
import { createLocalMachine, type LocalMachine } from '../support/local-machine.ts';
import { changes, unitText } from './changes.ts';

const TEXT = unitText('web', 'ExecStart=/bin/sleep 1000');
const STUBS = new URL('../support/stubs', import.meta.url).pathname;
/** Everything that scripts, and what stands in for systemd, call. */
const TOOLS =
  'base64 basename cat chmod cp cut date df env flock grep id ln ls mkdir mktemp mv rm sed sh sha256sum sleep stat sync tail timeout tr';

/** Commands that give the machine these tools and no others, in front of the stand-ins. */
function onlyTools(machine: LocalMachine, lacking: string): string {
  const bin = machine.path('bin');
  mkdirSync(bin);
  for (const tool of TOOLS.split(' ').filter((each) => each !== lacking)) {
    const path = execFileSync('/bin/sh', ['-c', `command -v ${tool}`], { encoding: 'utf8' }).trim();
    symlinkSync(path, join(bin, tool));
  }
  return `PATH=${bin}:${STUBS}`;
}

describe('a machine', () => {
  it.each([
    [
      'without a usable folder for temporary files',
      'export TMPDIR=/nonexistent TMP=/nonexistent TEMP=/nonexistent',
    ],
    ['with a locale that does not exist', 'export LC_ALL=xx_YY.UTF-8 LANG=xx_YY LANGUAGE=xx'],
    ['in another language', 'export LANG=tr_TR.UTF-8 LC_MESSAGES=de_DE.UTF-8 LANGUAGE=de LC_NUMERIC=de_DE'],
    [
      'whose shell has odd settings',
      'export IFS=/ CDPATH=/usr POSIXLY_CORRECT=1 GREP_OPTIONS=-v ENV=/nonexistent; umask 777',
    ],
    ['that stands in a folder that is gone', 'mkdir "$STUB/gone"; cd "$STUB/gone"; rmdir "$STUB/gone"'],
  ])('%s is as good as any', async (_, setup) => {
    const machine = await createLocalMachine({ setup });
    const outcomes = await machine.change([changes.launch('web.service', TEXT, 1)]);
    expect(outcomes).toMatchObject([{ failure: undefined, state: { active: 'active' } }]);
    expect(machine.text('etc/web.service')).toBe(TEXT);
    expect(machine.mode('etc/web.service')).toBe(0o644);
    expect((await machine.observe()).units.map(({ name, state }) => [name, state.active])).toEqual([
      ['web.service', 'active'],
    ]);
  });

  it.each(['flock', 'sha256sum', 'timeout'])(
    'without %s takes no unit, says what it lacks, and nothing is changed',
    async (tool) => {
      const machine = await createLocalMachine();
      const setup = onlyTools(machine, tool);
      const outcomes = await machine.change([changes.launch('web.service', TEXT, 1)], { setup });
      expect(outcomes.map(({ failure }) => failure)).toEqual([{ code: 'tools', tools: [tool] }]);
      expect(machine.files('etc')).toEqual([]);
      expect(machine.calls('start')).toEqual([]);
    },
  );

  it('without base64 gives no backup: an empty one would be taken for units without a text', async () => {
    const machine = await createLocalMachine();
    await machine.change([changes.launch('web.service', TEXT, 1)]);
    const query = observeQuery({ names: [], digests: false, backup: true });
    await expect(machine.ask(query, { setup: onlyTools(machine, 'base64') })).rejects.toMatchObject({
      code: 'remote-script',
      message: expect.stringContaining('base64 is not there'),
    });
  });

  it('whose clock is hours off is reported with its own time', async () => {
    const machine = await createLocalMachine();
    const bin = machine.path('clock');
    mkdirSync(bin);
    writeFileSync(join(bin, 'date'), `#!/bin/sh\necho ${Math.floor(Date.now() / 1000) - 7200}\n`);
    chmodSync(join(bin, 'date'), 0o755);
    const { clock = 0 } = await machine.ask(examineQuery(), { setup: `PATH=${bin}:$PATH` });
    expect(Math.round((clock - Date.now() / 1000) / 60)).toBe(-120);
  });
});
