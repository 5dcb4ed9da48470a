import { describe, expect, it } from 'vitest';
import { recover } from '../../src/operations/recover.ts';
import { load, start, submitUnits } from '../../src/operations/set-target-state.ts';
import { requestUnit } from '../../src/operations/submit.ts';
import type { RequestResult } from '../../src/operations/unit-result.ts';
import { requestReport } from '../../src/output/request-report.ts';
import type { Ports } from '../../src/reconcile/ports.ts';
import { createRegistry } from '../../src/registry/registry.ts';
import { parseUnitName } from '../../src/unit/unit-name.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { FALSE, makeScene, type Scene, SLEEP } from './scene.ts';

const text = (name: string): string => `${SLEEP}Environment=NAME=${name}\n`;

/** The texts of units: `{ 'web@1.service': 'a' }`. */
async function textsIn({ registry }: Ports): Promise<Readonly<Record<string, string>>> {
  const { units } = await registry.load();
  return Object.fromEntries(
    [...units.values()].map((unit) => [unit.name, /NAME=(.*)/.exec(unit.text)?.[1] ?? '']),
  );
}

const said = (request: RequestResult): readonly string[] => {
  const { out, err } = requestReport('submit', request);
  return [...out, ...err];
};

/** The texts of web@1, web@2 and web@3 on their machines. */
const textsOnMachines = ({ machines }: Scene): readonly unknown[] =>
  ['m1', 'm2', 'm3']
    .flatMap((name) => [...machines.of(name).units])
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([, unit]) => /NAME=(.*)/.exec(unit.text ?? '')?.[1]);

const submitTemplate = (scene: Scene, ports = scene.ports): Promise<RequestResult> =>
  submitUnits(ports, { units: ['units/web@.service'], cwd: scene.cwd, replace: true });

/** web@1 and web@2 run with the text of a template that the registry does not have, web@3 with its own text. */
async function running(): Promise<Scene> {
  const scene = await makeScene();
  await scene.write('units/web@.service', text('a'));
  await scene.write('units/web@3.service', text('own'));
  await scene.start('units/web@1', 'units/web@2', 'units/web@3');
  await scene.write('units/web@.service', text('b'));
  return scene;
}

describe('the instances of a template', () => {
  it('follow its file, which the registry did not have; one with its own file keeps that file', async () => {
    const scene = await running();
    expect(said(await submitTemplate(scene))).toEqual([
      'Template web@.service stored; 2 of 3 instances updated',
      expect.stringMatching(/^Unit web@1.service launched on/),
      expect.stringMatching(/^Unit web@2.service launched on/),
      'Warning: unit "web@3.service" keeps its own text, not that of template "web@.service"',
    ]);
    expect(await textsIn(scene.ports)).toMatchObject({
      'web@1.service': 'b',
      'web@2.service': 'b',
      'web@3.service': 'own',
    });
    await scene.write('units/web@.service', text('c'));
    expect(said(await submitTemplate(scene))[0]).toBe(
      'Template web@.service stored; 2 of 3 instances updated',
    );
    // Nothing is left to do, and that is said in the same words.
    expect(said(await submitTemplate(scene))).toEqual([
      'Template web@.service stored; 2 of 3 instances updated',
      expect.stringMatching(/^Unit web@1.service launched on/),
      expect.stringMatching(/^Unit web@2.service launched on/),
      'Warning: unit "web@3.service" keeps its own text, not that of template "web@.service"',
    ]);
  });

  it('get it from a second command if the first one was interrupted after it had stored it', async () => {
    const scene = await running();
    await scene.submit(['units/web@.service'], true);
    expect(await textsIn(scene.ports)).toMatchObject({ 'web@1.service': 'b' });
    const outdated = textsOnMachines(scene);
    expect(said(await submitTemplate(scene))).toContain(
      'Template web@.service stored; 2 of 3 instances updated',
    );
    expect([outdated, textsOnMachines(scene)]).toEqual([
      ['a', 'a', 'own'],
      ['b', 'b', 'own'],
    ]);
  });

  it('do not count as updated if their start has failed before', async () => {
    const scene = await running();
    await scene.write('units/web@.service', `${FALSE}Environment=NAME=b\n`);
    const first = said(await submitTemplate(scene));
    const second = said(await submitTemplate(scene));
    expect([first[0], second[0]]).toEqual([
      'Template web@.service stored; 0 of 3 instances updated',
      'Template web@.service stored; 0 of 3 instances updated',
    ]);
  });

  it('name the one at which a rollout ended, and why, although that one is up', async () => {
    const scene = await running();
    const name = ['m1', 'm2', 'm3'].find((each) => scene.machines.of(each).units.has('web@1.service')) ?? '';
    const fake = scene.machines.of(name);
    const { change } = fake;
    const failure = { code: 'step', step: 'write', detail: 'Operation not permitted' } as const;
    fake.change = (changes) =>
      changes.map(({ unit }) => ({ unit, machine: name, state: undefined, failure }));
    expect(said(await submitTemplate(scene))).toEqual(
      expect.arrayContaining([
        expect.stringContaining(
          `because the rollout ended at web@1.service on ${name}: could not write the unit file: "Operation not permitted"`,
        ),
        'hint: fleetd or "fleetctl reconcile" continues when that has changed; to continue without web@1.service: fleetctl start web@2.service',
      ]),
    );
    await scene.start('web@2');
    expect(textsOnMachines(scene)).toEqual(['a', 'b', 'own']);
    fake.change = change;
    await scene.start('web@1', 'web@2');
    expect(textsOnMachines(scene)).toEqual(['b', 'b', 'own']);
  });

  it('follow it after a recovery, too', async () => {
    const scene = await running();
    const registry = createRegistry(createMemoryStore(), { clock: scene.clock, author: 'me@here' });
    const ports = { ...scene.ports, registry };
    await recover(ports, { accept: ['*'], reject: [], trust: [] });
    expect(said(await submitTemplate(scene, ports))[0]).toBe(
      'Template web@.service stored; 2 of 3 instances updated',
    );
    expect(await textsIn(ports)).toMatchObject({ 'web@1.service': 'b', 'web@3.service': 'own' });
  });

  it('keep their own file that is given with it, in any order', async () => {
    const scene = await running();
    await scene.write('units/web@1.service', text('mine'));
    await scene.write('units/web@2.service', text('mine'));
    const units = ['units/web@1.service', 'units/web@.service', 'units/web@2.service'];
    const request = await submitUnits(scene.ports, { units, cwd: scene.cwd, replace: true });
    expect(said(request)[0]).toBe('Template web@.service stored; 0 of 3 instances updated');
    expect(await textsIn(scene.ports)).toMatchObject({ 'web@1.service': 'mine', 'web@2.service': 'mine' });
  });

  it('that came over the API follow where they have its text', async () => {
    const scene = await makeScene();
    const put = (name: string, content: string): Promise<unknown> =>
      requestUnit(scene.ports.registry, {
        name: parseUnitName(name),
        text: content,
        target: 'inactive',
        source: name,
      });
    await put('web@.service', text('a'));
    await put('web@1.service', text('a'));
    await put('web@2.service', text('other'));
    await scene.write('units/web@.service', text('b'));
    await submitTemplate(scene);
    expect(await textsIn(scene.ports)).toEqual({
      'web@.service': 'b',
      'web@1.service': 'b',
      'web@2.service': 'other',
    });
  });

  it('are named when only one of them gets the new text', async () => {
    const scene = await running();
    const request = { units: ['units/web@1'], cwd: scene.cwd, replace: true };
    const warnings = [
      'Warning: unit "web@2.service" keeps its old text of template "web@.service"',
      'hint: Update all instances: fleetctl submit --replace web@.service',
    ];
    expect(said(await start(scene.ports, request)).slice(1)).toEqual(warnings);
    expect(await textsIn(scene.ports)).toMatchObject({ 'web@1.service': 'b', 'web@2.service': 'a' });
    await scene.write('units/web@.service', text('c'));
    expect(
      said(await load(scene.ports, { ...request, units: ['units/web@4'], replace: false })).slice(1),
    ).toEqual(['Warning: unit "web@1.service" keeps its old text of template "web@.service"', ...warnings]);
  });
});

describe('a new instance of a template that the registry has', () => {
  it('gets the text of the registry, with a warning that the file differs', async () => {
    const scene = await makeScene();
    await scene.write('web@.service', text('a'));
    await scene.submit(['web@.service']);
    await scene.write('web@.service', text('b'));
    const { differing } = await scene.start('web@1', 'web@2');
    expect(differing.map(({ unit, path }) => [unit, path])).toEqual([
      ['web@.service', `${scene.cwd}/web@.service`],
    ]);
    expect(await textsIn(scene.ports)).toMatchObject({ 'web@1.service': 'a', 'web@2.service': 'a' });
  });

  it('gets that of the file with --replace', async () => {
    const scene = await makeScene();
    await scene.write('web@.service', text('a'));
    await scene.submit(['web@.service']);
    await scene.start('web@1');
    await scene.write('web@.service', text('b'));
    const request = await start(scene.ports, { units: ['web@2'], cwd: scene.cwd, replace: true });
    expect(await textsIn(scene.ports)).toEqual({
      'web@.service': 'a',
      'web@1.service': 'a',
      'web@2.service': 'b',
    });
    expect(said(request)[1]).toBe(
      'Warning: unit "web@1.service" keeps its old text of template "web@.service"',
    );
  });
});
