import { afterAll, expect, it } from 'vitest';
import { inside, onMachines } from '../support/cluster.ts';
import { done, hire } from './operator.ts';
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
    const rows = UNITS.flatMap(([name, , sub]) => Array.from({ length: copies }, () => [name, sub]));
    const { stdout } = await operator.fleetctl('list-units', '--no-legend', '--fields=unit,sub');
    const shown = stdout
      .trim()
      .split('\n')
      .map((line) => line.split(/ +/));
    expect(shown.filter(([name]) => name !== 'done.service')).toEqual(rows);
    for (const [name, , , proof] of UNITS) {
      const row = (await operator.fleetctl('list-units', '--no-legend', '--fields=unit,machine')).stdout
        .split('\n')
        .find((line) => line.startsWith(name));
      expect(await inside(`k${row?.at(-1)}`, `${proof} && echo ${name}`)).toBe(`${name}\n`);
    }
    expect(await operator.fleetctl('stop', ...NAMES)).toMatchObject({ status: 0, stderr: '' });
    expect(await operator.fleetctl('destroy', 'done', ...NAMES)).toEqual(
      done(
        [...NAMES, 'done.service']
          .sort()
          .map((name) => `Destroyed ${name}`)
          .join('\n'),
      ),
    );
    expect(await inside('k1', 'mountpoint -q /run/store || echo gone')).toBe('gone\n');
  });

  it.each(['load', 'start'])(
    'that starts another unit is refused by %s where that unit is missing',
    async (verb) => {
      operator.write('lone.timer', '[Timer]\nOnCalendar=daily\n');
      for (const words of [[], ['--replace']]) {
        const { status, stdout, stderr } = await operator.fleetctl(verb, ...words, 'lone.timer');
        expect({ status, stdout, stderr }).toEqual({
          status: 1,
          stdout: '',
          stderr:
            `Error: Cannot ${verb} unit "lone.timer": it starts "lone.service", which is neither in the registry nor on a machine\n` +
            'hint: Submit it first: fleetctl submit lone.service\n',
        });
      }
      expect(await operator.fleetctl('list-unit-files', '--no-legend')).toEqual(done(''));
    },
  );
});
