import { describe, expect, it } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import { reconcileEverything } from '../../src/operations/reconcile-everything.ts';
import { recover } from '../../src/operations/recover.ts';
import { findLostMajority, rebuildWithout } from '../../src/operations/recover-voters.ts';
import { stop, unload } from '../../src/operations/set-target-state.ts';
import { lostMajorityJson, lostMajorityLines, rebuiltReport } from '../../src/output/registry.ts';
import { openQuorumStore, type QuorumStore } from '../../src/quorum/store.ts';
import type { Ports } from '../../src/reconcile/ports.ts';
import { type Edit, UNKNOWN_MACHINE } from '../../src/registry/edit.ts';
import { createRegistry } from '../../src/registry/registry.ts';
import { ModelVoters, memoryCache } from '../quorum/model-voters.ts';
import { makeScene, type Scene, SLEEP } from './scene.ts';

const NAMES = ['m1', 'm2', 'm3', 'm4', 'm5'];

function open({ ask }: ModelVoters, names: readonly string[]): QuorumStore {
  return openQuorumStore({
    ...({ register: 'head', ask, cache: memoryCache(), belongsTo: () => true } as const),
    machines: names.map((machine) => ({ machine, mark: undefined })),
  });
}

/** A cluster whose registry is on its machines, in which a.service is launched. */
async function populated(voters: ModelVoters): Promise<Scene> {
  const machines = Object.fromEntries(NAMES.map((name) => [name, {}]));
  const scene = await makeScene(machines, open(voters, NAMES));
  for (const name of ['a', 'b']) await scene.write(`${name}.service`, SLEEP);
  await scene.start('a');
  await scene.ports.registry.update(({ machines: known }) =>
    scene.ports.machines.map(({ name, address }): Edit => {
      const machine = known.get(name) ?? UNKNOWN_MACHINE;
      return { kind: 'put-machine', name, known: { ...machine, address } };
    }),
  );
  return scene;
}

/** Another process, with a fleet.conf that has only some of the machines. */
function processOf(scene: Scene, voters: ModelVoters, names = NAMES): Ports {
  const store = open(voters, names);
  const registryOf = (of: Pick<QuorumStore, 'list' | 'get' | 'commit' | 'waitForChange' | 'close'>) =>
    createRegistry(of, { clock: scene.clock, author: 'me@here' });
  return {
    ...scene.ports,
    machines: scene.ports.machines.filter(({ name }) => names.includes(name)),
    registry: registryOf(store),
    voters: {
      tend: (candidates) => store.tend(candidates),
      look: (candidates) => store.look(candidates),
      former: () => store.former,
      names: () => store.names(),
      async remains() {
        const found = await store.remains();
        return found && { ...found, registry: registryOf(found.store) };
      },
      marks: new Map(),
    },
  };
}

async function rebuild(ports: Ports) {
  const lost = await findLostMajority(ports);
  if (lost === undefined) throw new Error('nothing is lost');
  const lines = lostMajorityLines(lost);
  const rebuilt = await rebuildWithout(ports, lost);
  return { lost, lines, rebuilt, ...rebuiltReport(lost, rebuilt) };
}

describe('a recovery without the majority of the voters', () => {
  it('continues with copies, and keeps the units of later decisions as unconfirmed', async () => {
    const voters = new ModelVoters();
    const scene = await populated(voters);
    const backup = structuredClone([...voters.disks]);
    await scene.start('b');
    const before = scene.there();
    for (const [machine, disk] of backup) voters.disks.set(machine, disk);
    for (const machine of ['m1', 'm2', 'm3']) voters.copied.add(machine);
    const ports = processOf(scene, voters);
    const { lost, lines, rebuilt, out, err } = await rebuild(ports);
    expect(lines).toEqual([
      'The registry of these voters is a copy, or older than before: m1, m2, m3',
      expect.stringContaining('The newest revision that is left is'),
      expect.stringMatching(/^Machine "m\d" has obeyed later decisions, up to revision \d+: b\.service$/),
      'The registry lacks these units, which are taken from their machines: b.service',
      'Later changes that no machine has any more are lost, such as submitted unit files',
    ]);
    expect(out).toEqual(['Rebuilt the registry from the state of m1, m2, m3', 'Voters: m1, m2, m3']);
    expect(err).toEqual([
      expect.stringContaining('stored as inactive and left unchanged: 1 from'),
      expect.stringContaining('--accept UNIT'),
      'hint: To see differences: fleetctl reconcile --dry-run',
    ]);
    expect(lostMajorityJson(lost, rebuilt)).toMatchObject({
      ...{ rebuilt: true, missing: [], outdated: ['m1', 'm2', 'm3'], unknown: ['b.service'] },
      voters: ['m1', 'm2', 'm3'],
    });
    expect(lostMajorityJson(lost, undefined)).toMatchObject({ rebuilt: false, voters: null });
    await reconcileEverything(ports);
    expect(scene.there()).toEqual(before);
    await recover(ports, { accept: ['b'], reject: [], trust: [] });
    const { units } = await ports.registry.load();
    expect([...units.values()].map(({ name, target }) => [name, target])).toEqual([
      ['a.service', 'launched'],
      ['b.service', 'launched'],
    ]);
  });

  it('says which later decisions the next pass undoes, with the revisions of `fleetctl registry`', async () => {
    const voters = new ModelVoters();
    const scene = await populated(voters);
    await scene.ports.registry.update(({ clusterId: id = '' }) => [
      { kind: 'put-cluster', id, tokenBase: 5000 },
    ]);
    await scene.start('b');
    const before = scene.there();
    const backup = structuredClone([...voters.disks]);
    await stop(scene.ports, ['a']);
    await unload(scene.ports, ['b']);
    const { revision: last } = await scene.ports.registry.load();
    for (const [machine, disk] of backup) voters.disks.set(machine, disk);
    for (const machine of ['m1', 'm2', 'm3']) voters.copied.add(machine);
    const ports = processOf(scene, voters);
    const shown = await open(voters, NAMES).status();
    const { lost, lines } = await rebuild(ports);
    expect(lost.undone).toEqual(['a.service', 'b.service']);
    expect(lines).toContain(
      'The next pass undoes the later decisions about these units: a.service b.service',
    );
    for (const { revision } of lost.ahead)
      expect([lost.revision < revision, revision <= last]).toEqual([true, true]);
    expect(lost.revision).toBe(shown?.revision);
    await reconcileEverything(ports);
    expect(scene.there()).toEqual(before);
  });

  it('makes voters of machines that only the registry names, and reports how many are missing', async () => {
    const voters = new ModelVoters();
    const scene = await populated(voters);
    voters.down.add('m3');
    scene.machines.of('m3').unreachable = new FleetError('ssh-refused', 'm3 is down');
    voters.disks.delete('m2');
    expect((await rebuild(processOf(scene, voters, ['m1', 'm2']))).rebuilt).toMatchObject({ wanted: 3 });
    expect((await processOf(scene, voters).voters?.names())?.length).toBe(3);
  });

  it('says what makes more voters', async () => {
    const voters = new ModelVoters();
    const scene = await populated(voters);
    for (const machine of ['m2', 'm3', 'm4', 'm5']) voters.down.add(machine);
    const { out, err } = await rebuild(processOf(scene, voters));
    expect(out).toEqual([expect.stringMatching(/^Rebuilt the registry without m[23], m[23]$/), 'Voters: m1']);
    expect(err[0]).toBe(
      'hint: The registry has 1 of 3 voters. Other machines become voters when they answer: fleetctl reconcile',
    );
  });
});
