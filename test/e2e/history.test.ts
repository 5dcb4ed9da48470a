import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { inside, insideAll, MACHINES, onMachines, SUBNET } from '../support/cluster.ts';
import { createOperator, done, failed, type Outcome, service } from './operator.ts';

const OLD = service('ExecStart=/bin/sleep 111111');
const NEW = service('ExecStart=/bin/sleep 222222');
const OTHER = service('ExecStart=/bin/sleep 333333');
const BAD = service('ExecStart=/bin/sh -c "exit 7"');

onMachines('history and rollback', () => {
  const operator = createOperator({ machines: ['k1', 'k2'] });
  const running = (unit: string) =>
    inside('k1', `systemctl show --value --property=ExecMainPID,SubState ${unit}`);
  const textOn = (unit: string) => inside('k1', `cat /etc/systemd/system/${unit}`);

  it('restore the last good text after a bad replace, and history shows both', async () => {
    operator.write('web.service', OLD);
    await operator.fleetctl('start', 'web');
    operator.write('web.service', BAD);
    expect((await operator.fleetctl('start', 'web', '--replace')).status).toBe(1);

    expect(await operator.fleetctl('rollback', 'web')).toEqual(
      done(`Unit web.service gets the text 9be842c\nUnit web.service launched on 00000000.../${SUBNET}.1`),
    );
    expect(await textOn('web.service')).toBe(OLD);
    expect(await running('web.service')).toContain('running');
    const { stdout } = await operator.fleetctl('history', 'web', '-o', 'json');
    const { history } = JSON.parse(stdout) as {
      history: { hash: string; by: string; current: boolean; result: string }[];
    };
    expect(history.map(({ current }) => current)).toEqual([true, false, false]);
    expect(history.map(({ result }) => result)).toEqual(['good', 'failed', 'good']);
    expect(history[0]?.hash).toBe(history[2]?.hash);
    expect(history[0]?.by).toMatch(/^root@/);
  });

  it('restore only texts that came up, and report that', async () => {
    const before = await running('web.service');
    expect(await operator.fleetctl('rollback', 'web')).toEqual(
      failed(
        2,
        `
        Error: Cannot roll back unit "web.service": it has no earlier good text
        hint: Choose one of its texts: fleetctl history web.service, and then fleetctl rollback web.service --to HASH
        `,
      ),
    );
    expect([await textOn('web.service'), await running('web.service')]).toEqual([OLD, before]);
  });

  it('are not needed for a local file: load -v shows how it differs', async () => {
    const outcome = await operator.fleetctl('load', 'web', '-v');
    expect(outcome.stderr).toContain(
      'hint: Add --replace to use the file\n--- registry:web.service\n+++ HERE/web.service\n',
    );
    expect(outcome.stderr).toContain('-ExecStart=/bin/sleep 111111\n+ExecStart=/bin/sh -c "exit 7"\n');
  });

  it('restart no unit whose text is already the same', async () => {
    const before = await running('web.service');
    const { stdout } = await operator.fleetctl('history', 'web', '--no-legend', '--fields=hash,current');
    const [hash = ''] = stdout.split(' ');
    expect((await operator.fleetctl('rollback', 'web', '--to', hash)).status).toBe(0);
    expect(await running('web.service')).toBe(before);
  });

  it('report with --dry-run that a text is held, and change nothing', async () => {
    const { stdout } = await operator.fleetctl('history', 'web', '-o', 'json');
    const { history } = JSON.parse(stdout) as { history: { hash: string }[] };
    const bad = history[1]?.hash ?? '';
    expect(await operator.fleetctl('rollback', 'web', '--to', bad, '--dry-run')).toMatchObject({
      status: 1,
      stdout: expect.stringContaining('would get the text'),
      stderr: expect.stringContaining('held: text'),
    });
    expect(await textOn('web.service')).toBe(OLD);
  });

  it('keep a destroyed unit in history, and refuse to roll it back', async () => {
    await operator.fleetctl('destroy', 'web');
    const { status, stdout } = await operator.fleetctl('history', 'web', '--no-legend', '--fields=current');
    expect({ status, stdout }).toEqual({ status: 0, stdout: '-\n-\n-\n' });
    expect(await operator.fleetctl('rollback', 'web')).toEqual(
      failed(
        4,
        `
        Error: Cannot roll back unit "web.service": it was destroyed
        hint: Submit it again: fleetctl submit web.service
        `,
      ),
    );
  });

  it('update the instances of a template, also one that was never in the registry', async () => {
    const texts = async (): Promise<readonly string[]> =>
      Promise.all(
        ['app@1', 'app@2', 'app@3'].map((each) =>
          operator.fleetctl('cat', each).then(({ stdout }) => stdout),
        ),
      );
    const replace = async (text: string): Promise<Outcome> => {
      operator.write('units/app@.service', text);
      return operator.fleetctl('submit', '--replace', 'units/app@.service');
    };
    operator.write('units/app@.service', OLD);
    operator.write('units/app@3.service', OTHER);
    await operator.fleetctl('start', 'units/app@1', 'units/app@2', 'units/app@3');
    const updated = {
      status: 0,
      stdout: expect.stringMatching(
        /^Template app@\.service stored; 2 of 3 instances updated\nUnit app@1\.service launched on .*\nUnit app@2\.service launched on .*\n$/,
      ),
      stderr: 'Warning: unit "app@3.service" keeps its own text, not that of template "app@.service"\n',
    };
    expect(await replace(NEW)).toEqual(updated);
    expect(await texts()).toEqual([NEW, NEW, OTHER]);
    const running = await insideAll(MACHINES, 'pgrep -fc "^/bin/sleep 222222" || true');
    expect(running.map(Number).reduce((sum, each) => sum + each)).toBe(2);

    expect((await replace(BAD)).status).toBe(1);
    expect((await operator.fleetctl('rollback', 'app@.service')).status).toBe(0);
    expect(await texts()).toEqual([NEW, NEW, OTHER]);

    // Machines do not store templates.
    rmSync(join(operator.folder, 'registry'), { recursive: true });
    await operator.fleetctl('recover', '--accept=*');
    expect(await replace(OLD)).toEqual(updated);
    expect(await texts()).toEqual([OLD, OLD, OTHER]);
    operator.write('units/app@.service', NEW);
    expect(await operator.fleetctl('start', '--replace', 'units/app@1')).toMatchObject({
      status: 0,
      stderr: `Warning: unit "app@2.service" keeps its old text of template "app@.service"\nhint: Update all instances: fleetctl submit --replace app@.service\n`,
    });
  });
});
