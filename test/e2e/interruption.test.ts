import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { sha256 } from '../../src/base/hash.ts';
import { insideAll, MACHINES, onMachines, SUBNET, until } from '../support/cluster.ts';
import { seeded } from '../support/random.ts';
import { createOperator, done, SLEEPER, service } from './operator.ts';

const KILLS = 8;

/** Long enough that writing it takes a while. A partial text has another digest. */
const LONG_UNIT = `${SLEEPER}${'# this comment makes the unit file long\n'.repeat(3000)}`;

onMachines('SIGKILL of fleetctl', () => {
  const operator = createOperator();
  const names = Array.from({ length: 6 }, (_, index) => `long-${index}.service`);

  it('at any moment leaves complete files and a usable registry', async () => {
    for (const name of names) operator.write(name, LONG_UNIT);
    const random = seeded(20260723);
    let inTheMiddle = 0;
    let windowMs = 500;
    for (let kill = 0; kill < KILLS; kill++) {
      const victim = operator.launch([kill % 2 === 0 ? 'start' : 'destroy', ...names]);
      await sleep(30 + random() * windowMs);
      victim.process.kill('SIGKILL');
      // If the command has ended already, the next kill comes sooner.
      if ((await victim.ended).status === null) inTheMiddle++;
      else windowMs /= 2;

      const listing = await operator.fleetctl('list-unit-files', '--no-legend');
      expect({ kill, status: listing.status, stderr: listing.stderr }).toEqual({
        kill,
        status: 0,
        stderr: '',
      });
      for (const digests of await insideAll(MACHINES, 'cd /etc/systemd/system; sha256sum long-* || true')) {
        for (const digest of digests.match(/^[0-9a-f]{64}/gm) ?? [])
          expect({ kill, digest }).toEqual({ kill, digest: sha256(LONG_UNIT) });
      }
    }
    // Otherwise the kills missed the writes.
    expect(inTheMiddle).toBeGreaterThan(KILLS / 2);
  });

  it('is repaired by the next pass', async () => {
    expect(await operator.fleetctl('start', ...names)).toMatchObject({ status: 0, stderr: '' });
    const running = 'systemctl list-units --plain --no-legend --state=running "long-*" | cut -d" " -f1';
    const found = (await insideAll(MACHINES, running)).flatMap((lines) => lines.split('\n').filter(Boolean));
    expect(found.toSorted()).toEqual(names);
    expect(await insideAll(MACHINES, 'ls -A /etc/systemd/system | grep -e "^[.]fleet" || true')).toEqual(
      Array(3).fill(''),
    );
  });

  it('leaves nothing that destroy does not remove', async () => {
    expect(await operator.fleetctl('destroy', ...names)).toMatchObject({ status: 0, stderr: '' });
    const left =
      'ls -A /etc/systemd/system /etc/systemd/system/fleet.target.wants /var/lib/fleet/units | grep -e long- -e "^[.]fleet" || true';
    expect(await insideAll(MACHINES, left)).toEqual(Array(3).fill(''));
  });
});

onMachines('SIGINT of fleetctl', () => {
  const operator = createOperator();

  it('ends the command at once with a message and its exit status, and the machine continues', async () => {
    operator.write('slow.service', service('Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sleep 2'));
    const start = operator.launch(['start', 'slow']);
    await until('k1', 'systemctl is-active slow | grep -q activating');
    start.process.kill('SIGINT');
    const { status, stdout, stderr } = await start.ended;
    expect({ status, stdout }).toEqual({ status: 130, stdout: '' });
    expect(stderr).toBe(
      [
        'Interrupted. Machines complete the work that they have received.',
        'In progress on "k1": slow.service',
        'hint: To see the state: fleetctl list-units; to continue, run the same command again\n',
      ].join('\n'),
    );
    await until('k1', 'systemctl is-active --quiet slow');
    expect(await operator.fleetctl('start', 'slow')).toEqual(
      done(`Unit slow.service launched on 00000000.../${SUBNET}.1`),
    );
    await operator.fleetctl('destroy', 'slow');
  });

  it('prints which units are done, in progress and not begun, for each signal', async () => {
    const slow = service('Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sleep 3');
    for (const name of ['a', 'b', 'c']) operator.write(`${name}.service`, name === 'b' ? slow : SLEEPER);
    await operator.fleetctl('start', 'a', 'b', 'c');
    const restart = operator.launch(['restart', 'a', 'b', 'c']);
    await until('k2', 'systemctl is-active b | grep -q activating');
    restart.process.kill('SIGTERM');
    const { status, stderr } = await restart.ended;
    expect({ status, stderr: stderr.split('\n').slice(1, 4) }).toEqual({
      status: 143,
      stderr: ['Done on "k1": a.service', 'In progress on "k2": b.service', 'Not started on "k3": c.service'],
    });
    await operator.fleetctl('destroy', 'a', 'b', 'c');
  });
});
