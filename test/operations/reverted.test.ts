import { describe, expect, it } from 'vitest';
import { sha256 } from '../../src/base/hash.ts';
import { toDo } from '../../src/controller/to-do.ts';
import { setCordon } from '../../src/operations/drain.ts';
import { explainUnit } from '../../src/operations/explain.ts';
import { listUnitFiles } from '../../src/operations/list-unit-files.ts';
import { listUnits } from '../../src/operations/list-units.ts';
import { observeCluster, withMachineSnapshots } from '../../src/operations/observe-cluster.ts';
import { reconcileEverything } from '../../src/operations/reconcile-everything.ts';
import { restart } from '../../src/operations/restart.ts';
import { rollback } from '../../src/operations/rollback.ts';
import { destroy, start, stop, submitUnits } from '../../src/operations/set-target-state.ts';
import { unitStatus } from '../../src/operations/status.ts';
import type { RequestResult } from '../../src/operations/unit-result.ts';
import { history, withReverts } from '../../src/operations/unit-texts.ts';
import { resultOf } from '../../src/output/listings.ts';
import { heldText } from '../../src/output/reason.ts';
import { restartJson } from '../../src/output/request-json.ts';
import { restartPreview, restartReport } from '../../src/output/request-report.ts';
import { statusReport } from '../../src/output/status.ts';
import { idOf, TTL_MS } from '../support/builders.ts';
import { FALSE, makeScene, outcome, type Scene, SLEEP } from './scene.ts';

const UNIT = 'net.service';
const text = (version: string, fleet = 'Confirm=30s'): string =>
  `${SLEEP}Environment=V=${version}\n[X-Fleet]\n${fleet}\n`;
const SAID = /^text [0-9a-f]{7} failed on m1: the machine has reverted it, not confirmed within 30s$/;

/** Gives the unit a text, without any change on its machine. */
async function give(scene: Scene, version: string, fleet?: string): Promise<void> {
  await scene.write(UNIT, text(version, fleet));
  await scene.submit([UNIT], true);
}

/** The machine has made the present change, its operator has disappeared, and the machine has reverted the change. */
async function revert(scene: Scene, name = 'm1'): Promise<void> {
  const unit = (await scene.ports.registry.load()).units.get(UNIT);
  if (unit === undefined) throw new Error('it has no text');
  const { token, hash, digest } = unit;
  const machine = scene.machines.of(name);
  const there = machine.units.get(UNIT);
  if (there?.record !== undefined) there.record = { ...there.record, token };
  else machine.removed.set(UNIT, token);
  const report = { unit: UNIT, token, hash, digest, windowMs: 30_000, at: scene.clock.time };
  machine.confirmations.set(UNIT, { ...report, state: 'reverted', why: 'timeout' });
}

/** A unit that runs with text 1, and of which its machine has reverted text 2; no other process has noticed. */
async function withOld(fleet?: string): Promise<Scene> {
  const scene = await makeScene({ m1: {}, m2: {} });
  await give(scene, '1', fleet);
  await scene.start(UNIT);
  await give(scene, '2', fleet);
  await revert(scene);
  return scene;
}

/** A unit that its machine has removed again after its first start. */
async function withoutOld(): Promise<Scene> {
  const scene = await makeScene({ m1: {} });
  await give(scene, '2');
  await scene.ports.registry.update((view) => {
    const unit = view.units.get(UNIT);
    return unit === undefined
      ? []
      : [{ kind: 'put-unit', unit: { ...unit, target: 'launched', machine: idOf('m1') } }];
  });
  await revert(scene);
  return scene;
}

/** The versions that machines have: `m1 V=1 running`. */
function versions({ machines }: Scene): readonly string[] {
  return machines.machines.flatMap(({ name }) => {
    const unit = machines.of(name).units.get(UNIT);
    return unit?.record === undefined ? [] : `${name} ${/V=./.exec(unit.text ?? '')?.[0]} ${unit.state.sub}`;
  });
}

const startIt = (scene: Scene, options: { readonly retry?: boolean } = {}): Promise<RequestResult> =>
  start(scene.ports, { units: [UNIT], cwd: '/', replace: false, ...options });

const verdictOf = async (scene: Scene, digest?: string): Promise<unknown> => {
  const view = await scene.ports.registry.load();
  return view.verdicts(UNIT)[digest ?? view.units.get(UNIT)?.digest ?? '']?.held?.machines;
};

describe('a text that a machine has reverted, and that no process has noticed', () => {
  it.each<[string, (scene: Scene) => Promise<unknown>, readonly string[]]>([
    ['start', startIt, ['m1 V=1 running']],
    ['stop', ({ ports }) => stop(ports, [UNIT]), ['m1 V=1 dead']],
    ['restart', ({ ports }) => restart(ports, [UNIT], 1), ['m1 V=1 running']],
    ['reconcile', ({ ports }) => reconcileEverything(ports), ['m1 V=1 running']],
    ['rollback', ({ ports }) => rollback(ports, { unit: UNIT, to: undefined }), ['m1 V=1 running']],
    [
      'submit of the same file',
      ({ ports, cwd }) => submitUnits(ports, { units: [UNIT], cwd, replace: true }),
      ['m1 V=1 running'],
    ],
    [
      'a start after a stop',
      async (scene) => {
        await stop(scene.ports, [UNIT]);
        await startIt(scene);
      },
      ['m1 V=1 running'],
    ],
    [
      'a cordon that ends',
      async ({ ports }) => {
        await setCordon(ports, ['m1'], 'all');
        await setCordon(ports, ['m1'], undefined);
        await reconcileEverything(ports);
      },
      ['m1 V=1 running'],
    ],
    [
      'a move to another machine, and the return of the first one',
      async (scene) => {
        await reconcileEverything(scene.ports);
        scene.machines.disconnect('m1');
        await reconcileEverything(scene.ports);
        scene.clock.time += TTL_MS;
        await reconcileEverything(scene.ports);
        expect(versions(scene)).toContain('m2 V=1 running');
        scene.machines.disconnect('m1', undefined);
        scene.machines.of('m1').unreachable = undefined;
        await reconcileEverything(scene.ports);
      },
      ['m2 V=1 running'],
    ],
  ])('is not put in again by %s', async (_, act, expected) => {
    const scene = await withOld();
    await act(scene);
    expect(versions(scene)).toEqual(expected);
  });

  it.each([withOld, withoutOld])('is stored as failed by the first pass, and as held', async (make) => {
    const scene = await make();
    await reconcileEverything(scene.ports);
    expect(await verdictOf(scene)).toEqual([{ id: idOf('m1'), name: 'm1' }]);
    expect((await scene.ports.registry.load()).units.get(UNIT)?.held?.cause.kind).toBe('reverted');
  });

  it('is stored as failed although it was replaced meanwhile', async () => {
    const scene = await withOld();
    const { digest } = (await scene.ports.registry.load()).units.get(UNIT) ?? {};
    await give(scene, '3');
    await startIt(scene);
    expect(versions(scene)).toEqual(['m1 V=3 running']);
    expect(await verdictOf(scene, digest)).toEqual([{ id: idOf('m1'), name: 'm1' }]);
    await give(scene, '2');
    expect(outcome(await startIt(scene))).toEqual([`${UNIT}: held on m1`]);
    expect(versions(scene)).toEqual(['m1 V=3 running']);
  });

  it('is work for a controller, once', async () => {
    const scene = await withOld();
    const work = async (): Promise<unknown> =>
      toDo(await observeCluster(scene.ports, { names: [UNIT], digests: true })).groups;
    expect(await work()).toEqual([{ units: new Set([UNIT]), machines: new Set(['m1']) }]);
    await reconcileEverything(scene.ports);
    expect(await work()).toEqual([]);
  });

  it('is shown by every command that only reads', async () => {
    const scene = await withOld();
    const { ports } = scene;
    const said = (entry: Parameters<typeof heldText>[0] | undefined): string | undefined =>
      entry && heldText(entry);
    expect(said((await withMachineSnapshots(ports, listUnits)).held?.[0])).toMatch(SAID);
    const { hash = '', held } = (await withMachineSnapshots(ports, listUnitFiles)).rows[0] ?? {};
    expect(said(held && { hash, held })).toMatch(SAID);
    const { unit } = await explainUnit(ports, { unit: UNIT, cwd: '/' });
    expect(said(unit.held && { hash, held: unit.held })).toMatch(SAID);
    const status = await unitStatus(ports, { verb: 'status', units: [UNIT], machine: undefined, lines: 0 });
    expect(statusReport(status).err.join()).toMatch(/is held: text .* the machine has reverted it/);
    const stored = await history(ports.registry, UNIT);
    const snapshot = await observeCluster(ports);
    expect([stored.mayBeReverted, stored.rows.map(resultOf)]).toEqual([true, ['untried', 'good']]);
    expect(withReverts(stored, snapshot).rows.map(resultOf)).toEqual(['failed', 'good']);
    expect(await verdictOf(scene)).toBeUndefined();
    await reconcileEverything(ports);
    const { mayBeReverted, rows } = await history(ports.registry, UNIT);
    expect([mayBeReverted, rows.map(resultOf)]).toEqual([false, ['failed', 'good']]);
  });

  it('is tried again by --retry, and is held again if it is reverted again', async () => {
    const scene = await withOld();
    expect(outcome(await startIt(scene, { retry: true }))).toEqual([`${UNIT}: launched m1`]);
    expect(versions(scene)).toEqual(['m1 V=2 running']);
    await give(scene, '1');
    await startIt(scene);
    await give(scene, '2');
    await revert(scene);
    expect(outcome(await startIt(scene))).toEqual([`${UNIT}: held on m1`]);
    expect(versions(scene)).toEqual(['m1 V=1 running']);
  });

  it('is tried again by --retry although its machine reports the revert until then', async () => {
    const scene = await withOld();
    await reconcileEverything(scene.ports);
    scene.machines.disconnect('m1');
    await startIt(scene, { retry: true });
    scene.machines.of('m1').unreachable = undefined;
    expect(outcome(await startIt(scene))).toEqual([`${UNIT}: launched m1`]);
    expect(versions(scene)).toEqual(['m1 V=2 running']);
  });
});

describe('the first text of a unit, reverted', () => {
  it('is not put in again by any pass, nor by start', async () => {
    const scene = await withoutOld();
    await reconcileEverything(scene.ports);
    expect(outcome(await startIt(scene))).toEqual([`${UNIT}: held on m1`]);
    expect(versions(scene)).toEqual([]);
    expect(outcome(await startIt(scene, { retry: true }))).toEqual([`${UNIT}: launched m1`]);
  });

  it('can be stopped, and destroyed without a trace', async () => {
    const scene = await withoutOld();
    const { results } = await stop(scene.ports, [UNIT]);
    expect(results).toMatchObject([{ unit: UNIT, target: 'loaded', failures: [], idle: true }]);
    expect([versions(scene), scene.machines.of('m1').confirmations.size]).toEqual([[], 1]);
    expect(outcome(await destroy(scene.ports, [UNIT]))).toEqual([`${UNIT}: inactive`]);
    expect(scene.machines.of('m1').confirmations.size).toBe(0);
    await scene.write(UNIT, text('2'));
    const again = await start(scene.ports, { units: [UNIT], cwd: scene.cwd, replace: false });
    expect(outcome(again)).toEqual([`${UNIT}: held on m1`]);
  });
});

describe('a held text', () => {
  it('is reported by a start, which starts the older one', async () => {
    const scene = await withOld();
    await stop(scene.ports, [UNIT]);
    const { results } = await startIt(scene);
    expect(results[0]?.failures.map(({ failure }) => failure.code)).toEqual(['held']);
    expect(versions(scene)).toEqual(['m1 V=1 running']);
  });

  it('is reported by a restart, which restarts the older one', async () => {
    const scene = await withOld();
    const result = await restart(scene.ports, [UNIT], 1);
    const { out, err } = restartReport(result);
    expect([out.length, err]).toEqual([
      1,
      [
        expect.stringMatching(
          /^Warning: unit "net.service" is held: text \w{7} failed on m1: the machine has/,
        ),
      ],
    ]);
    expect(restartPreview(result).err).toEqual(err);
    expect(restartJson(result, false)).toMatchObject({ held: [{ unit: UNIT }] });
    expect(versions(scene)).toEqual(['m1 V=1 running']);
  });

  it('is not judged by the start of the older one', async () => {
    const scene = await withOld();
    await stop(scene.ports, [UNIT]);
    await startIt(scene);
    const { rows } = await history(scene.ports.registry, UNIT);
    expect(rows.map(resultOf)).toEqual(['failed', 'good']);
    expect(await verdictOf(scene)).toEqual([{ id: idOf('m1'), name: 'm1' }]);
  });

  it('keeps it to the older one on all machines of a global unit', async () => {
    const scene = await withOld('Confirm=30s\nGlobal=true');
    await reconcileEverything(scene.ports);
    expect(versions(scene)).toEqual(['m1 V=1 running', 'm2 V=1 running']);
  });

  it('that failed when it moved its unit is not started there again, and the old copy stays', async () => {
    const scene = await makeScene({ m1: { role: 'a' }, m2: { role: 'b' } });
    const version = (role: string, body: string, more = ''): string =>
      `${body}[X-Fleet]\nMachineMetadata=role=${role}\n${more}`;
    await scene.write(UNIT, version('a', SLEEP));
    await scene.start(UNIT);
    await scene.write(UNIT, version('b', FALSE));
    await scene.submit([UNIT], true);
    for (let pass = 0; pass < 3; pass++) await reconcileEverything(scene.ports);
    const starts = (name: string): number =>
      scene.machines.of(name).log.filter((line) => line === `start ${UNIT}`).length;
    expect([starts('m1'), starts('m2')]).toEqual([1, 1]);
    expect((await scene.wanted())[UNIT]).toBe('launched m1');
    expect((await scene.ports.registry.load()).units.get(UNIT)?.held?.machines).toEqual([
      { id: idOf('m2'), name: 'm2' },
    ]);
    expect(scene.there()).toEqual({ m1: [`${UNIT} running`] });
  });

  const failing = text('2', 'OnFailedUpdate=stop').replace('/bin/sleep infinity', '/bin/false');
  it.each<[string, string, (scene: Scene) => Promise<unknown>]>([
    [
      'that did not come up',
      failing,
      async ({ ports, cwd, write }) => {
        await write(UNIT, failing);
        return start(ports, { units: [UNIT], cwd, replace: true });
      },
    ],
    ['that no process has noticed', text('2'), async () => undefined],
    ['that a pass has noticed', text('2'), ({ ports }) => reconcileEverything(ports)],
    ['before a rollback', text('2'), ({ ports }) => rollback(ports, { unit: UNIT, to: undefined })],
  ])('%s stays held when its unit is destroyed and gets it again', async (_, content, before) => {
    const scene = await withOld();
    await before(scene);
    expect(outcome(await destroy(scene.ports, [UNIT]))).toEqual([`${UNIT}: inactive`]);
    await scene.write(UNIT, content);
    await scene.submit([UNIT]);
    const ways = [() => scene.start(UNIT), () => startIt(scene), () => reconcileEverything(scene.ports)];
    for (const again of ways) {
      expect(outcome(await again())).toEqual([`${UNIT}: held on m1`]);
      const { rows } = await history(scene.ports.registry, UNIT);
      const own = rows.filter(({ digest }) => digest === sha256(content)).map(resultOf);
      expect([...new Set(own)]).toEqual(['failed']);
      expect(versions(scene)).toEqual([]);
    }
  });
});
