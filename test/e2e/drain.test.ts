import { describe, expect, it } from 'vitest';
import { inside, insideAll, MACHINES, onMachines, SUBNET } from '../support/cluster.ts';
import { createOperator, done, SLEEPER, service } from './operator.ts';

onMachines('drain', () => {
  describe('of a machine', () => {
    const operator = createOperator();

    it('cordons it first, and moves its units to other machines', async () => {
      for (const name of ['a.service', 'b.service', 'c.service']) operator.write(name, SLEEPER);
      operator.write('all.service', service('ExecStart=/bin/sleep 100000', 'Global=true'));
      await operator.fleetctl('start', 'a.service', 'b.service', 'c.service', 'all.service');
      const drained = await operator.fleetctl('drain', 'k1');
      expect(drained).toEqual(done(`Unit a.service moved to "k2" (${SUBNET}.2)\nMachine k1 drained`));
      expect(await operator.fleetctl('list-units', '--no-legend', '--fields=unit,machine')).toEqual(
        done(`
          a.service    00000000.../${SUBNET}.2
          all.service  00000000.../${SUBNET}.1
          all.service  00000000.../${SUBNET}.2
          all.service  00000000.../${SUBNET}.3
          b.service    00000000.../${SUBNET}.2
          c.service    00000000.../${SUBNET}.3`),
      );
    });

    it('leaves it without new units until it is uncordoned', async () => {
      operator.write('d.service', SLEEPER);
      expect(await operator.fleetctl('start', 'd.service')).toEqual(
        done(`Unit d.service launched on 00000000.../${SUBNET}.3`),
      );
      expect(await operator.fleetctl('uncordon', 'k1')).toEqual(done('Machine k1 uncordoned'));
      operator.write('e.service', SLEEPER);
      expect(await operator.fleetctl('start', 'e.service')).toEqual(
        done(`Unit e.service launched on 00000000.../${SUBNET}.1`),
      );
    });

    it('records the cordon in the registry, with the reason', async () => {
      const { stdout } = await operator.fleetctl('events', 'a', 'k1');
      expect(stdout.split('\n').map((line) => line.replace(/^\S+ {2}/, '').replace(/ {2}\(.*/, ''))).toEqual([
        expect.stringMatching(/^a\.service has a new text, [0-9a-f]{7}$/),
        'a.service shall be launched',
        'a.service goes to k1',
        'k1 takes no new units',
        'a.service moves from k1 to k2: it is drained',
        'k1 is no longer cordoned',
        'e.service goes to k1',
        '',
      ]);
    });

    it('keeps a unit that does not come up elsewhere, and ends', async () => {
      operator.write(
        'picky.service',
        `[Service]\nExecStart=/bin/sh -c 'test $$(uname -n) = k1 && exec sleep infinity'\n`,
      );
      await operator.fleetctl('cordon', 'k2', 'k3');
      await operator.fleetctl('start', 'picky.service');
      await operator.fleetctl('uncordon', 'k2', 'k3');
      const { status, stderr } = await operator.fleetctl('drain', '--max-parallel=5', 'k1');
      expect([status, stderr]).toEqual([
        1,
        expect.stringMatching(/Cannot drain unit "picky.service" on machine "k[23]"/),
      ]);
      expect(stderr).toContain(`Warning: unit "picky.service" is still on machine "k1" (${SUBNET}.1)`);
      const where = await operator.fleetctl('list-units', '--no-legend', '--fields=unit,machine,active');
      expect(where.stdout).toMatch(/^picky\.service +00000000\.\.\.\/127\.76\.\d\.1 +active$/m);
    });

    it('moves the triggers and upholders of a unit together with it, and stops them first', async () => {
      const units = ['child.service', 'keeper.service', 'job.path', 'job.service'];
      operator.write('child.service', SLEEPER);
      operator.write('keeper.service', `[Unit]\nUpholds=child.service\n${SLEEPER}`);
      operator.write('job.path', '[Path]\nPathExists=/etc/passwd\n');
      operator.write('job.service', SLEEPER);
      await operator.fleetctl('unload', 'picky.service');
      await operator.fleetctl('uncordon', 'k1');
      await operator.fleetctl('cordon', 'k2', 'k3');
      await operator.fleetctl('start', ...units);
      await operator.fleetctl('uncordon', 'k2', 'k3');
      expect(await operator.fleetctl('drain', 'k1')).toMatchObject({ status: 0, stderr: '' });
      const state = `systemctl is-active ${units.join(' ')} || true`;
      expect(await inside('k1', state)).toBe('inactive\n'.repeat(4));
      operator.write('child.service', `${SLEEPER}# more\n`);
      const replaced = await operator.fleetctl('start', '--replace', 'child.service');
      expect(replaced).toMatchObject({ status: 0, stderr: '' });
      expect(await operator.fleetctl('stop', ...units)).toMatchObject({ status: 0, stderr: '' });
      expect(await operator.fleetctl('destroy', ...units)).toMatchObject({ status: 0, stderr: '' });
    });

    it('moves no unit while the machine cannot be changed, and moves an upholder with its fenced unit', async () => {
      const units = ['alone.service', 'keeper.service', 'plain.service'];
      operator.write('alone.service', service('ExecStart=/bin/sleep 100000', 'Conflicts=alone.service'));
      operator.write(
        'keeper.service',
        `[Unit]\nUpholds=alone.service\n${service('ExecStart=/bin/sleep 100000', 'MachineOf=alone.service')}`,
      );
      operator.write('plain.service', SLEEPER);
      await operator.fleetctl('uncordon', 'k1');
      await operator.fleetctl('cordon', 'k2', 'k3');
      await operator.fleetctl('start', ...units);
      await operator.fleetctl('uncordon', 'k2', 'k3');
      const folder = '/etc/systemd/system';
      await inside('k1', `mount --bind ${folder} ${folder} && mount -o remount,bind,ro ${folder}`);
      const refused = await operator.fleetctl('drain', '--max-parallel=9', 'k1');
      await inside('k1', `umount ${folder}`);
      expect(refused).toMatchObject({ status: 1, stdout: '' });
      expect(refused.stderr).toMatch(/^Error: Cannot drain unit "plain\.service" .*Read-only file system/m);
      const active = `systemctl is-active ${units.join(' ')} || true`;
      const [first, ...others] = await insideAll(MACHINES, active);
      expect([first, others]).toEqual(['active\n'.repeat(3), Array(2).fill('inactive\n'.repeat(3))]);
      expect(await operator.fleetctl('drain', 'k1')).toMatchObject({ status: 0, stderr: '' });
      expect(await inside('k1', active)).toBe('inactive\n'.repeat(3));
      expect(await operator.fleetctl('destroy', ...units)).toMatchObject({ status: 0, stderr: '' });
    });

    it('removes the machine from fleet.conf after the drain, with the option for it', async () => {
      await operator.fleetctl('uncordon', 'k1');
      operator.write('f.service', SLEEPER);
      await operator.fleetctl('start', 'f.service');
      const refused = await operator.fleetctl('machines', 'remove', 'k1');
      expect([refused.status, refused.stderr]).toEqual([
        2,
        expect.stringContaining('machines remove k1 --drain'),
      ]);
      const { status, stdout } = await operator.fleetctl('machines', 'remove', 'k1', '--drain');
      expect([status, stdout]).toEqual([
        0,
        expect.stringMatching(
          /^Unit f\.service moved to "k[23]" .*\nMachine k1 drained\nMachine k1 removed from HERE\/fleet\.conf\n$/,
        ),
      ]);
      expect(
        await inside('k1', 'ls /var/lib/fleet/units; systemctl is-active all.service f.service || true'),
      ).toBe('inactive\ninactive\n');
      expect(operator.read('fleet.conf')).not.toContain('[machine.k1]');
    });
  });
});
