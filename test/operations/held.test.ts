import { describe, expect, it } from 'vitest';
import { ChangeNotifier } from '../../src/controller/change-notifier.ts';
import { toDo } from '../../src/controller/to-do.ts';
import { drain } from '../../src/operations/drain.ts';
import { explainUnit } from '../../src/operations/explain.ts';
import { observeCluster } from '../../src/operations/observe-cluster.ts';
import { reconcileEverything } from '../../src/operations/reconcile-everything.ts';
import { rollback } from '../../src/operations/rollback.ts';
import { destroy, start, stop } from '../../src/operations/set-target-state.ts';
import { readUnitFolder } from '../../src/operations/sets/folder.ts';
import { planSet } from '../../src/operations/sets/plan.ts';
import { wantedSet } from '../../src/operations/sets/wanted.ts';
import { unitStatus } from '../../src/operations/status.ts';
import type { RequestResult } from '../../src/operations/unit-result.ts';
import { history } from '../../src/operations/unit-texts.ts';
import { explanationLines } from '../../src/output/explanation.ts';
import { resultOf } from '../../src/output/listings.ts';
import { logEntry } from '../../src/output/log.ts';
import { drainJson, drainPreview, drainReport } from '../../src/output/machines.ts';
import { passReport } from '../../src/output/pass.ts';
import { requestFailures } from '../../src/output/request-failures.ts';
import { requestReport } from '../../src/output/request-report.ts';
import { statusReport } from '../../src/output/status.ts';
import { UNKNOWN_MACHINE } from '../../src/registry/edit.ts';
import { previewRegistry } from '../../src/registry/registry.ts';
import { previewDriver } from '../../src/systemd/driver.ts';
import { idOf, NOW, systemdState, TTL_MS } from '../support/builders.ts';
import { FALSE, makeScene, outcome, type Scene, SLEEP } from './scene.ts';

const UNIT = 'web.service';
const BOOT = `fleet.target.wants/${UNIT}`;

const startIt = (scene: Scene, options: object = {}): Promise<RequestResult> =>
  start(scene.ports, { units: [UNIT], cwd: scene.cwd, replace: false, ...options });

const heldOn = async ({ ports }: Scene): Promise<readonly string[] | undefined> =>
  (await ports.registry.load()).units.get(UNIT)?.held?.machines.map(({ name }) => name);

const startsOn = ({ machines }: Scene, name = 'm1'): number =>
  machines.of(name).log.filter((line) => line === `start ${UNIT}`).length;

const linksOn = ({ machines }: Scene, name = 'm1'): readonly string[] | undefined =>
  machines.of(name).units.get(UNIT)?.links;

function put(
  scene: Scene,
  machine: string,
  state: Parameters<typeof systemdState>[0],
  since = NOW + 1,
): void {
  const there = scene.machines.of(machine).units.get(UNIT);
  if (there === undefined) throw new Error(`${UNIT} is not on ${machine}`);
  there.state = systemdState(state, { since, invocation: 'another', fragment: there.state.fragment });
}

/** Until the function that is returned is called, whatever is started on the machine fails. */
function failStarts(
  scene: Scene,
  machine: string,
  state = systemdState('failed'),
  journal: readonly string[] = [],
): () => void {
  const fake = scene.machines.of(machine);
  const { change } = fake;
  fake.change = (changes, cluster) => {
    const outcomes = change.call(fake, changes, cluster);
    put(scene, machine, state.active === 'failed' ? 'failed' : 'dead');
    const failure = { code: 'not-up', state, detail: '', journal } as const;
    return outcomes.map((each) => ({ ...each, state, failure }));
  };
  return () => {
    fake.change = change;
  };
}

/** A unit with that text, after its first start. */
async function started(text: string, names: readonly string[] = ['m1']): Promise<Scene> {
  const scene = await makeScene(Object.fromEntries(names.map((name) => [name, {}])));
  await scene.write(UNIT, text);
  await startIt(scene);
  return scene;
}

describe('an update that systemd does not start, because a required unit has failed', () => {
  const NEEDS = `[Unit]\nRequires=db.service\n${SLEEP}`;
  const DEPENDENCY = `${UNIT}: Job ${UNIT}/start failed with result 'dependency'.`;
  const update = async (
    before: string,
    after: string,
  ): Promise<readonly [Scene, RequestResult, () => void]> => {
    const scene = await started(before);
    const fake = scene.machines.of('m1');
    const db = { text: undefined, record: undefined, state: systemdState('failed') };
    fake.units.set('db.service', db);
    const run = fake.units.get(UNIT)?.state.invocation ?? '';
    // Of the run before.
    const state = systemdState('dead', { invocation: run, exitCode: 2, exitStatus: 15 });
    const repair = failStarts(scene, 'm1', state, [DEPENDENCY]);
    await scene.write(UNIT, after);
    const result = await startIt(scene, { replace: true });
    return [scene, result, repair];
  };

  it('is untried, and not held, if the old text requires it, too', async () => {
    const [scene, result, repair] = await update(NEEDS, `${NEEDS}# new\n`);
    expect(requestFailures('start', result)).toEqual([
      `Error: Cannot start unit "${UNIT}" on machine "m1" (10.0.0.1): it was not started, because db.service has failed, which it requires`,
      `  ${DEPENDENCY}`,
      'hint: Its text was not run, so it is not held: when db.service can start, fleetd or "fleetctl reconcile" starts it',
    ]);
    await reconcileEverything(scene.ports);
    expect([await heldOn(scene), linksOn(scene)]).toEqual([undefined, [BOOT]]);
    expect((await history(scene.ports.registry, UNIT)).rows.map(resultOf)).toEqual(['untried', 'good']);
    repair();
    await reconcileEverything(scene.ports);
    expect(scene.there()).toMatchObject({ m1: expect.arrayContaining([`${UNIT} running`]) });
  });

  it('is held if its new text adds the requirement, and does not report the end of the old run', async () => {
    const [scene, result] = await update(SLEEP, NEEDS);
    expect(requestFailures('start', result)[0]).toContain(': it did not start: inactive (dead)');
    expect(await heldOn(scene)).toEqual(['m1']);
  });
});

describe('a first text', () => {
  it('that fails is not started again by a pass, by start or by systemd, until --retry or another text', async () => {
    const scene = await started(FALSE);
    expect([await heldOn(scene), linksOn(scene)]).toEqual([['m1'], []]);
    for (let pass = 0; pass < 2; pass++) await reconcileEverything(scene.ports);
    expect(outcome(await startIt(scene))).toEqual([`${UNIT}: held on m1`]);
    expect(startsOn(scene)).toBe(1);
    const { events } = await scene.ports.registry.load();
    const kinds = events.flatMap((entry) => entry.events.map(({ kind }) => kind));
    expect(kinds).toEqual(['text', 'target', 'place', 'failed', 'held']);
    expect(outcome(await startIt(scene, { retry: true }))).toEqual([`${UNIT}: not-up on m1`]);
    expect([startsOn(scene), await heldOn(scene), linksOn(scene)]).toEqual([2, ['m1'], []]);
    await scene.write(UNIT, SLEEP);
    expect(outcome(await startIt(scene, { replace: true }))).toEqual([`${UNIT}: launched m1`]);
    expect([await heldOn(scene), linksOn(scene)]).toEqual([undefined, [BOOT]]);
  });

  it('that fails is not replaced by an older one that was never started', async () => {
    const scene = await makeScene({ m1: {} });
    await scene.write(UNIT, SLEEP);
    await scene.submit([UNIT]);
    await scene.write(UNIT, FALSE);
    await startIt(scene, { replace: true, limits: { onFailure: 'revert' } });
    expect(scene.there()).toEqual({ m1: [`${UNIT} failed`] });
  });

  it('that fails again after destroy is not replaced by the text of the destroyed unit', async () => {
    const scene = await started(SLEEP);
    await destroy(scene.ports, [UNIT]);
    await scene.write(UNIT, FALSE);
    await startIt(scene);
    await destroy(scene.ports, [UNIT]);
    expect(outcome(await startIt(scene))).toEqual([`${UNIT}: held on m1`]);
    await reconcileEverything(scene.ports);
    expect(scene.there()).toEqual({});
    const { rows } = await history(scene.ports.registry, UNIT);
    expect(rows.map(resultOf)).toEqual(['failed', 'failed', 'good']);
    await scene.write(UNIT, `${SLEEP}Environment=V=3\n`);
    await startIt(scene, { replace: true });
    await scene.write(UNIT, FALSE);
    await startIt(scene, { replace: true });
    expect(scene.there()).toEqual({ m1: [`${UNIT} running`] });
  });

  it('that fails on one machine keeps running on the others', async () => {
    const scene = await makeScene({ m1: {}, m2: {} });
    await scene.write(UNIT, `${SLEEP}[X-Fleet]\nGlobal=true\n`);
    const repair = failStarts(scene, 'm2');
    await startIt(scene);
    repair();
    await reconcileEverything(scene.ports);
    expect([await heldOn(scene), startsOn(scene), startsOn(scene, 'm2')]).toEqual([['m2'], 1, 1]);
    expect([linksOn(scene), linksOn(scene, 'm2')]).toEqual([[BOOT], []]);
  });

  it('that was up is started again after a crash, and is not held if that fails', async () => {
    const scene = await started(SLEEP);
    const there = scene.machines.of('m1').units.get(UNIT);
    failStarts(scene, 'm1');
    put(scene, 'm1', 'failed');
    for (let pass = 0; pass < 3; pass++) await reconcileEverything(scene.ports);
    expect(outcome(await startIt(scene))).toEqual([`${UNIT}: not-up on m1`]);
    expect([startsOn(scene), await heldOn(scene), there?.links]).toEqual([5, undefined, [BOOT]]);
  });

  it('that something else has stopped is not held', async () => {
    const scene = await makeScene({ m1: {} });
    await scene.write(UNIT, SLEEP);
    failStarts(scene, 'm1', systemdState('dead', { invocation: 'one', exitCode: 2, exitStatus: 15 }));
    expect(outcome(await startIt(scene))).toEqual([`${UNIT}: not-up on m1`]);
    await reconcileEverything(scene.ports);
    expect([await heldOn(scene), startsOn(scene)]).toEqual([undefined, 2]);
  });

  it('that has ended by itself, although it should run, is held', async () => {
    const scene = await makeScene({ m1: {} });
    await scene.write(UNIT, SLEEP);
    failStarts(scene, 'm1', systemdState('dead', { invocation: 'one', exitCode: 1 }));
    await startIt(scene);
    expect(await heldOn(scene)).toEqual(['m1']);
  });

  it('of which systemd has run nothing is not held', async () => {
    const scene = await started(`[Unit]\nConditionPathExists=/nowhere\n${SLEEP}`);
    await reconcileEverything(scene.ports);
    expect([await heldOn(scene), startsOn(scene)]).toEqual([undefined, 2]);
  });
});

describe('a first text that has failed, on a machine that is lost', () => {
  /** The messages of all outputs about the unit, by output. */
  async function messages(scene: Scene): Promise<Readonly<Record<string, readonly string[]>>> {
    const { ports, cwd } = scene;
    const options = { adopt: false, prune: false, pruneLimit: undefined };
    const { expected } = await planSet(ports, wantedSet(await readUnitFolder(['units'], cwd), 'x'), options);
    const snapshot = await observeCluster(ports, { names: [UNIT], digests: true });
    const log: string[] = [];
    const notifier = new ChangeNotifier((notice) => log.push(logEntry(notice)?.message ?? ''));
    notifier.decisions(toDo(snapshot).decisions, snapshot);
    return {
      start: requestReport('start', await startIt(scene)).err,
      plan: requestFailures('apply', expected, true),
      reconcile: passReport(await reconcileEverything(ports)).err,
      explain: explanationLines(await explainUnit(ports, { unit: UNIT, cwd })),
      log,
    };
  }

  it.each([
    ['that may return', 0],
    ['that is lost', TTL_MS],
  ])('%s: it stays because it is held, in all outputs', async (_, silentMs) => {
    const scene = await started(FALSE, ['m1', 'm2']);
    await scene.write(`units/${UNIT}`, FALSE);
    scene.machines.disconnect('m1');
    await reconcileEverything(scene.ports);
    scene.clock.time += silentMs;
    const found = await messages(scene);
    for (const [output, lines] of Object.entries(found)) {
      const isSilent = output === 'log' && silentMs < TTL_MS;
      expect([output, lines.join('\n').includes('is held, and there is no older one')]).toEqual([
        output,
        !isSilent,
      ]);
      expect(lines.join('\n')).not.toMatch(/[Mm]oves? when|machine fits|rollback|applies it/);
    }
    const again = /or try this one again: fleetctl start --retry web\.service$/;
    expect(found.start?.at(-1)).toMatch(again);
    expect(found.plan?.at(-1)).toMatch(again);
    expect(found.reconcile?.at(-1)).toMatch(again);
    expect(found.explain?.slice(1)).toEqual([
      'Runner-up: none, no other machine may start its text',
      expect.stringMatching(
        /^It stays although the machine .*; text \w{7} is held, and there is no older one$/,
      ),
      expect.stringMatching(/^It is held: text \w{7} failed on m1: exit status 1$/),
      expect.stringMatching(again),
    ]);
    expect(scene.there()).toEqual({ m1: [`${UNIT} failed`] });
  });

  it('moves with --retry', async () => {
    const scene = await started(FALSE, ['m1', 'm2']);
    scene.machines.disconnect('m1');
    await reconcileEverything(scene.ports);
    scene.clock.time += TTL_MS;
    await startIt(scene, { retry: true });
    expect([startsOn(scene, 'm2'), await heldOn(scene)]).toEqual([1, ['m2']]);
  });
});

describe('the messages about a held text', () => {
  const HELD_NOW =
    'hint: This text is held now, so no pass starts it again. Give it another text: fleetctl start --replace web.service';

  it('say after the failure that it is held, and offer a rollback only if there is an older text', async () => {
    const scene = await makeScene({ m1: {} });
    await scene.write(UNIT, FALSE);
    const err = async (): Promise<string | undefined> =>
      requestReport('start', await startIt(scene, { replace: true })).err.at(-1);
    const retry = 'or try this one again: fleetctl start --retry web.service';
    expect(await err()).toBe(`${HELD_NOW}; ${retry}`);
    expect(await err()).toBe(`hint: Give it another text: fleetctl start --replace web.service; ${retry}`);
    await expect(rollback(scene.ports, { unit: UNIT, to: undefined })).rejects.toMatchObject({
      hint: 'Give it another text: fleetctl start --replace web.service',
    });
    await scene.write(UNIT, SLEEP);
    expect(await err()).toBeUndefined();
    await scene.write(UNIT, `${FALSE}Environment=V=2\n`);
    expect(await err()).toBe(`${HELD_NOW}, or fleetctl rollback web.service; ${retry}`);
    const status = await unitStatus(scene.ports, {
      ...{ verb: 'status', units: [UNIT], machine: undefined, lines: undefined },
    });
    expect(statusReport(status).err.at(-1)).toBe(
      `hint: Give it another text: fleetctl start --replace web.service, or fleetctl rollback web.service; ${retry}`,
    );
  });

  it('say nothing about another text when the unit is stopped on a lost machine', async () => {
    const scene = await started(FALSE, ['m1', 'm2']);
    scene.machines.disconnect('m1');
    const { err } = requestReport('stop', await stop(scene.ports, [UNIT]));
    expect(err.join('\n')).toContain('Its target state loaded is stored');
    expect(err.join('\n')).not.toMatch(/held|another text/);
  });

  it('say where a unit is assigned that is on no machine, because its text is held', async () => {
    const scene = await started(FALSE, ['m1', 'm2']);
    await destroy(scene.ports, [UNIT]);
    await startIt(scene);
    const told = await explainUnit(scene.ports, { unit: UNIT, cwd: scene.cwd });
    expect(explanationLines(told)[0]).toMatch(/^Unit web\.service is assigned to "m/);
    expect(told.machines.map(({ results }) => results.at(-1)?.reason?.code)).toEqual(['held', 'held']);
  });

  it('show no change in a plan if the unit only joins a set, and why it stays down', async () => {
    const scene = await started(FALSE);
    await scene.write(`units/${UNIT}`, FALSE);
    const wanted = wantedSet(await readUnitFolder(['units'], scene.cwd), undefined);
    const options = { adopt: false, prune: false, pruneLimit: undefined };
    const { changes, edits, expected } = await planSet(scene.ports, wanted, options);
    expect([changes, edits.joined]).toEqual([[], [UNIT]]);
    expect(requestFailures('apply', expected, true)[0]).toContain('held: text');
  });
});

describe('a held text that has come up by itself', () => {
  const release = async (scene: Scene): Promise<unknown> => {
    const { groups } = toDo(await observeCluster(scene.ports, { names: [UNIT], digests: true }));
    await reconcileEverything(scene.ports);
    return [groups.length, await heldOn(scene), linksOn(scene)];
  };

  it('is held no longer after a minute', async () => {
    const scene = await started(FALSE);
    put(scene, 'm1', 'running', NOW);
    scene.clock.time = NOW + 3_600_000;
    expect(await release(scene)).toEqual([0, ['m1'], []]);
    put(scene, 'm1', 'running', NOW + 1);
    scene.clock.time = NOW + 60_000;
    expect(await release(scene)).toEqual([0, ['m1'], []]);
    scene.clock.time = NOW + 60_001;
    expect(await release(scene)).toEqual([1, undefined, [BOOT]]);
    expect((await history(scene.ports.registry, UNIT)).rows.map(resultOf)).not.toContain('failed');
    expect(startsOn(scene)).toBe(1);
  });

  it('stays held while a copy has another text', async () => {
    const global = '[X-Fleet]\nGlobal=true\n';
    const scene = await started(SLEEP + global, ['m1', 'm2']);
    await scene.write(UNIT, FALSE + global);
    await startIt(scene, { replace: true });
    for (const name of ['m1', 'm2']) put(scene, name, 'running');
    scene.clock.time += 3_600_000;
    expect(await release(scene)).toEqual([0, ['m1'], []]);
  });

  it('stays held if it is not healthy', async () => {
    const scene = await started(FALSE);
    await scene.ports.registry.update((view) => {
      const unit = view.units.get(UNIT);
      if (unit?.held === undefined) return [];
      const cause = { kind: 'unhealthy', what: 'command', withinMs: 1000 } as const;
      return [{ kind: 'hold-text', unit: UNIT, digest: unit.digest, held: { ...unit.held, cause } }];
    });
    await reconcileEverything(scene.ports);
    put(scene, 'm1', 'running');
    scene.clock.time += 3_600_000;
    expect(await release(scene)).toEqual([0, ['m1'], []]);
  });
});

it('a copy with an older text is as it should be again when it comes up, while the new one is held', async () => {
  const global = '[X-Fleet]\nGlobal=true\n';
  const scene = await started(SLEEP + global, ['m1', 'm2']);
  await scene.write(UNIT, FALSE + global);
  await startIt(scene, { replace: true });
  const repair = failStarts(scene, 'm2');
  put(scene, 'm2', 'failed');
  await reconcileEverything(scene.ports);
  repair();
  await reconcileEverything(scene.ports);
  const events = (await scene.ports.registry.load()).events.flatMap((entry) => entry.events);
  expect(events.slice(-2)).toMatchObject([
    { kind: 'failed', machine: 'm2' },
    { kind: 'recovered', machine: 'm2' },
  ]);
});

it('a held unit that can be started nowhere else leaves its machine to the unit that replaces it', async () => {
  const scene = await started(FALSE, ['m1', 'm2']);
  await scene.write('new.service', `${SLEEP}[X-Fleet]\nReplaces=${UNIT}\n`);
  await scene.start('new');
  expect(scene.there()).toEqual({ m1: ['new.service running'] });
  expect(startsOn(scene, 'm2')).toBe(0);
});

describe('a held unit on a machine that it does not fit any more', () => {
  const excluded = async (scene: Scene): Promise<unknown> => {
    await scene.ports.registry.update((view) =>
      scene.ports.machines.map(({ name, address }) => {
        const metadata = { role: name === 'm1' ? 'b' : 'a' };
        const known = { ...UNKNOWN_MACHINE, ...view.machines.get(name), address, metadata };
        return { kind: 'put-machine', name, known };
      }),
    );
    await reconcileEverything(scene.ports);
    const { revision } = await scene.ports.registry.load();
    for (let pass = 0; pass < 3; pass++) await reconcileEverything(scene.ports);
    expect((await scene.ports.registry.load()).revision).toBe(revision);
    return [(await scene.wanted())[UNIT], scene.there()];
  };
  const roles = { m1: { role: 'a' }, m2: { role: 'b' } };
  const on = (text: string, more = ''): string => `${text}[X-Fleet]\nMachineMetadata=role=a\n${more}`;

  it('stays there if it has no other text', async () => {
    const scene = await makeScene(roles);
    await scene.write(UNIT, on(FALSE));
    await startIt(scene);
    expect(await excluded(scene)).toEqual(['launched m1', { m1: [`${UNIT} failed`] }]);
  });

  it('is drained with its older text', async () => {
    const scene = await makeScene({ m1: {}, m2: {} });
    await scene.write(UNIT, SLEEP);
    await startIt(scene);
    await scene.write(UNIT, FALSE);
    await startIt(scene, { replace: true });
    const [from, to] = startsOn(scene) > 0 ? ['m1', 'm2'] : ['m2', 'm1'];
    const request = { machine: from, maxParallel: 1, globals: false };
    const warning = expect.stringMatching(/^Warning: unit "web.service" is held: text/);
    const preview = await drain(
      {
        ...scene.ports,
        registry: previewRegistry(scene.ports.registry, { clock: scene.clock, author: 'me@here' }),
        driver: previewDriver(scene.ports.driver),
      },
      request,
    );
    expect(drainPreview(preview).err).toEqual([warning]);
    const result = await drain(scene.ports, request);
    expect(result.moves.map((move) => [move.unit, move.to.name])).toEqual([[UNIT, to]]);
    expect(scene.there()).toEqual({ [to]: [`${UNIT} running`] });
    const { out, err } = drainReport(result);
    expect(out).toHaveLength(2);
    expect(err).toEqual([warning]);
    expect(outcome(result)).toEqual([`${UNIT}: launched ${to}`]);
    expect(drainJson(result)).toMatchObject({
      held: [{ unit: UNIT, reason: expect.stringContaining('failed on') }],
    });
  });

  it('moves once if a machine fits its older text', async () => {
    const scene = await makeScene(roles);
    await scene.write(UNIT, on(SLEEP));
    await startIt(scene);
    await scene.write(UNIT, on(FALSE));
    await startIt(scene, { replace: true });
    expect(await excluded(scene)).toEqual(['launched m2', { m2: [`${UNIT} running`] }]);
    expect(startsOn(scene, 'm2')).toBe(1);
  });
});

describe('a failed move', () => {
  it.each([
    ['stop', FALSE],
    ['revert', SLEEP],
  ])('with OnFailedUpdate=%s leaves the unit where it was, and stores one return', async (policy, text) => {
    const scene = await makeScene({ m1: { role: 'a' }, m2: { role: 'b' } });
    const on = (role: string, body: string): string =>
      `${body}[X-Fleet]\nMachineMetadata=role=${role}\nOnFailedUpdate=${policy}\n`;
    await scene.write(UNIT, on('a', SLEEP));
    await startIt(scene);
    await scene.write(UNIT, on('b', FALSE));
    await startIt(scene, { replace: true });
    const kinds = async (): Promise<readonly string[]> => {
      const events = (await scene.ports.registry.load()).events.flatMap((entry) => entry.events);
      return events.map(({ kind }) => kind).filter((kind) => kind === 'move' || kind === 'return');
    };
    expect([await kinds(), (await scene.wanted())[UNIT]]).toEqual([['move', 'return'], 'launched m1']);
    const view = await scene.ports.registry.load();
    expect(view.units.get(UNIT)?.text).toContain(text);
    expect(view.units.get(UNIT)?.machine).toBe(idOf('m1'));
    for (let pass = 0; pass < 2; pass++) await reconcileEverything(scene.ports);
    expect([await kinds(), scene.there()]).toEqual([['move', 'return'], { m1: [`${UNIT} running`] }]);
    expect([startsOn(scene), startsOn(scene, 'm2')]).toEqual([1, 1]);
  });
});

it('an instance that fits nowhere leaves the others their new text', async () => {
  const scene = await makeScene({ m1: {}, m2: {} });
  const text = (version: string): string =>
    `${SLEEP}Environment=V=${version}\n[X-Fleet]\nConflicts=web@*.service\n`;
  await scene.write('web@.service', text('1'));
  await scene.start('web@1', 'web@2');
  await scene.write('web@.service', text('2'));
  const units = ['web@1', 'web@2', 'web@3'];
  expect(outcome(await start(scene.ports, { units, cwd: scene.cwd, replace: true }))).toEqual([
    'web@1.service: launched m1',
    'web@2.service: launched m2',
    'web@3.service: nowhere',
  ]);
});

it('a text that differs from a held one only in Target= is held for the same reason', async () => {
  const scene = await started(`${SLEEP}[X-Fleet]\nTarget=launched\n`);
  await scene.write(UNIT, `${FALSE}[X-Fleet]\nTarget=launched\n`);
  await startIt(scene, { replace: true });
  const before = (await scene.ports.registry.load()).units.get(UNIT);
  await scene.write(UNIT, FALSE);
  await startIt(scene, { replace: true });
  const after = (await scene.ports.registry.load()).units.get(UNIT);
  expect(after?.digest).not.toBe(before?.digest);
  expect(after?.held).toEqual(before?.held);
  expect(startsOn(scene)).toBe(2);
});
