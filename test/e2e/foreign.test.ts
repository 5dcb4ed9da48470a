import { afterAll, beforeAll, expect, it } from 'vitest';
import { inside, insideAll, MACHINES, onMachines, SUBNET, wipe } from '../support/cluster.ts';
import { createOperator, done, failed, SLEEPER, service } from './operator.ts';

/** All unit files and all files of fleet on a machine, with modes, link targets and contents; and the running units. */
const INVENTORY = `
  cd /
  find etc/systemd/system run/systemd/system var/lib/fleet -exec stat --format '%F %A %Y %N' {} + | sort
  find etc/systemd/system run/systemd/system var/lib/fleet -type f -exec md5sum {} + | sort
  systemctl list-units --all --plain --no-legend 'mine*' 'web*' 'agent*'`;

onMachines('a unit of the machine that fleet does not manage', () => {
  const operator = createOperator({ machines: ['k1'] });
  const foreign = [
    ['mine.service', '/etc/systemd/system/mine.service'],
    ['mine-linked.service', '/etc/systemd/system/mine.service'],
    ['mine-masked.service', '/etc/systemd/system/mine-masked.service (masked)'],
    ['mine-folder.service', '/etc/systemd/system/mine-folder.service'],
    ['mine@1.service', '/etc/systemd/system/mine@.service'],
    ['mine-for-now.service', '/run/systemd/system/mine-for-now.service'],
    ['fstrim.service', '/lib/systemd/system/fstrim.service'],
  ] as const;
  const names = foreign.map(([name]) => name);

  beforeAll(async () => {
    await inside(
      'k1',
      `cd /etc/systemd/system
      printf '[Service]\\nExecStart=/bin/sleep 4242\\n' | tee mine.service >mine@.service
      mkdir -p /run/systemd/system
      cp mine.service /run/systemd/system/mine-for-now.service
      ln -s /dev/null mine-masked.service
      ln -s mine.service mine-linked.service
      mkdir mine-folder.service
      systemctl daemon-reload
      systemctl start mine.service`,
    );
    for (const name of names) operator.write(name, SLEEPER);
    // fleet's own files are created first, so that the rest of the machine can be compared.
    operator.write('ours.service', SLEEPER);
    await operator.fleetctl('start', 'ours');
  });
  afterAll(() =>
    inside(
      'k1',
      `systemctl stop mine.service
      rm -rf /etc/systemd/system/mine* /run/systemd/system/mine*
      systemctl daemon-reload`,
    ),
  );

  it('is not changed and not shadowed, and a fleet unit of that name is refused', async () => {
    const before = await inside('k1', INVENTORY);
    for (const verb of ['load', 'start']) {
      const { status, stdout, stderr } = await operator.fleetctl(verb, ...names);
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
      for (const [name, path] of foreign) {
        expect(stderr).toContain(
          `Error: Cannot place unit "${name}": no machine fits\n` +
            `  k1: the machine has a unit of that name that fleet did not install: ${path}\n`,
        );
      }
      expect(await inside('k1', INVENTORY)).toBe(before);
    }
    expect(await operator.fleetctl('destroy', ...names)).toMatchObject({ status: 0, stderr: '' });
    expect(await inside('k1', INVENTORY)).toBe(before);
  });

  it('does not count as the fleet unit of that name', async () => {
    await operator.fleetctl('submit', 'mine.service');
    expect(await operator.fleetctl('list-units', '--no-legend', '--fields=unit')).toEqual(
      done('ours.service'),
    );
  });

  it('excludes its machine when another machine is available', async () => {
    operator.configure({ machines: MACHINES });
    expect(await operator.fleetctl('start', 'mine')).toEqual(
      done(`Unit mine.service launched on 00000000.../${SUBNET}.2`),
    );
    await operator.fleetctl('destroy', 'mine');
  });
});

onMachines('a file of fleet that was edited on the machine', () => {
  const operator = createOperator();

  it('is restored by the next start', async () => {
    operator.write('web.service', SLEEPER);
    await operator.fleetctl('start', 'web');
    await inside('k1', 'echo "# edited" >>/etc/systemd/system/web.service');
    const [status, doctor, plan] = [
      await operator.fleetctl('status', 'web', '-n0'),
      await operator.fleetctl('doctor', 'k1'),
      await operator.fleetctl('reconcile', '--dry-run'),
    ];
    expect(status.stderr).toContain(
      'Warning: unit "web.service" on machine "k1": its file was changed or removed there',
    );
    expect([doctor.status, doctor.stdout]).toEqual([1, expect.stringContaining('file was changed there')]);
    expect(plan.stdout).toContain('k1: write the unit file of web.service, which was changed there\n');
    expect(await operator.fleetctl('start', 'web')).toEqual(
      done(`Unit web.service launched on 00000000.../${SUBNET}.1`),
    );
    expect(await inside('k1', 'cat /etc/systemd/system/web.service')).toBe(SLEEPER);
    await inside(
      'k1',
      'systemctl kill --signal=KILL web.service; rm /etc/systemd/system/web.service; systemctl daemon-reload',
    );
    expect(await operator.fleetctl('start', 'web')).toEqual(
      done(`Unit web.service launched on 00000000.../${SUBNET}.1`),
    );
    expect(await operator.fleetctl('destroy', 'web')).toEqual(done('Destroyed web.service'));
  });
});

onMachines('a machine that has lost its records', () => {
  const operator = createOperator({ machines: ['k1'] });
  const WARNING = (what: string) =>
    `
    Warning: the state of unit "web.service" on machine "k1" is unknown: its record /var/lib/fleet/units/web.service is ${what}, and systemd shows it as active (running)
    hint: A pass writes the record again if the file there is the text of the registry: fleetctl reconcile
    `;

  it('reports its units neither as dead nor as destroyed', async () => {
    operator.write('web.service', SLEEPER);
    await operator.fleetctl('start', 'web');
    const run = await inside('k1', 'systemctl show -P InvocationID web.service');
    for (const [what, loss] of [
      ['missing', 'rm -rf /var/lib/fleet'],
      ['damaged', ': >/var/lib/fleet/units/web.service'],
    ] as const) {
      await inside('k1', loss);
      const list = await operator.fleetctl('list-units', '--no-legend', '--fields=unit,active,sub');
      expect(list).toEqual(failed(0, WARNING(what), 'web.service  unknown  unknown'));
      await operator.fleetctl('reconcile');
      expect(await operator.fleetctl('list-units', '--no-legend', '--fields=unit,active,sub')).toEqual(
        done('web.service  active  running'),
      );
      expect(await inside('k1', 'systemctl show -P InvocationID web.service')).toBe(run);
    }
    await inside('k1', 'rm -rf /var/lib/fleet; echo "# edited" >>/etc/systemd/system/web.service');
    const refused = await operator.fleetctl('destroy', 'web');
    expect([refused.status, refused.stdout]).toEqual([1, '']);
    expect(refused.stderr).toContain('its record in /var/lib/fleet/units is missing there, and /etc/');
    expect(await inside('k1', 'systemctl show -P InvocationID web.service')).toBe(run);
    await inside('k1', `printf '%s' '${SLEEPER}' >/etc/systemd/system/web.service`);
    expect(await operator.fleetctl('unload', 'web')).toEqual(done('Unit web.service inactive'));
    expect(await operator.fleetctl('destroy', 'web')).toEqual(done('Destroyed web.service'));
    expect(await inside('k1', 'systemctl is-active web.service || :')).toBe('inactive\n');
  });
});

onMachines('machines of another cluster', () => {
  const owner = createOperator();
  const stranger = createOperator();
  const THEIRS = '00000000-0000-0000-0000-000000000000';

  beforeAll(async () => {
    for (const each of [owner, stranger]) {
      each.write('web.service', SLEEPER);
      each.write('agent.service', service('ExecStart=/bin/sleep 100000', 'Global=true'));
    }
    await owner.fleetctl('start', 'web', 'agent');
  });

  it('are refused, with a hint how to take them over', async () => {
    const before = await insideAll(MACHINES, INVENTORY);
    expect(await stranger.fleetctl('start', 'web')).toEqual(
      failed(
        1,
        `
        Error: Cannot place unit "web.service": no machine fits
          k1: it belongs to another cluster: "${THEIRS}"
          k2: it belongs to another cluster: "${THEIRS}"
          k3: it belongs to another cluster: "${THEIRS}"
        hint: It stays launched in the registry; run the command again when a machine fits
        `,
      ),
    );
    const { status, stdout, stderr } = await stranger.fleetctl('start', 'agent');
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain(
      `Error: Cannot start unit "agent.service" on machine "k2" (${SUBNET}.2): the machine belongs to another cluster: "${THEIRS}"\n` +
        'hint: If that cluster is yours and its registry was lost: fleetctl help recover; if it is gone, run "rm /var/lib/fleet/cluster" on the machine; else remove the machine: fleetctl machines remove\n',
    );
    await stranger.fleetctl('stop', 'web');
    await stranger.fleetctl('unload', 'web');
    await stranger.fleetctl('destroy', 'web', 'agent');
    expect(await insideAll(MACHINES, INVENTORY)).toEqual(before);
  });

  it('are named in lists, without their units', async () => {
    const warning = (machine: number) =>
      `Warning: Machine "k${machine}" (${SUBNET}.${machine}) belongs to another cluster: "${THEIRS}"; the state of its units is unknown`;
    expect(await stranger.fleetctl('list-units')).toEqual(
      failed(0, [1, 2, 3].map(warning).join('\n'), 'UNIT  MACHINE  ACTIVE  SUB'),
    );
  });

  it('can be used once they are free', async () => {
    await owner.fleetctl('destroy', 'web', 'agent');
    await wipe('k3');
    expect(await stranger.fleetctl('start', 'web')).toEqual(
      done(`Unit web.service launched on 00000000.../${SUBNET}.3`),
    );
    const { status, stdout, stderr } = await stranger.fleetctl('start', 'agent');
    expect({ status, stdout }).toEqual({
      status: 1,
      stdout: 'Unit agent.service launched on 1 of 3 machines; 2 refused it\n',
    });
    expect(stderr.match(/^Error: .*"k[123]"/gm)).toHaveLength(2);
  });
});
