import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { cluster, inside, insideAll, MACHINES, onMachines, SUBNET, until } from '../support/cluster.ts';
import { createOperator, done, service } from './operator.ts';

/** Units of every type but services, with their sub-state once started, and a command that proves that each works. */
const UNITS: readonly (readonly [name: string, text: string, sub: string, proof: string])[] = [
  ['all.target', '[Unit]\nDescription=all', 'active', 'true'],
  ['box.slice', '[Slice]\nTasksMax=20', 'active', 'test $(systemctl show -P TasksMax box.slice) = 20'],
  [
    'run-store.mount',
    '[Mount]\nWhat=tmpfs\nWhere=/run/store\nType=tmpfs',
    'mounted',
    'mountpoint -q /run/store',
  ],
  ['spot.path', '[Path]\nPathExists=/run/spot\nUnit=done.service', 'waiting', 'true'],
  ['talk.socket', '[Socket]\nListenFIFO=/run/talk\nService=done.service', 'listening', 'test -p /run/talk'],
  ['tick.timer', '[Timer]\nOnCalendar=daily\nUnit=done.service', 'waiting', 'true'],
];
const NAMES = UNITS.map(([name]) => name);

onMachines('a unit of any type', () => {
  const operator = createOperator();

  afterAll(() => operator.fleetctl('destroy', '*'));

  it.each([
    ['on one machine', '', 1],
    ['on all machines', '\n[X-Fleet]\nGlobal=true', 3],
  ])('is started, shown, stopped and removed %s', async (_, placement, copies) => {
    operator.write('done.service', service('Type=oneshot\nExecStart=/bin/true', placement));
    for (const [name, text] of UNITS) operator.write(name, `${text}\n${placement}\n`);
    await operator.fleetctl('load', 'done');
    expect(await operator.fleetctl('start', ...NAMES)).toMatchObject({ status: 0, stderr: '' });
    const rows = await listed();
    expect(rows.map(({ unit, sub }) => [unit, sub])).toEqual(
      UNITS.flatMap(([name, , sub]) => Array.from({ length: copies }, () => [name, sub])),
    );
    for (const machine of new Set(rows.map((row) => row.machine))) {
      const here = rows.filter((row) => row.machine === machine).map(({ unit }) => unit);
      const proofs = UNITS.filter(([name]) => here.includes(name)).map(
        ([name, , , proof]) => `${proof} || echo ${name}`,
      );
      expect(await inside(machine, proofs.join('\n'))).toBe('');
    }
    expect(await operator.fleetctl('stop', ...NAMES)).toMatchObject({ status: 0, stderr: '' });
    expect(await operator.fleetctl('destroy', '*')).toMatchObject({ status: 0, stderr: '' });
    expect(await insideAll(MACHINES, 'mountpoint -q /run/store || echo gone')).toEqual(
      Array.from({ length: 3 }, () => 'gone\n'),
    );
  });

  /** The units of the table, with machine and sub-state. */
  async function listed() {
    const { stdout } = await operator.fleetctl('list-units', '--no-legend', '--fields=unit,machine,sub');
    const rows = stdout
      .trim()
      .split('\n')
      .map((line) => line.split(/ +/));
    return rows
      .map(([unit, machine, sub]) => ({ unit: String(unit), machine: `k${machine?.at(-1)}`, sub }))
      .filter(({ unit }) => NAMES.includes(unit));
  }
});

const EXAMPLE = new URL('../../examples/myapp.service', import.meta.url);
const JOURNAL = 'journalctl --sync; journalctl --quiet --output=cat --unit=myapp.service';

onMachines('the container unit of the systemd guide', () => {
  const operator = createOperator();
  let obstacle: string | undefined;

  beforeAll(async () => {
    obstacle = await whyNoContainers();
    operator.write('myapp.service', readFileSync(EXAMPLE));
  });

  it('starts its container', async ({ skip }) => {
    skip(obstacle !== undefined, obstacle);
    expect(await operator.fleetctl('start', 'myapp.service')).toEqual(
      done(`Unit myapp.service launched on 00000000.../${SUBNET}.1`),
    );
    await until('k1', `(${JOURNAL}) | grep -q "^Hello World$"`);
    expect(await inside('k1', 'podman ps --format "{{.Names}} {{.Image}}"')).toMatch(/^busybox1 .*busybox/);
    expect(await operator.fleetctl('list-units', '--no-legend')).toEqual(
      done(`myapp.service  00000000.../${SUBNET}.1  active  running`),
    );
  });

  it('stops the container through its ExecStop, and destroy removes the container', async ({ skip }) => {
    skip(obstacle !== undefined, obstacle);
    expect(await operator.fleetctl('destroy', 'myapp')).toEqual(done('Destroyed myapp.service'));
    // "docker stop" prints this; systemd alone would kill the container without output.
    expect(await inside('k1', JOURNAL)).toMatch(/^busybox1$/m);
    expect(await inside('k1', 'podman ps --quiet; ls /etc/systemd/system | grep myapp || true')).toBe('');
  });
});

/** Makes containers work in the machines. Returns the obstacle on a box that cannot run them, such as one with Docker. */
async function whyNoContainers(): Promise<string | undefined> {
  try {
    await cluster('containers');
    return undefined;
  } catch (error) {
    const { code, stderr } = error as { readonly code?: unknown; readonly stderr?: string };
    if (code === 2) return stderr?.trim();
    throw error;
  }
}
