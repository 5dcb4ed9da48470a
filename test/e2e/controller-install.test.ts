import { copyFileSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import {
  add,
  addressOf,
  CLUSTER_FOLDER,
  cluster,
  hostKeyOf,
  IDENTITY_FILE,
  inside,
  insideAll,
  KNOWN_HOSTS_FILE,
  MACHINES,
  machinesRunning,
  onMachines,
} from '../support/cluster.ts';
import { eventually } from './fleetd.ts';
import { Operator, PROGRAM, SLEEPER } from './operator.ts';
import { hasTerminals, Terminal } from './terminal.ts';

const REGISTRY = '/var/lib/fleet-controller/registry';
const GUIDE = readFileSync(new URL('../../examples/fleetd/README.md', import.meta.url), 'utf8');

/** The command lines of the guide under a heading, without comments. */
function steps(heading: string): readonly string[] {
  const part = GUIDE.slice(GUIDE.indexOf(`## ${heading}\n`));
  const block = /```sh\n(.*?)```/s.exec(part)?.[1] ?? '';
  return block
    .trim()
    .split('\n')
    .map((line) => line.replace(/\s+#.*$/, ''));
}

/** The lines of an installation that changed something. */
const done = (printed: string): readonly string[] =>
  printed.split('\n').filter((line) => line !== '' && !line.startsWith('already '));

onMachines('a controller on a host outside the cluster', () => {
  /** Runs command lines as root on the host, in the folder of fleet.conf. */
  const there = (lines: readonly string[]): Promise<string> =>
    inside('k4', ['cd /srv/ops', 'PATH=/srv/fleet/bin:$PATH', ...lines].join('\n'));
  const keys = (): Promise<readonly string[]> => insideAll(MACHINES, 'cat /root/.ssh/authorized_keys');

  beforeAll(async () => {
    await add('k4');
    const disk = join(CLUSTER_FOLDER, 'machines/k4/disk/srv');
    mkdirSync(join(disk, 'ops'));
    for (const part of ['bin', 'dist'])
      cpSync(join(inject('program'), part), join(disk, 'fleet', part), { recursive: true });
    copyFileSync(IDENTITY_FILE, join(disk, 'ops/key'));
    copyFileSync(KNOWN_HOSTS_FILE, join(disk, 'ops/known_hosts'));
    const operator = new Operator();
    const login = { identity_file: 'key', known_hosts_file: 'known_hosts' };
    operator.configure({ machines: MACHINES, top: { agent_ttl: '5s', cut_off: '90%' }, ssh: login });
    writeFileSync(join(disk, 'ops/fleet.conf'), operator.read('fleet.conf'));
    writeFileSync(join(disk, 'ops/web.service'), SLEEPER);
    operator.remove();
    await there(['fleetctl start web.service']);
  });
  afterAll(() => cluster('kill', 'k4'));

  it('is installed by the steps of the guide', async () => {
    const before = await keys();
    const [dryRun = '', install = '', list = ''] = steps('On this computer');
    const planned = await there([dryRun]);
    expect(planned).toMatch(
      /^would +move the registry from \/srv\/ops\/registry to \/var\/lib\/fleet-controller/m,
    );
    expect(await keys()).toEqual(before);
    expect(await there(['ls /opt /etc/fleet /var/lib 2>/dev/null || true; cat fleet.conf'])).not.toMatch(
      /fleet-controller|^fleet$/m,
    );
    const carriedOut = await there([install]);
    expect(done(carriedOut).slice(0, -1)).toEqual(
      planned
        .trim()
        .split('\n')
        .filter((line) => line.startsWith('would'))
        .map((line) => line.replace('would', 'now  ')),
    );
    expect(await there([list])).toMatch(/^web\.service .* active +running$/m);
    expect(await there(['cat fleet.conf'])).toContain(`registry = file:${REGISTRY}\nsettle = `);
    expect(await there(['cat registry'])).toContain(`moved this registry to k4:${REGISTRY}`);
  });

  it('changes nothing when it is installed again', async () => {
    const look = 'systemctl show -P InvocationID fleetd; stat -c "%n %Y %U %a" /opt/fleet/* /etc/fleet/*';
    const before = await there([look]);
    // Its machines are those of the registry.
    await there(["sed -i '/^.machine.k3.$/,/^$/d' fleet.conf", '! grep k3 fleet.conf']);
    expect(done(await there(steps('On this computer').slice(1, 2)))).toEqual([
      'The controller on k4 manages the cluster',
    ]);
    expect(await there([look])).toBe(before);
  });

  it('moves units away from a machine that lost power', async () => {
    // Files that root writes there still belong to the controller.
    await there(['sudo fleetctl stop web.service', 'sudo fleetctl start web.service']);
    expect(await there([`stat -c %U ${REGISTRY}/*`])).toMatch(/^(fleet\n)+$/);
    const [home = ''] = machinesRunning('web.service', MACHINES);
    await cluster('kill', home);
    const others = MACHINES.filter((name) => name !== home);
    await eventually(
      () => machinesRunning('web.service', others).length === 1,
      60_000,
      () => 'web.service elsewhere',
    );
    // The controller can be updated while a machine is unreachable.
    expect(await there(['sudo fleetctl controller install 2>&1'])).toMatch(
      new RegExp(`^Warning: Cannot reach machine "${home}"`),
    );
    await cluster('start', home);
  });

  it('is removed, and the registry stays', async () => {
    expect(await there(steps('Removal').slice(0, 1))).toBe(
      `The controller was removed from k4\nThe registry stays in ${REGISTRY} there\n`,
    );
    for (const each of await keys()) expect(each).not.toContain('fleetd@k4');
    expect(await there(['ls /opt; ls /etc/systemd/system | grep fleetd || true'])).toBe('');
    expect(await there(['fleetctl list-units --no-legend'])).toMatch(/^web\.service .* active +running$/m);
    expect(await there(['fleetctl destroy web.service'])).toContain('Destroyed web.service');
  });

  it('does not replace a controller that was installed by hand', async () => {
    const unit =
      'printf "[Service]\\nExecStart=/bin/true\\n" >/etc/systemd/system/fleetd.service; systemctl daemon-reload';
    const said = await there([unit, 'fleetctl controller install 2>&1 || true']);
    expect(said).toContain('a fleetd that was set up by hand exists: /etc/systemd/system/fleetd.service');
    expect(await there(['fleetctl controller remove 2>&1 || true'])).toContain('it was set up by hand');
    expect(await there(['cat /etc/systemd/system/fleetd.service'])).toContain('/bin/true');
  });
});

onMachines('a controller on a machine of the cluster', () => {
  const operator = new Operator();
  const named = (heading: string): readonly string[][] =>
    steps(heading)
      .filter((line) => line.startsWith('fleetctl '))
      .map((line) => line.replaceAll('web-1', 'k1').split(' ').slice(1));

  beforeAll(async () => {
    operator.configure({
      machines: MACHINES,
      top: { agent_ttl: '5s' },
      // A user that needs sudo for everything on the machine.
      ssh: { user: 'core', known_hosts_file: 'known_hosts' },
    });
    operator.write('known_hosts', '');
    operator.write('web.service', SLEEPER);
    // A machine without Node gets the Node of this box.
    await inside('k1', 'mount --bind /dev/null /usr/bin/node');
  });
  afterAll(async () => {
    await inside('k1', 'umount /usr/bin/node; rm -rf /var/lib/fleet-controller /opt/fleet');
    operator.remove();
  });

  it.runIf(hasTerminals)(
    'is installed by the steps of the guide, after the fingerprints are confirmed',
    async () => {
      const [, install = [], list = []] = named('On a machine');
      const terminal = new Terminal([PROGRAM, ...install], {
        cwd: operator.folder,
        env: operator.environment,
      });
      for (let asked = 1; asked <= MACHINES.length; asked++) {
        await terminal.shows(new RegExp(`(?:\\(yes/no\\)[\\s\\S]*){${asked}}`));
        terminal.type('yes\n');
      }
      expect((await terminal.ended).status, terminal.screen).toBe(0);
      expect(terminal.screen).toContain('copy the Node of this computer to /opt/fleet/node');
      expect(operator.read('fleet.conf')).toMatch(new RegExp(`^registry = ssh://k1${REGISTRY}$`, 'm'));
      expect((await operator.fleetctl(...list)).status).toBe(0);
      const known = await inside('k1', 'cat /etc/fleet/controller_known_hosts');
      for (const machine of MACHINES) expect(known).toContain(hostKeyOf(machine));
    },
  );

  it('is used over SSH, and keeps its files apart from those of the machine', async () => {
    expect(await operator.fleetctl('start', 'web.service')).toMatchObject({ status: 0 });
    await eventually(
      () => machinesRunning('web.service', MACHINES).length === 1,
      20_000,
      () => 'web.service',
    );
    expect(await inside('k1', `stat -c '%U %a' ${REGISTRY}/records; ls /var/lib/fleet | head -1`)).toMatch(
      /^fleet 600\n./,
    );
    expect(await operator.fleetctl('controller', 'install', 'k1')).toMatchObject({
      status: 0,
      stderr: '',
      stdout: expect.stringMatching(/^(already .*\n)+The controller on k1 manages the cluster\n$/),
    });
  });

  it('changes units for a command that has the registry over SSH and names it with --tunnel', async () => {
    const login = ['--ssh-identity-file', IDENTITY_FILE, '--known-hosts-file', KNOWN_HOSTS_FILE];
    const tunnel = ['--tunnel', `root@${addressOf('k1')}`, ...login];
    expect(await operator.fleetctl('stop', 'web.service', ...tunnel)).toMatchObject({
      status: 0,
      stderr: '',
    });
    expect(machinesRunning('web.service', MACHINES)).toEqual([]);
    expect(await operator.fleetctl('start', 'web.service', ...tunnel)).toMatchObject({
      status: 0,
      stderr: '',
    });
    expect(machinesRunning('web.service', MACHINES)).toHaveLength(1);
  });

  it('is left by a command that fails after it has opened the registry there', async () => {
    const nowhere = ['--endpoint', 'unix:///nowhere.sock'];
    expect(await operator.fleetctl('stop', 'web.service', ...nowhere)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('Cannot use unix:///nowhere.sock'),
    });
    expect(await inside('k1', 'pgrep -f "[_]_registry" || true')).toBe('');
  });

  it('is removed, and the registry is copied back', async () => {
    const [remove = []] = named('Removal');
    expect(await operator.fleetctl(...remove)).toMatchObject({ status: 0 });
    const { stdout } = await operator.fleetctl('list-units', '--no-legend');
    expect(stdout).toMatch(/^web\.service .* active +running$/m);
    expect(await operator.fleetctl('registry', 'copy', `ssh://k1${REGISTRY}`, 'file:home')).toMatchObject({
      status: 0,
    });
    operator.write(
      'fleet.conf',
      operator.read('fleet.conf').replace(/^registry = .*/m, 'registry = file:home'),
    );
    expect(await operator.fleetctl('destroy', 'web.service')).toMatchObject({ status: 0 });
  });
});
