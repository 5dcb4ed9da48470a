import { describe, expect, it } from 'vitest';
import { statusQuery } from '../../src/systemd/queries.ts';
import { createLocalMachine } from '../support/local-machine.ts';
import { SHELLS } from '../support/local-shell.ts';
import { pass } from './pass.ts';

describe.each(SHELLS)('the status of units in %s', (shell) => {
  it('is what systemctl prints of each, whatever it exits with, in the order asked for', async () => {
    const machine = await createLocalMachine({ shell });
    const text = '[Service]\nExecStart=/bin/sleep 1\n';
    await pass(machine, [
      { name: 'up.service', text, target: 'launched', token: 1 },
      { name: 'down.service', text, target: 'loaded', token: 2 },
    ]);
    const units = ['down.service', 'gone.service', 'up.service'];
    expect(await machine.ask(statusQuery({ units, lines: 5 }))).toEqual([
      '● down.service is inactive',
      'Unit gone.service could not be found.',
      '● up.service is active',
    ]);
    expect(machine.calls('status')).toContain('status --no-pager --full --lines=5 -- up.service');
  });
});
