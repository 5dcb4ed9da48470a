import { afterAll, expect, it } from 'vitest';
import { inside, insideAll, onMachines } from '../support/cluster.ts';
import { hire } from './operator.ts';
import { service } from './units.ts';

/** Units of every type but services, what systemd says of each once it is started, and what proves that it works. */
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

onMachines('every type of unit', () => {
  const operator = hire();

  afterAll(() => operator.fleetctl('destroy', '*'));

  it.each([
    ['on one machine', '', 1],
    ['on all machines', '\n[X-Fleet]\nGlobal=true', 3],
  ])('is started, shown, stopped and taken away %s', async (_, placement, copies) => {
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
    expect(await insideAll(['k1', 'k2', 'k3'], 'mountpoint -q /run/store || echo gone')).toEqual(
      Array.from({ length: 3 }, () => 'gone\n'),
    );
  });

  /** The units of the table, where they are and how they are. */
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
