import { describe, expect, it } from 'vitest';
import { explainUnit, type UnitExplanation } from '../../src/operations/explain.ts';
import { explanationJson, explanationLines, ruleRows } from '../../src/output/explanation.ts';
import { CONSTRAINTS } from '../../src/schedule/constraints.ts';
import { TTL_MS } from '../support/builders.ts';
import { makeScene, type Scene, SLEEP } from './scene.ts';

const DB = `${SLEEP}[X-Fleet]\nMachineMetadata=role=db\n`;
const ROLES = { m1: { role: 'web' }, m2: { role: 'web' }, m3: {} };

const ask = (scene: Scene, unit: string): Promise<UnitExplanation> =>
  explainUnit(scene.ports, { unit, cwd: scene.cwd });

/** What people read: the sentences, and the rows as `m1 yes`, `m3 no MachineMetadata`. */
function shown(told: UnitExplanation): readonly string[] {
  const rows = ruleRows(told, false).map(({ machine, result }) => {
    const fits = result?.reason === undefined ? 'yes' : `no ${result.rule}`;
    return `${machine.machine.machine.name} ${fits}`;
  });
  return [...explanationLines(told), ...rows];
}

describe('explain tells people', () => {
  it('where a unit is, where else it could be, and what would make it move', async () => {
    const scene = await makeScene();
    await scene.write('web.service', SLEEP);
    await scene.start('web');
    expect(shown(await ask(scene, 'web'))).toEqual([
      'Unit web.service is on "m1" (10.0.0.1), which has no other standard unit',
      'Runner-up: "m2" (10.0.0.2), which has no other standard unit',
      'It would move there if "m1" was unreachable for 30s or no longer fitted; load alone does not move units',
      'm1 yes',
      'm2 yes',
      'm3 yes',
    ]);
  });

  it('where a unit file would go that is not submitted, and submits nothing', async () => {
    const scene = await makeScene({ ...ROLES, m3: { role: 'db' } });
    await scene.write('units/new.service', DB);
    const told = await ask(scene, 'units/new.service');
    expect(told.submitted).toBe(false);
    expect(shown(told)).toEqual([
      'Unit new.service would go to "m3" (10.0.0.3), which has no other standard unit',
      'Runner-up: none, no other machine fits',
      'No event would make it move',
      'm3 yes',
      'm1 no MachineMetadata',
      'm2 no MachineMetadata',
    ]);
    expect(await scene.wanted()).toEqual({});
  });

  it('why a unit is nowhere', async () => {
    const scene = await makeScene(ROLES);
    await scene.write('db.service', DB);
    await scene.start('db');
    expect(shown(await ask(scene, 'db'))).toEqual([
      'Unit db.service is on no machine: no machine fits',
      'm1 no MachineMetadata',
      'm2 no MachineMetadata',
      'm3 no MachineMetadata',
    ]);
  });

  it('that a unit stays on an unreachable machine for now, and when it moves', async () => {
    const scene = await makeScene();
    await scene.write('web.service', SLEEP);
    await scene.start('web');
    scene.machines.disconnect('m1');
    await ask(scene, 'web');
    expect(shown(await ask(scene, 'web')).slice(0, 3)).toEqual([
      'Unit web.service is assigned to "m1" (10.0.0.1), which has no other standard unit',
      'Runner-up: "m2" (10.0.0.2), which has no other standard unit',
      'It stays although the machine does not answer: Cannot reach machine "m1"; it moves when the machine has been unreachable for 30s',
    ]);
    scene.clock.time += TTL_MS;
    expect(shown(await ask(scene, 'web'))[2]).toBe(
      'It moves: the machine has not answered for 30s: Cannot reach machine "m1"',
    );
  });

  it('on which machines a global unit belongs', async () => {
    const scene = await makeScene(ROLES);
    await scene.write('g.service', `${SLEEP}[X-Fleet]\nGlobal=true\nMachineMetadata=role=web\n`);
    expect(shown(await ask(scene, 'g.service'))).toEqual([
      'Unit g.service is global and would go on 2 of 3 machines',
      'm1 yes',
      'm2 yes',
      'm3 no MachineMetadata',
    ]);
  });
});

describe('explain tells scripts', () => {
  it('every rule on every machine', async () => {
    const scene = await makeScene(ROLES);
    await scene.write('db.service', DB);
    const value = explanationJson(await ask(scene, 'db'));
    expect(value).toMatchObject({
      unit: 'db.service',
      submitted: false,
      desiredState: 'inactive',
      decision: 'nowhere',
      machine: null,
      runnerUp: null,
      because: null,
      agentTtlMs: TTL_MS,
      machines: [{ rules: { length: CONSTRAINTS.length } }, {}, {}],
    });
    expect(value).toHaveProperty('machines[0].rules[1]', {
      rule: 'MachineMetadata',
      holds: false,
      reason: 'MachineMetadata= requires role=db, and the machine has role=web',
    });
  });
});

it.each([
  ['a template', 'web@.service', 'usage'],
  ['a unit that is nowhere to be found', 'nix.service', 'unit-not-found'],
])('refuses %s', async (_, unit, code) => {
  const scene = await makeScene();
  await expect(ask(scene, unit)).rejects.toMatchObject({ code });
});
