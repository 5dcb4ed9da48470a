import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { IDENTITY_FILE, onMachines } from '../support/cluster.ts';
import { done, failed, hire, PROGRAM } from './operator.ts';
import { hasTerminals, Terminal } from './terminal.ts';
import { SLEEPER } from './units.ts';

onMachines('transport = openssh', () => {
  const operator = hire({ ssh: { transport: 'openssh', connect_timeout: '20s' } });

  it('does what the built-in client does, and leaves nothing running', async () => {
    operator.write('web@.service', SLEEPER);
    expect(await operator.fleetctl('start', 'web@1', 'web@2')).toMatchObject({ status: 0 });
    expect((await operator.fleetctl('list-units', '--no-legend', '--fields=unit,sub')).stdout).toBe(
      'web@1.service  running\nweb@2.service  running\n',
    );
    expect(await operator.fleetctl('ssh', 'k1', 'echo out; echo err >&2; exit 7')).toEqual(
      failed(7, 'err\n', 'out\n'),
    );
    expect(await operator.fleetctl('destroy', 'web@1', 'web@2')).toEqual(
      done('Destroyed web@1.service\nDestroyed web@2.service\n'),
    );
    expect(String(spawnSync('pgrep', ['-f', `ssh .*${IDENTITY_FILE}`]).stdout)).toBe('');
  });

  it.skipIf(!hasTerminals)('has the terminal to itself in a login', async () => {
    const terminal = new Terminal([PROGRAM, 'ssh', 'k1'], {
      cwd: operator.folder,
      env: { ...operator.environment, TERM: 'xterm-256color' },
    });
    terminal.type('echo "$TERM" at $(stty size) on $(hostname)\r');
    await terminal.shows(/xterm-256color at 40 100 on k1/);
    terminal.resize();
    terminal.type('sleep 0.3; echo now $(stty size)\r');
    await terminal.shows(/now 50 132/);
    terminal.type('exit 9\r');
    expect(await terminal.ended).toEqual({ status: 9, restored: true });
  });
});
