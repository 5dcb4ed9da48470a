import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { inside, onMachines, SUBNET } from '../support/cluster.ts';
import { createOperator, done, SLEEPER } from './operator.ts';

onMachines('a user with sudo', () => {
  const operator = createOperator({ ssh: { user: 'core', sudo: 'true' } });

  it('can do everything that root can', async () => {
    operator.write('web.service', SLEEPER);
    expect(await operator.fleetctl('start', 'web')).toEqual(
      done(`Unit web.service launched on 00000000.../${SUBNET}.1`),
    );
    expect(await operator.fleetctl('list-units', '--no-legend')).toEqual(
      done(`web.service  00000000.../${SUBNET}.1  active  running`),
    );
    expect(await operator.fleetctl('destroy', 'web')).toEqual(done('Destroyed web.service'));
  });

  it('can have a login shell that prints text', async () => {
    const chatter = 'printf \'echo Welcome back; echo "you have mail" >&2\\n\' >>/home/core/.bashrc';
    await inside('k1', chatter);
    expect(await operator.fleetctl('start', 'web')).toEqual(
      done(`Unit web.service launched on 00000000.../${SUBNET}.1`),
    );
    expect(await operator.fleetctl('list-units', '--no-legend')).toEqual(
      done(`web.service  00000000.../${SUBNET}.1  active  running`),
    );
    await inside('k1', 'rm /home/core/.bashrc');
  });
});

onMachines('a user who cannot use a machine', () => {
  const operator = createOperator();
  beforeAll(async () => {
    operator.write('web.service', SLEEPER);
    await operator.fleetctl('start', 'web');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(operator.folder, 'wrong-key')]);
    execFileSync('ssh-keygen', [
      '-q',
      '-t',
      'ed25519',
      '-N',
      'secret',
      '-f',
      join(operator.folder, 'locked-key'),
    ]);
    await inside('k1', 'sed -i "/^core:/s#/bin/bash#/usr/sbin/nologin#" /etc/passwd');
  });
  afterAll(() => inside('k1', 'sed -i "/^core:/s#/usr/sbin/nologin#/bin/bash#" /etc/passwd'));

  it.each([
    {
      who: 'may not use sudo',
      ssh: { user: 'plain' },
      why: 'Cannot use machine "k1": "sudo: a password is required"',
    },
    {
      who: 'has no shell there',
      ssh: { user: 'core' },
      why: 'Cannot use machine "k1": "This account is currently not available."',
    },
    {
      who: 'is not known there',
      ssh: { user: 'no-such-user' },
      why: `Cannot reach machine "k1" (${SUBNET}.1:22): it did not let "no-such-user" in with`,
    },
    {
      who: 'has another key',
      ssh: { identity_file: 'wrong-key' },
      why: `Cannot reach machine "k1" (${SUBNET}.1:22): it did not let "root" in with HERE/wrong-key`,
    },
    {
      who: 'has a key with a passphrase',
      ssh: { identity_file: 'locked-key' },
      why: `Cannot reach machine "k1" (${SUBNET}.1:22): the key file "HERE/locked-key" is encrypted and there is no agent`,
    },
    {
      who: 'names a key that is not there',
      ssh: { identity_file: 'no-key' },
      why: `Cannot reach machine "k1" (${SUBNET}.1:22): there is no key file "HERE/no-key"`,
    },
  ])('gets the reason and changes nothing: one who $who', async ({ ssh, why }) => {
    operator.configure({ machines: ['k1'], ssh });
    const list = await operator.fleetctl('list-units', '--no-legend');
    expect({ status: list.status, stdout: list.stdout }).toEqual({
      status: 0,
      stdout: `web.service  00000000.../${SUBNET}.1  unknown  unreachable\n`,
    });
    expect(list.stderr).toContain(`Warning: ${why}`);
    const stop = await operator.fleetctl('stop', 'web');
    expect({ status: stop.status, stdout: stop.stdout }).toEqual({ status: 5, stdout: '' });
    expect(stop.stderr).toContain(why.slice(1));
    expect(stop.stderr).toMatch(/^hint: /m);
    expect(await inside('k1', 'systemctl is-active web')).toBe('active\n');
  });
});
