import { describe, expect, it } from 'vitest';
import { requestStatus } from '../../src/cli/exit-status.ts';
import { restart } from '../../src/operations/restart.ts';
import { restartPreview, restartReport } from '../../src/output/request-report.ts';
import { GLOBAL, makeScene, type Scene, SLEEP } from './scene.ts';

async function populated(): Promise<Scene> {
  const scene = await makeScene();
  await scene.write('web@.service', SLEEP);
  await scene.write('everywhere.service', GLOBAL);
  await scene.submit(['web@.service']);
  await scene.start('web@1', 'web@2', 'web@3', 'everywhere');
  for (const { name } of scene.machines.machines) scene.machines.of(name).log.length = 0;
  return scene;
}

async function restarted(
  scene: Scene,
  units: readonly string[],
  maxParallel = 1,
): Promise<readonly string[]> {
  const result = await restart(scene.ports, units, maxParallel);
  const { out, err } = restartReport(result);
  const lines = [...out, ...err].map((line) => line.replaceAll(/[0-9a-f]{8}\.\.\./g, ''));
  return [...lines, `status ${requestStatus(result)}`];
}

/** From now on, whatever is started on the machine fails. */
function fails(scene: Scene, machine: string): void {
  const fake = scene.machines.of(machine);
  for (const unit of fake.units.values()) unit.text = unit.text?.replace('/bin/sleep infinity', '/bin/false');
  const { observe } = fake;
  // What is there looks as it should until then.
  fake.observe = (request) => {
    const observation = observe.call(fake, request);
    const units = observation.units.map((unit) => ({ ...unit, digest: unit.record?.digest }));
    return { ...observation, units };
  };
}

describe('restart', () => {
  it('restarts every copy of a global unit and every instance that a glob names', async () => {
    const scene = await populated();
    expect(await restarted(scene, ['everywhere', 'web@*'])).toEqual([
      'Unit everywhere.service restarted on /10.0.0.1',
      'Unit everywhere.service restarted on /10.0.0.2',
      'Unit everywhere.service restarted on /10.0.0.3',
      'Unit web@1.service restarted on /10.0.0.1',
      'Unit web@2.service restarted on /10.0.0.2',
      'Unit web@3.service restarted on /10.0.0.3',
      'status 0',
    ]);
    expect(scene.machines.of('m1').log).toEqual(['restart everywhere.service', 'restart web@1.service']);
  });

  it('stops at the first failure, and names what it did not touch', async () => {
    const scene = await populated();
    fails(scene, 'm2');
    expect(await restarted(scene, ['everywhere'])).toEqual([
      'Unit everywhere.service restarted on /10.0.0.1',
      'Error: Cannot restart unit "everywhere.service" on machine "m2" (10.0.0.2): it did not stay up: failed (failed), result exit-code, exit status 1',
      '  it said this',
      'Warning: unit "everywhere.service" on machine "m3" (10.0.0.3) was not restarted',
      'hint: When the failure is repaired, continue: fleetctl restart everywhere.service',
      'status 1',
    ]);
    expect(scene.machines.of('m3').log).toEqual([]);
  });

  it('finishes the batch with the failure, and no other', async () => {
    const scene = await populated();
    fails(scene, 'm1');
    const said = await restarted(scene, ['web@*'], 2);
    expect(said[0]).toBe('Unit web@2.service restarted on /10.0.0.2');
    expect(said).toContain('Warning: unit "web@3.service" on machine "m3" (10.0.0.3) was not restarted');
  });

  it('restarts where it can when a machine is unreachable, and says where it could not', async () => {
    const scene = await populated();
    scene.machines.disconnect('m2');
    expect(await restarted(scene, ['everywhere'])).toEqual([
      'Unit everywhere.service restarted on /10.0.0.1',
      'Unit everywhere.service restarted on /10.0.0.3',
      'Error: Cannot restart unit "everywhere.service": cannot reach machine "m2"',
      'hint: Run the command again when the machine answers',
      'status 5',
    ]);
  });

  it('stores nothing but that it was done', async () => {
    const scene = await populated();
    const before = await scene.ports.registry.load();
    await restart(scene.ports, ['web@1'], 1);
    const after = await scene.ports.registry.load();
    expect([...after.units]).toEqual([...before.units]);
    expect(after.events.at(-1)?.events).toEqual([{ kind: 'restart', unit: 'web@1.service', machine: 'm1' }]);
  });

  it('shows its batches', async () => {
    const scene = await populated();
    expect(restartPreview(await restart(scene.ports, ['web@*'], 2)).out).toEqual([
      'Batch 1 of 2',
      'm1: restart web@1.service',
      'm2: restart web@2.service',
      'Batch 2 of 2',
      'm3: restart web@3.service',
    ]);
  });

  it('refuses what is not launched, what is not there, and templates; the others are restarted', async () => {
    const scene = await populated();
    await scene.write('idle.service', SLEEP);
    await scene.load('idle');
    expect(await restarted(scene, ['idle', 'absent', 'web@1'])).toEqual([
      'Unit web@1.service restarted on /10.0.0.1',
      'Error: No such unit: "absent.service"',
      'hint: Units in the registry: fleetctl list-unit-files',
      'Error: Cannot restart unit "idle.service": it is loaded, not launched',
      'hint: Start it: fleetctl start idle.service',
      'status 1',
    ]);
    await expect(restart(scene.ports, ['web@'], 1)).rejects.toMatchObject({ code: 'usage' });
  });
});
