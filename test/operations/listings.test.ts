import { describe, expect, it } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import { unknownState } from '../../src/cluster/unit-state.ts';
import { listMachines } from '../../src/operations/list-machines.ts';
import { listUnitFiles } from '../../src/operations/list-unit-files.ts';
import { listUnits } from '../../src/operations/list-units.ts';
import { withMachineSnapshots } from '../../src/operations/observe-cluster.ts';
import { reconcileEverything } from '../../src/operations/reconcile-everything.ts';
import { stop, unload } from '../../src/operations/set-target-state.ts';
import { unitStatus } from '../../src/operations/status.ts';
import type { Ports } from '../../src/reconcile/ports.ts';
import { systemdState } from '../support/builders.ts';
import { FALSE, GLOBAL, makeScene, SLEEP } from './scene.ts';

async function units(ports: Ports): Promise<readonly string[]> {
  const { rows } = await withMachineSnapshots(ports, listUnits);
  return rows.map(
    ({ unit, machine, state: { load, active, sub } }) => `${unit} ${machine.name} ${load} ${active} ${sub}`,
  );
}

async function unitFiles(ports: Ports): Promise<readonly string[]> {
  const { rows } = await withMachineSnapshots(ports, listUnitFiles);
  return rows.map(({ unit, target, state, machine, coverage }) => {
    const where = coverage === undefined ? machine?.name : `${coverage.reached} of ${coverage.eligible}`;
    return `${unit} ${target} ${state} ${where ?? '-'}`;
  });
}

/** a on m1, b on m2, g everywhere, and idle in the registry alone. */
async function busy() {
  const scene = await makeScene();
  for (const name of ['a', 'b', 'idle']) await scene.write(`${name}.service`, SLEEP);
  await scene.write('g.service', GLOBAL);
  await scene.submit(['idle']);
  await scene.start('a', 'b', 'g');
  return scene;
}

describe('list-units', () => {
  it('has one row for each unit and machine, by unit and then by id', async () => {
    const { ports } = await busy();
    expect(await units(ports)).toEqual([
      'a.service m1 loaded active running',
      'b.service m2 loaded active running',
      'g.service m1 loaded active running',
      'g.service m2 loaded active running',
      'g.service m3 loaded active running',
    ]);
  });

  it('shows the hash of the file that is there', async () => {
    const { ports } = await busy();
    const { rows } = await withMachineSnapshots(ports, listUnits);
    const wanted = (await ports.registry.load()).units;
    expect(rows.map(({ hash }) => hash)).toEqual(rows.map(({ unit }) => wanted.get(unit)?.hash));
  });

  it('has a unit on whose machine an older text is as outdated', async () => {
    const scene = await busy();
    const { ports, machines } = scene;
    for (const name of ['a', 'g'])
      await scene.write(`${name}.service`, `${name === 'a' ? SLEEP : GLOBAL}#\n`);
    await scene.submit(['a', 'g'], true);
    const { rows } = await withMachineSnapshots(ports, listUnitFiles);
    expect(rows.map(({ unit, state, drift }) => [unit, state, drift])).toEqual([
      ['a.service', 'launched', 'outdated'],
      ['b.service', 'launched', undefined],
      ['g.service', 'launched', 'outdated'],
      ['idle.service', 'inactive', undefined],
    ]);
    expect(rows[2]?.coverage).toEqual({ reached: 0, eligible: 3 });
    const edited = machines.of('m2').units.get('b.service');
    if (edited !== undefined) edited.text = `${SLEEP}#`;
    const { statuses } = await unitStatus(ports, {
      verb: 'status',
      units: ['a', 'b'],
      machine: undefined,
      lines: undefined,
    });
    expect(statuses.map(({ drift }) => drift)).toEqual(['outdated', 'altered']);
  });

  it('has a unit whose record is lost as unknown, and says how to adopt it', async () => {
    const { ports, machines } = await busy();
    const there = machines.of('m1').units.get('a.service');
    if (there !== undefined) there.record = undefined;
    expect((await units(ports))[0]).toBe('a.service m1 unknown unknown unknown');
    expect((await unitFiles(ports))[0]).toBe('a.service launched unknown m1');
    const { unknown } = await withMachineSnapshots(ports, listUnits);
    expect(unknown).toMatchObject([
      {
        unit: 'a.service',
        why: 'its record /var/lib/fleet/units/a.service is missing, and systemd shows it as active (running)',
        hint: expect.stringContaining('fleetctl reconcile'),
      },
    ]);
    await reconcileEverything(ports);
    expect([(await units(ports))[0], machines.of('m1').log.slice(-2)]).toEqual([
      'a.service m1 loaded active running',
      ['adopt a.service', 'record a.service'],
    ]);
  });

  it('has a unit that systemd cannot show as unknown, and says why', async () => {
    const { ports, machines } = await busy();
    for (const unit of ['a.service', 'g.service']) {
      const there = machines.of('m1').units.get(unit);
      if (there !== undefined) there.state = unknownState('Invalid argument');
    }
    const { unknown } = await withMachineSnapshots(ports, listUnits);
    expect(unknown?.map(({ unit, machine, why }) => [unit, machine.name, why])).toEqual([
      ['a.service', 'm1', 'Invalid argument'],
      ['g.service', 'm1', 'Invalid argument'],
    ]);
    expect(await units(ports)).toContain('a.service m1 unknown unknown unknown');
    const { rows } = await withMachineSnapshots(ports, listUnits);
    expect(rows[0]?.state.restarts).toBeUndefined();
    expect(await unitFiles(ports)).toEqual(
      expect.arrayContaining(['a.service launched unknown m1', 'g.service launched launched 2 of 3']),
    );
    expect((await withMachineSnapshots(ports, listUnitFiles)).unknown).toEqual(unknown);
  });

  it('keeps the rows of a machine that does not answer, and says which and why', async () => {
    const { ports, machines, clock } = await busy();
    machines.disconnect(
      'm1',
      new FleetError('ssh-refused', 'Cannot reach machine "m1"', { hint: 'Check it' }),
    );
    await withMachineSnapshots(ports, listUnits);
    clock.time += 5000;
    const { rows, unreachable } = await withMachineSnapshots(ports, listUnits);
    expect(
      rows
        .filter(({ machine }) => machine.name === 'm1')
        .map(({ unit, state: { active, sub }, hash }) => [unit, active, sub, hash]),
    ).toEqual([
      ['a.service', 'unknown', 'unreachable', ''],
      ['g.service', 'unknown', 'unreachable', ''],
    ]);
    expect(unreachable).toMatchObject([
      { machine: { name: 'm1' }, message: 'Cannot reach machine "m1"', hint: 'Check it', silentMs: 5000 },
    ]);
  });

  it('shows no global unit on an unreachable machine that it does not fit', async () => {
    const scene = await makeScene({ m1: { role: 'db' }, m2: { role: 'web' } });
    await scene.write('g.service', `${GLOBAL}MachineMetadata=role=web\n`);
    await scene.start('g');
    scene.machines.disconnect('m1');
    expect(await units(scene.ports)).toEqual(['g.service m2 loaded active running']);
  });

  it('shows a unit that is missing where it should be, and one whose place is unknown', async () => {
    const { ports, machines } = await busy();
    machines.of('m1').units.delete('a.service');
    const stray = machines.of('m2').units.get('b.service');
    if (stray?.record)
      machines
        .of('m3')
        .units.set('stray.service', { ...stray, record: { ...stray.record, unit: 'stray.service' } });
    const rows = await units(ports);
    expect(rows).toContain('a.service m1 not-found inactive dead');
    expect(rows).toContain('stray.service m3 loaded active running');
  });

  it('says nothing about the units of a machine of another cluster', async () => {
    const { ports, machines } = await busy();
    machines.of('m3').cluster = 'another';
    const { rows, unreachable } = await withMachineSnapshots(ports, listUnits);
    expect(rows.filter(({ machine }) => machine.name === 'm3')).toEqual([]);
    expect(unreachable.map(({ message }) => message)).toEqual([
      'Machine "m3" (10.0.0.3) belongs to another cluster: "another"',
    ]);
  });

  it('changes nothing on machines, and leaves an empty registry empty', async () => {
    const scene = await makeScene();
    scene.machines.disconnect('m2');
    expect(await units(scene.ports)).toEqual([]);
    expect((await scene.ports.registry.load()).revision).toBe(0);
    expect(scene.machines.of('m1').log).toEqual([]);
  });

  it('works when the registry cannot be written', async () => {
    const { ports, machines } = await busy();
    machines.disconnect('m1');
    const refuse = async (): Promise<never> => {
      throw new FleetError('registry-unavailable', 'Cannot write the registry');
    };
    const readOnly: Ports = { ...ports, registry: { ...ports.registry, update: refuse, change: refuse } };
    expect(await units(readOnly)).toContain('a.service m1 unknown unknown unreachable');
  });
});

describe('list-unit-files', () => {
  it('shows wanted beside actual, and for a global unit on how many machines', async () => {
    const { ports } = await busy();
    expect(await unitFiles(ports)).toEqual([
      'a.service launched launched m1',
      'b.service launched launched m2',
      'g.service launched launched 3 of 3',
      'idle.service inactive inactive -',
    ]);
  });

  it('shows a file that was changed on its machine', async () => {
    const { ports, machines } = await busy();
    const unit = machines.of('m1').units.get('a.service');
    if (unit) unit.text = `${SLEEP}# by hand\n`;
    const { rows } = await withMachineSnapshots(ports, listUnitFiles);
    expect(rows.flatMap(({ unit, drift }) => drift && `${unit} ${drift}`)).toContain('a.service altered');
  });

  it('shows a failed unit as launched beside loaded', async () => {
    const scene = await makeScene();
    await scene.write('false.service', FALSE);
    await scene.start('false');
    expect(await unitFiles(scene.ports)).toEqual(['false.service launched loaded m1']);
  });

  it('shows a unit that fits nowhere, and a template', async () => {
    const scene = await makeScene();
    await scene.write('lost.service', `${SLEEP}[X-Fleet]\nMachineID=deadbeef\n`);
    await scene.write('web@.service', GLOBAL);
    await scene.submit(['web@.service']);
    await scene.start('lost');
    expect(await unitFiles(scene.ports)).toEqual([
      'lost.service launched inactive -',
      'web@.service inactive inactive -',
    ]);
  });

  it('shows "unknown" for what an unreachable machine has', async () => {
    const { ports, machines } = await busy();
    machines.disconnect('m1');
    expect(await unitFiles(ports)).toEqual([
      'a.service launched unknown m1',
      'b.service launched launched m2',
      'g.service launched launched 2 of 3',
      'idle.service inactive inactive -',
    ]);
    for (const name of ['m2', 'm3']) machines.disconnect(name);
    expect((await unitFiles(ports))[2]).toBe('g.service launched unknown 0 of 3');
  });

  it('shows "unknown" for what an unreachable machine may still have of an unloaded unit', async () => {
    const { ports, machines } = await busy();
    machines.disconnect('m1');
    await unload(ports, ['a', 'b', 'g']);
    expect(await unitFiles(ports)).toEqual([
      'a.service inactive unknown m1',
      'b.service inactive inactive -',
      'g.service inactive unknown -',
      'idle.service inactive inactive -',
    ]);
    expect(await units(ports)).toEqual(['a.service m1 unknown unknown unreachable']);
    const request = { verb: 'status', units: ['a', 'b', 'g'], machine: undefined, lines: undefined };
    const { problems, unreachable } = await unitStatus(ports, request);
    expect(problems.map(({ unit }) => unit)).toEqual(['b.service']);
    expect(unreachable.map(({ machine }) => machine.name)).toEqual(['m1']);
    machines.of('m1').unreachable = undefined;
    expect((await unitFiles(ports))[2]).toBe('g.service inactive launched -');
    await reconcileEverything(ports);
    expect((await unitFiles(ports))[2]).toBe('g.service inactive inactive -');
  });

  it('does not take a machine without a global unit for those that were not read', async () => {
    const { ports, machines } = await busy();
    machines.of('m1').units.delete('g.service');
    for (const name of ['m2', 'm3']) machines.disconnect(name);
    expect((await unitFiles(ports))[2]).toBe('g.service launched unknown 0 of 3');
  });

  it('counts machines where a global unit is as wanted, of those it fits', async () => {
    const { ports, machines } = await busy();
    const unit = machines.of('m2').units.get('g.service');
    if (unit) unit.state = systemdState('failed');
    expect((await unitFiles(ports))[2]).toBe('g.service launched launched 2 of 3');
    machines.of('m3').units.delete('g.service');
    expect((await unitFiles(ports))[2]).toBe('g.service launched launched 1 of 3');
  });

  it('counts a machine that is new to fleet.conf', async () => {
    const scene = await makeScene({ m1: {}, m2: {}, m3: {}, m4: {} });
    const { ports } = scene;
    const three = { ...ports, machines: ports.machines.slice(0, 3) };
    await scene.write('g.service', GLOBAL);
    scene.machines.disconnect('m4');
    await scene.start('g');
    scene.machines.of('m4').unreachable = undefined;
    expect(await unitFiles(three)).toEqual(['g.service launched launched 3 of 3']);
    expect(await unitFiles(ports)).toEqual(['g.service launched launched 3 of 4']);
    await scene.start('g');
    expect(await unitFiles(ports)).toEqual(['g.service launched launched 4 of 4']);
  });

  it('counts by the target state: a stopped global unit is loaded on all', async () => {
    const { ports } = await busy();
    await stop(ports, ['g']);
    expect((await unitFiles(ports))[2]).toBe('g.service loaded loaded 3 of 3');
  });

  it('leaves out machines that a global unit may not use', async () => {
    const scene = await makeScene({ m1: { role: 'web' }, m2: {}, m3: { role: 'web' } });
    await scene.write('g.service', `${GLOBAL}MachineMetadata=role=web\nConflicts=b.service\n`);
    await scene.write('b.service', SLEEP);
    await scene.start('b');
    await scene.start('g');
    expect(await unitFiles(scene.ports)).toEqual([
      'b.service launched launched m1',
      'g.service launched launched 1 of 1',
    ]);
  });

  it('shows where a unit was when its machine has left fleet.conf', async () => {
    const { ports } = await busy();
    const { rows } = await withMachineSnapshots(
      { ...ports, machines: ports.machines.slice(1) },
      listUnitFiles,
    );
    expect(rows[0]).toMatchObject({
      unit: 'a.service',
      state: 'unknown',
      machine: { name: 'm1', address: '', id: expect.stringMatching(/^[0-9a-f]{32}$/) },
    });
  });

  it('shows the description with the specifiers that fleet knows', async () => {
    const scene = await makeScene();
    await scene.write('web@.service', `[Unit]\nDescription=Web %i of %p on %H\n${SLEEP}`);
    await scene.submit(['web@.service', 'web@1']);
    expect(
      (await withMachineSnapshots(scene.ports, listUnitFiles)).rows.map((row) => row.description),
    ).toEqual(['Web %i of %p on %H', 'Web 1 of web on %H']);
  });

  it('shows the description', async () => {
    const scene = await makeScene();
    await scene.write('a.service', `[Unit]\nDescription=Hello World\n${SLEEP}`);
    await scene.submit(['a']);
    expect((await withMachineSnapshots(scene.ports, listUnitFiles)).rows).toMatchObject([
      { description: 'Hello World' },
    ]);
  });
});

describe('list-machines', () => {
  it('shows every machine, by id', async () => {
    const scene = await makeScene({ m2: { role: 'db' }, m1: {} });
    expect(
      (await withMachineSnapshots(scene.ports, listMachines)).rows.map(({ name, metadata, state }) => [
        name,
        metadata,
        state,
      ]),
    ).toEqual([
      ['m1', {}, 'reachable'],
      ['m2', { role: 'db' }, 'reachable'],
    ]);
  });

  it('remembers the id of a machine that has become unreachable, and puts those it never saw last', async () => {
    const scene = await makeScene({ m0: {}, m1: {}, m2: {} });
    scene.machines.disconnect('m0');
    await scene.write('g.service', GLOBAL);
    await scene.start('g');
    scene.machines.disconnect('m1');
    const { rows, unreachable } = await withMachineSnapshots(scene.ports, listMachines);
    expect(rows.map(({ name, id, state }) => [name, id !== undefined, state])).toEqual([
      ['m1', true, 'unreachable'],
      ['m2', true, 'reachable'],
      ['m0', false, 'unreachable'],
    ]);
    expect(unreachable.map(({ machine }) => machine.name)).toEqual(['m0', 'm1']);
  });
});

describe('list-machines tells of', () => {
  const told = async (ports: Ports) =>
    (await withMachineSnapshots(ports, listMachines)).rows.map(
      ({ name, units, vitals, uptimeSeconds, lastSeen }) => [
        ...[name, units, vitals?.systemd, uptimeSeconds, lastSeen],
      ],
    );

  it('machines that answer, now, and of one that does not, when it was first missed', async () => {
    const { ports, machines, clock } = await busy();
    const before = clock.time;
    machines.disconnect('m2');
    await withMachineSnapshots(ports, listUnits);
    clock.time += 5000;
    expect(await told(ports)).toEqual([
      ['m1', 2, '252', 1000, before + 5000],
      ['m2', undefined, undefined, undefined, before],
      ['m3', 1, '252', 1000, before + 5000],
    ]);
  });

  it('a machine that never answered, nothing', async () => {
    const { ports, machines } = await makeScene({ m1: {} });
    machines.disconnect('m1');
    expect(await told(ports)).toEqual([['m1', undefined, undefined, undefined, undefined]]);
  });

  it('a machine that has units of ours and says it belongs to another cluster nothing', async () => {
    const { ports, machines, clock } = await busy();
    machines.of('m1').cluster = 'theirs';
    expect((await told(ports))[0]).toEqual(['m1', undefined, undefined, undefined, clock.time]);
  });

  it('machines without writing the registry', async () => {
    const { ports, clock } = await busy();
    const { revision } = await ports.registry.load();
    clock.time += 5000;
    await withMachineSnapshots(ports, listMachines);
    expect((await ports.registry.load()).revision).toBe(revision);
  });
});
