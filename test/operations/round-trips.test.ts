import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { listMachines } from '../../src/operations/list-machines.ts';
import { listUnitFiles } from '../../src/operations/list-unit-files.ts';
import { listUnits } from '../../src/operations/list-units.ts';
import { withMachineSnapshots } from '../../src/operations/observe-cluster.ts';
import { start } from '../../src/operations/set-target-state.ts';
import { openQuorumStore } from '../../src/quorum/store.ts';
import { guarded } from '../../src/reconcile/guard.ts';
import type { Ports } from '../../src/reconcile/ports.ts';
import { createRegistry } from '../../src/registry/registry.ts';
import type { Store } from '../../src/store/store.ts';
import type { SystemdDriver } from '../../src/systemd/driver.ts';
import { ModelVoters, memoryCache } from '../quorum/model-voters.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { makeScene, SLEEP } from './scene.ts';

/** In ms: so much longer than the rest takes that the time of a command counts its round trips. */
const TRIP = 700;

/** The first answer of a session takes two round trips over an open connection, every later one takes one. */
function tripsOf(asked: { value: boolean }): Promise<void> {
  const trips = asked.value ? 1 : 2;
  asked.value = true;
  return sleep(trips * TRIP);
}

function far(driver: SystemdDriver): SystemdDriver {
  return {
    ...driver,
    connect(machine) {
      const session = driver.connect(machine);
      const asked = { value: false };
      return {
        ...session,
        ask: (query) => tripsOf(asked).then(() => session.ask(query)),
        change: (...given) => tripsOf(asked).then(() => session.change(...given)),
      };
    },
  };
}

function farVoters(voters: ModelVoters): ModelVoters['ask'] {
  const sessions = new Map<string, { value: boolean }>();
  return async (machine, request) => {
    const asked = sessions.get(machine) ?? { value: false };
    sessions.set(machine, asked);
    await tripsOf(asked);
    return voters.ask(machine, request);
  };
}

/** The ports of a command, with the registry in a folder or on three of the machines; one unit is launched. */
async function arrange(place: 'folder' | 'machines') {
  const voters = new ModelVoters();
  const open = (ask: ModelVoters['ask']): Store =>
    openQuorumStore({
      register: 'head',
      machines: ['m1', 'm2', 'm3'].map((machine) => ({ machine, mark: undefined })),
      belongsTo: () => true,
      ask,
      cache: memoryCache(),
      reserves: true,
    });
  const scene = await makeScene(undefined, place === 'folder' ? createMemoryStore() : open(voters.ask));
  await scene.write('a.service', SLEEP);
  await scene.write('b.service', SLEEP);
  await scene.start('a.service');
  const store = place === 'folder' ? scene.store : open(farVoters(voters));
  const registry = createRegistry(store, { clock: scene.clock, author: 'me@here' });
  const driver = far(scene.ports.driver);
  const early = place === 'folder' ? undefined : ['b.service'];
  return { scene, ports: guarded({ ...scene.ports, registry, driver, early }) };
}

async function count(work: (ports: Ports, cwd: string) => Promise<unknown>, place: 'folder' | 'machines') {
  const { scene, ports } = await arrange(place);
  const began = performance.now();
  await work(ports, scene.cwd);
  return Math.floor((performance.now() - began) / TRIP);
}

describe('round trips after the connections', () => {
  it.each([
    ['list-units', listUnits],
    ['list-unit-files', listUnitFiles],
    ['list-machines', listMachines],
  ])('of %s are two, wherever the registry is', async (_, list) => {
    const listed = (ports: Ports) => withMachineSnapshots<unknown>(ports, list);
    expect(await Promise.all([count(listed, 'folder'), count(listed, 'machines')])).toEqual([2, 2]);
  });

  /**
   * The first look (two), the change on the machine, and one for each change of the registry: the target state, the place, and the
   * verdict on the text. A machine may be changed only by a place that a majority has stored, and the verdict follows from
   * the change, so at least two changes of the registry are needed.
   */
  it('of start are three, and with the registry on machines those of its changes', async () => {
    const launch = (ports: Ports, cwd: string) => start(ports, { units: ['b.service'], cwd, replace: false });
    expect(await Promise.all([count(launch, 'folder'), count(launch, 'machines')])).toEqual([3, 6]);
  });
});
