import { describe, expect, it } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import type { VoterCandidate } from '../../src/quorum/choose.ts';
import type { VoterChange } from '../../src/quorum/electorate.ts';
import { snapshotOf } from '../../src/reconcile/snapshot.ts';
import { candidatesOf } from '../../src/reconcile/voters.ts';
import { RegistryView } from '../../src/registry/view.ts';
import { TTL_MS } from '../support/builders.ts';
import { Scene } from './scene.ts';

/** A scene with voters that record what they are asked, and make this change once. */
function withVoters(scene: Scene, ...changes: VoterChange[]) {
  const asked: (readonly VoterCandidate[])[] = [];
  const tend = async (candidates: readonly VoterCandidate[]): Promise<readonly VoterChange[]> => {
    asked.push(candidates);
    return changes.splice(0);
  };
  const voters = { tend, former: () => [{ machine: 'm2', revision: 7 }], marks: new Map([['m2', false]]) };
  Object.assign(scene.ports, { voters });
  return asked;
}

describe('a pass', () => {
  it('tends the voters with what it has seen of machines, and logs a change', async () => {
    const scene = new Scene(['m1', 'm2', 'm3']);
    await scene.want('launched', '', 'a.service');
    const asked = withVoters(scene, { gone: ['m3'], come: ['m1'] });
    scene.driver.disconnect('m3');
    await scene.pass('a.service');
    const good = { condition: 'good', mark: undefined };
    expect(asked).toEqual([
      [
        { machine: 'm1', answers: true, ...good },
        { machine: 'm2', answers: true, ...good, mark: false },
        { machine: 'm3', answers: false, ...good },
      ],
    ]);
    expect(scene.events).toContainEqual({ kind: 'voters', gone: ['m3'], come: ['m1'] });
    const logged = (await scene.registry.load()).events.flatMap(({ events }) => events);
    expect(logged).toContainEqual({ kind: 'voters', gone: ['m3'], come: ['m1'] });
  });

  it('does not report a voter whose machine has another name only', async () => {
    const scene = new Scene(['m1', 'm2']);
    await scene.want('launched', '', 'a.service');
    await scene.registry.update(() => [{ kind: 'delete-machine', name: 'old', renamedTo: 'm1' }]);
    withVoters(scene, { gone: ['old'], come: ['m1'] }, { gone: ['old', 'm3'], come: ['m1', 'm2'] });
    const report = await scene.pass('a.service');
    expect(scene.events.filter(({ kind }) => kind === 'voters')).toEqual([
      { kind: 'voters', gone: ['m3'], come: ['m2'] },
    ]);
    expect(report.newVoters).toEqual([{ kind: 'voters', gone: ['m3'], come: ['m2'] }]);
  });

  it('reports a registry from before a recovery once, which is logged', async () => {
    const scene = new Scene(['m1', 'm2', 'm3']);
    await scene.want('launched', '', 'a.service');
    withVoters(scene);
    const former = { kind: 'former-registry', machine: 'm2', revision: 7 };
    await scene.pass('a.service');
    expect(scene.events).toContainEqual(former);
    await scene.pass('a.service');
    expect(scene.events).not.toContainEqual(former);
    const logged = (await scene.registry.load()).events.flatMap(({ events }) => events);
    expect(logged.filter(({ kind }) => kind === former.kind)).toEqual([former]);
  });

  it('succeeds although the voters cannot be changed', async () => {
    const scene = new Scene(['m1']);
    await scene.want('launched', '', 'a.service');
    const tend = async () => {
      throw new FleetError('registry-no-majority', 'Cannot read the registry');
    };
    Object.assign(scene.ports, { voters: { tend, marks: new Map() } });
    await scene.pass('a.service');
    expect(scene.there()).toEqual(['m1 a.service running']);
  });
});

describe('the candidates', () => {
  const conditionAfter = async (ms: number, gone: readonly string[]): Promise<string | undefined> => {
    const scene = new Scene(['m1', 'm2', 'm3']);
    await scene.want('launched', '', 'a.service');
    await scene.pass('a.service');
    scene.driver.disconnect(...gone);
    let asked = withVoters(scene);
    await scene.pass('a.service');
    scene.clock.time += ms;
    asked = withVoters(scene);
    await scene.pass('a.service');
    return asked[0]?.find(({ machine }) => machine === 'm1')?.condition;
  };

  it.each([
    [TTL_MS, ['m1'], 'good'],
    [9 * TTL_MS, ['m1'], 'good'],
    [10 * TTL_MS, ['m1'], 'lost'],
    [10 * TTL_MS, ['m1', 'm2'], 'good'],
  ])('after %s ms without %s, m1 is %s', async (ms, gone, condition) => {
    expect(await conditionAfter(ms, gone)).toBe(condition);
  });

  it('include machines that only the registry has, and tell which ones are drained or distrusted', async () => {
    const scene = new Scene(['m1']);
    await scene.want('launched', '', 'a.service');
    const known = { id: undefined, silentSince: undefined, backSince: undefined, cordon: undefined };
    const view = await scene.registry.update(() => [
      { kind: 'put-machine', name: 'elsewhere', known },
      { kind: 'put-machine', name: 'm1', known: { ...known, cordon: 'standard' } },
      { kind: 'put-machine', name: 'm2', known: { ...known, cordon: 'standard', distrusted: true } },
    ]);
    const snapshot = snapshotOf(scene.ports, view, []);
    expect(view).toBeInstanceOf(RegistryView);
    expect(candidatesOf(snapshot, view, new Map([['m1', true]]))).toEqual([
      { machine: 'elsewhere', answers: false, condition: 'good', mark: undefined },
      { machine: 'm1', answers: false, condition: 'drained', mark: true },
      { machine: 'm2', answers: false, condition: 'excluded', mark: undefined },
    ]);
  });
});
