import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { compareText } from '../../src/base/text.ts';
import { inside, insideAll, MACHINES, onMachines, SUBNET } from '../support/cluster.ts';
import { createOperator, done, type Outcome, SLEEPER, service, WAITING } from './operator.ts';

const TEN = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => `${name}.service`);

onMachines('a folder', () => {
  const operator = createOperator();
  const plan = (...words: readonly string[]): Promise<Outcome> =>
    operator.fleetctl('plan', 'units', ...words);
  const apply = (...words: readonly string[]): Promise<Outcome> =>
    operator.fleetctl('apply', 'units', ...words);
  const idOf = ({ stdout }: Outcome): string => /^Plan: (\S+)/m.exec(stdout)?.[1] ?? '';
  const remove = (name: string): void => rmSync(join(operator.folder, 'units', name));
  /** Unit → the id of its current run, on all machines. */
  const runs = async (): Promise<Readonly<Record<string, string>>> => {
    const shown = await insideAll(
      MACHINES,
      `cd /etc/systemd/system && for unit in *.service; do [ -f /var/lib/fleet/units/$unit ] || continue; echo "$unit $(systemctl show --value -p InvocationID $unit)"; done`,
    );
    return Object.fromEntries(
      shown
        .join('\n')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => line.split(' ')),
    );
  };

  it('of ten units is brought to the machines, with the plan that was shown', async () => {
    for (const name of TEN) operator.write(`units/${name}`, SLEEPER);
    operator.write(
      'units/web@.service',
      service('ExecStart=/bin/sleep 100000', 'Instances=2\nConflicts=web@*.service'),
    );
    operator.write('units/job.service', service('Type=oneshot\nExecStart=/bin/true'));
    operator.write('units/job.timer', '[Timer]\nOnCalendar=yearly\n');
    operator.write('units/README.md', '');
    const planned = await plan();
    expect({ ...planned, stdout: planned.stdout.split('\n').at(-2) }).toEqual({
      status: 6,
      stdout: expect.stringMatching(/^Plan: [0-9a-f]{24}-\d+ \(11 new, 0 unchanged\)$/),
      stderr: '',
    });
    expect((await apply()).stderr).toContain('hint: Add --yes');
    const applied = await apply('--plan', idOf(planned));
    expect([applied.status, applied.stderr]).toEqual([0, '']);
    expect(applied.stdout).toContain('Unit web@2.service launched on ');
    expect(Object.keys(await runs())).toHaveLength(9);
    expect(await plan()).toEqual(done('No changes: set "units" is as wanted (11 unchanged)'));
  });

  it('with a change, an addition, a removal and a new name restarts only what has changed', async () => {
    const before = await runs();
    operator.write('units/a.service', service('ExecStart=/bin/sleep 200000'));
    operator.write('units/new.service', SLEEPER);
    operator.write('units/renamed.service', SLEEPER);
    remove('b.service');
    remove('c.service');
    const { status, stdout } = await apply('--prune', '--yes');
    expect(status).toBe(0);
    expect(stdout).toContain('    -ExecStart=/bin/sleep 100000\n    +ExecStart=/bin/sleep 200000\n');
    expect(stdout).toContain('(2 new, 1 changed, 2 removed, 8 unchanged)\n');
    expect(stdout).toContain('Destroyed b.service\nDestroyed c.service\n');
    const after = await runs();
    const kept = Object.keys(after).filter((unit) => after[unit] === before[unit]);
    expect(kept.toSorted(compareText)).toEqual([
      ...['d.service', 'e.service', 'f.service', 'job.service', 'web@1.service', 'web@2.service'],
    ]);
    expect(Object.keys(after)).not.toContain('b.service');
    expect((await plan('--prune')).status).toBe(0);
  });

  it('is not applied by a plan that another operator has overtaken', async () => {
    operator.write('units/a.service', service('ExecStart=/bin/sleep 300000'));
    const id = idOf(await plan());
    operator.write('other/f.service', service('ExecStart=/bin/sleep 400000'));
    await operator.fleetctl('start', '--replace', 'other/f.service');
    expect((await plan()).stdout).toContain('2 changed');
    const before = await runs();
    const refused = await apply('--plan', id);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toMatch(
      /^Error: Cannot apply plan \S+: it has changed since it was made\n {2}f\.service has a new text, [0-9a-f]{7}: \d+s ago by root@\S+\nhint: /,
    );
    expect(await runs()).toEqual(before);
    const next = await apply('--plan', idOf(refused));
    expect([next.status, idOf(next)]).toEqual([0, idOf(refused)]);
  });

  it('of an exported cluster has no changes', async () => {
    await operator.fleetctl('stop', 'd.service');
    await operator.fleetctl('unload', 'e.service');
    const exported = await operator.fleetctl('export', 'copy', '--set', 'units');
    expect(exported.stdout).toBe('Exported 9 unit files to copy\n');
    expect(await operator.fleetctl('diff', 'copy')).toEqual(done());
    expect(await operator.fleetctl('plan', 'copy', '--set', 'units', '--prune')).toEqual(
      done('No changes: set "units" is as wanted (11 unchanged)'),
    );
  });

  it('can be joined by a unit that runs without fleet, in its present run', async () => {
    const legacy = service('ExecStart=/bin/sleep 500000');
    await inside(
      'k2',
      `printf '${legacy.replaceAll('\n', '\\n')}' >/etc/systemd/system/legacy.service && systemctl daemon-reload && systemctl start legacy`,
    );
    const run = (): Promise<string> => inside('k2', 'systemctl show --value -p InvocationID legacy');
    const before = await run();
    expect(await operator.fleetctl('adopt', 'legacy', '--machine', 'k2')).toEqual(
      done(`Unit legacy.service launched on 00000000.../${SUBNET}.2`),
    );
    await inside(
      'k2',
      'cd /etc/systemd/system && cp legacy.service legacy@.service && systemctl daemon-reload && systemctl start legacy@1 legacy@2',
    );
    const instances = (): Promise<string> =>
      inside('k2', 'systemctl show --value -p InvocationID -p MainPID legacy@1 legacy@2');
    const running = await instances();
    expect((await operator.fleetctl('adopt', 'legacy@1', '--machine', 'k2')).status).toBe(0);
    expect(await instances()).toBe(running);
    expect(await inside('k2', 'systemctl show --value -p FragmentPath legacy@1 legacy@2')).toBe(
      '/etc/systemd/system/legacy@1.service\n\n/etc/systemd/system/legacy@.service\n',
    );
    await inside('k2', 'cd /etc/systemd/system && systemctl stop legacy@2 && rm legacy@.service');
    operator.write('units/legacy.service', legacy);
    await operator.fleetctl('start', 'd', 'e');
    expect(await apply('--yes')).toEqual({
      status: 0,
      stdout: expect.stringMatching(
        /^Join set "units": legacy.service\nPlan: [0-9a-f]{24}-\d+ \(12 unchanged\)\n$/,
      ),
      stderr: '',
    });
    expect(await run()).toBe(before);
  });
});

onMachines('a folder in CI', () => {
  const operator = createOperator({ top: { registry: 'machines' } });
  /** A command of a job, whose home folder is new. */
  const run = async (...words: readonly string[]): Promise<Outcome> => {
    const home = mkdtempSync(join(operator.folder, 'home-'));
    const outcome = await operator.launch(words, { env: { HOME: home, XDG_CACHE_HOME: '' } }).ended;
    return { ...outcome, stderr: outcome.stderr.replaceAll(WAITING, '') };
  };

  it('is applied by the id in the comment, also when the job runs again, and not after a change', async () => {
    operator.write('units/a.service', SLEEPER);
    operator.write('units/b.service', SLEEPER);
    const comment = await run('plan', 'units', '--prune', '-o', 'markdown');
    expect([comment.status, comment.stderr]).toEqual([6, '']);
    const id = /Plan <code>([^<]*)/.exec(comment.stdout)?.[1] ?? '';
    expect(JSON.parse((await run('plan', 'units', '--prune', '-o', 'json')).stdout)).toMatchObject({
      plan: id,
    });
    const apply = ['apply', 'units', '--prune', '--plan', id];
    expect(await run(...apply, '--dry-run')).toMatchObject({ status: 6, stderr: '' });
    expect(await run(...apply)).toMatchObject({ status: 0, stderr: '' });
    expect((await run(...apply)).stdout).toBe('No changes: set "units" is as wanted (2 unchanged)\n');
    await operator.fleetctl('stop', 'b');
    for (const words of [apply, [...apply, '--dry-run']]) {
      const { status, stderr } = await run(...words);
      expect([status, stderr]).toEqual([
        1,
        expect.stringMatching(
          /^Error: Cannot apply plan \S+: it has changed since it was made\n {2}a\.service goes to .*\n {2}b\.service shall be loaded: .* ago by root@/m,
        ),
      ]);
    }
  });
});
