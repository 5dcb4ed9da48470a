import { describe, expect, it } from 'vitest';
import { type Verification, verify } from '../../src/operations/verify.ts';
import { verificationJson, verificationReport } from '../../src/output/verification.ts';
import { FALSE, makeScene, type Scene, SLEEP } from './scene.ts';

const TIMER = '[Timer]\nOnActiveSec=1h\n';

async function sceneWith(files: Readonly<Record<string, string>>): Promise<Scene> {
  const scene = await makeScene({ m1: { role: 'web' }, m2: { role: 'web' }, m3: { role: 'db' } });
  for (const [name, text] of Object.entries(files)) await scene.write(name, text);
  return scene;
}

const check = (scene: Scene, units: readonly string[], machine?: string): Promise<Verification> =>
  verify(scene.ports, { units, cwd: scene.cwd, replace: true, machine });

/** Verdicts as `m1 passed a.service`, and problems as `x.timer not-loaded`. */
function told({ machines, problems }: Verification): readonly string[] {
  return [
    ...machines.map(({ machine, units, problems: found }) =>
      [machine.name, found.length === 0 ? 'passed' : 'failed', ...units].join(' '),
    ),
    ...problems.map(({ unit, error }) => `${unit} ${error.code}`),
  ];
}

describe('units are checked', () => {
  it('together, on every machine they could go to', async () => {
    const scene = await sceneWith({
      'web.service': `${SLEEP}[X-Fleet]\nMachineMetadata=role=web\n`,
      'db.service': `${SLEEP}[X-Fleet]\nMachineMetadata=role=db\n`,
      'any.service': SLEEP,
    });
    const verification = await check(scene, ['web.service', 'db.service', 'any.service']);
    expect(told(verification).toSorted((a, b) => a.localeCompare(b))).toEqual([
      'm1 passed web.service any.service',
      'm2 passed web.service any.service',
      'm3 passed db.service any.service',
    ]);
    expect(verification.passed).toBe(true);
  });

  it('as they are on the disk, even where the registry has another text, which stays', async () => {
    const scene = await sceneWith({ 'web.service': SLEEP });
    await scene.start('web.service');
    await scene.write('web.service', FALSE);
    const verification = await check(scene, ['web.service'], 'm1');
    expect(told(verification)).toEqual(['m1 failed web.service']);
    expect(verification.passed).toBe(false);
    expect((await scene.ports.registry.load()).units.get('web.service')?.text).toBe(SLEEP);
  });

  it('as the registry has them, where there is no file', async () => {
    const scene = await sceneWith({ 'elsewhere/web.service': FALSE });
    await scene.submit(['elsewhere/web.service']);
    expect(told(await check(scene, ['web'], 'm2'))).toEqual(['m2 failed web.service']);
  });

  it('on one machine, whether they fit it or not', async () => {
    const scene = await sceneWith({ 'db.service': `${SLEEP}[X-Fleet]\nMachineMetadata=role=db\n` });
    expect(told(await check(scene, ['db.service'], 'm1'))).toEqual(['m1 passed db.service']);
  });

  it('beside a peer that is on no machine yet', async () => {
    const scene = await sceneWith({
      'db.service': SLEEP,
      'web.service': `${SLEEP}[X-Fleet]\nMachineOf=db.service\n`,
    });
    expect(told(await check(scene, ['web.service', 'db.service']))).toHaveLength(3);
    expect(told(await check(scene, ['web.service']))).toEqual(['web.service placement']);
  });

  it('as templates and as instances', async () => {
    const scene = await sceneWith({ 'web@.service': SLEEP });
    expect(told(await check(scene, ['web@.service', 'web@1'], 'm1'))).toEqual([
      'm1 passed web@.service web@1.service',
    ]);
  });

  it('and nothing is written, whatever comes of it', async () => {
    const scene = await sceneWith({ 'web.service': SLEEP });
    await check(scene, ['web.service']);
    expect(await scene.wanted()).toEqual({});
    expect(scene.there()).toEqual({});
    expect(scene.machines.of('m1').log).toEqual(['verify web.service']);
  });
});

describe('fleet itself has something against', () => {
  it.each<[string, Readonly<Record<string, string>>, readonly string[], readonly string[]]>([
    ['a file that cannot be read', { 'x.service': 'nonsense' }, ['x.service'], ['x.service unit-file']],
    [
      'a placement that cannot be',
      { 'x.service': `${SLEEP}[X-Fleet]\nGlobal=maybe\n` },
      ['x.service'],
      ['x.service placement'],
    ],
    ['a unit that is nowhere', {}, ['x.service'], ['x.service unit-not-found']],
    [
      'a unit that fits nowhere',
      { 'x.service': `${SLEEP}[X-Fleet]\nMachineMetadata=role=no\n` },
      ['x.service'],
      ['x.service placement'],
    ],
  ])('%s', async (_, files, units, problems) => {
    const scene = await sceneWith(files);
    const verification = await check(scene, units);
    expect(told(verification)).toEqual(problems);
    expect(verification.passed).toBe(false);
  });

  it('a timer whose service is nowhere, and not one whose service is among the files', async () => {
    const scene = await sceneWith({ 'x.timer': TIMER, 'x.service': SLEEP });
    expect(told(await check(scene, ['x.timer'], 'm1'))).toEqual(['m1 passed x.timer', 'x.timer not-loaded']);
    expect(told(await check(scene, ['x.timer', 'x.service'], 'm1'))).toEqual(['m1 passed x.timer x.service']);
    await scene.submit(['x.service']);
    expect(told(await check(scene, ['x.timer'], 'm1'))).toEqual(['m1 passed x.timer']);
  });

  it('one file, and the others are checked all the same', async () => {
    const scene = await sceneWith({ 'x.service': 'nonsense', 'web.service': SLEEP });
    expect(told(await check(scene, ['x.service', 'web.service'], 'm1'))).toEqual([
      'm1 passed web.service',
      'x.service unit-file',
    ]);
  });
});

describe('a machine that does not answer', () => {
  it('is reported, and the others decide', async () => {
    const scene = await sceneWith({ 'web.service': SLEEP });
    scene.machines.disconnect('m1');
    const verification = await check(scene, ['web.service']);
    expect(told(verification)).toEqual(['m2 passed web.service', 'm3 passed web.service']);
    expect(verification.unreachable.map(({ machine }) => machine.name)).toEqual(['m1']);
    expect(verification.passed).toBe(true);
  });

  it('lets nothing pass when it is the one that was named', async () => {
    const scene = await sceneWith({ 'web.service': SLEEP });
    scene.machines.disconnect('m1');
    const verification = await check(scene, ['web.service'], 'm1');
    expect(verification.passed).toBe(false);
    expect(verification.unreachable.map(({ machine }) => machine.name)).toEqual(['m1']);
  });
});

it('is shown to people machine by machine, and to scripts whole', async () => {
  const scene = await sceneWith({ 'web.service': FALSE });
  const verification = await check(scene, ['web.service'], 'm1');
  expect(verificationReport(verification)).toEqual({
    out: ['Failed on "m1" (10.0.0.1): web.service', '  web.service: Command /bin/false is not executable'],
    err: [],
  });
  expect(verificationJson(verification)).toMatchObject({
    passed: false,
    problems: [],
    machines: [{ name: 'm1', units: ['web.service'], passed: false }],
    unreachable: [],
  });
});
