import { expect, it } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import { doctor, type Examiner, isHealthy, type MachineHealth } from '../../src/operations/doctor.ts';
import { makeScene, type Scene } from './scene.ts';

function examinerOf({ ports }: Scene, login: Examiner['login'] = async () => LOGIN): Examiner {
  return { ...ports, login, userOf: () => 'core' };
}

const LOGIN = { address: '10.0.0.1', credential: 'id' };

async function look(scene: Scene, names: readonly string[], login?: Examiner['login']) {
  const told: string[] = [];
  const emit = async ({ machine }: MachineHealth) => void told.push(machine.name);
  const found = await doctor(examinerOf(scene, login), names, emit);
  return { found, told };
}

it('all machines are looked at, or those that are named, once', async () => {
  const scene = await makeScene();
  const all = await look(scene, []);
  expect(all.found.map((health) => [health.machine.name, isHealthy(health)])).toEqual([
    ['m1', true],
    ['m2', true],
    ['m3', true],
  ]);
  expect(new Set((await look(scene, ['m3', '10.0.0.1', 'm3'])).told)).toEqual(new Set(['m1', 'm3']));
  await expect(look(scene, ['m4'])).rejects.toMatchObject({ code: 'machine-not-found' });
});

it('a machine that hangs holds up none of the others, and the answer is in the order of fleet.conf', async () => {
  const scene = await makeScene();
  let release: () => void = () => undefined;
  const hang = new Promise<void>((resolve) => {
    release = resolve;
  });
  const told: string[] = [];
  const work = doctor(
    examinerOf(scene, async ({ name }) => {
      if (name === 'm1') await hang;
      return LOGIN;
    }),
    [],
    async ({ machine }) => {
      told.push(machine.name);
      if (told.length === 2) release();
    },
  );
  expect((await work).map(({ machine }) => machine.name)).toEqual(['m1', 'm2', 'm3']);
  expect(told).toEqual(['m2', 'm3', 'm1']);
});

it('a machine that refuses every login is reported like other problems', async () => {
  const scene = await makeScene();
  const { found } = await look(scene, ['m2'], async () => {
    throw new FleetError('ssh-authentication', 'no key', { hint: 'add one' });
  });
  const failed = found[0]?.checks.find(({ status }) => status === 'failed');
  expect(failed).toEqual({
    check: 'login',
    status: 'failed',
    finding: { code: 'error', message: 'no key', hint: 'add one' },
  });
});

it('machines with one id are both reported, also the one that was checked first', async () => {
  const scene = await makeScene();
  const [one, other] = [scene.machines.of('m1'), scene.machines.of('m3')];
  other.examination = { ...other.examination, machineId: one.examination.machineId };
  const { found, told } = await look(scene, []);
  const ids = found.map(({ checks }) => checks.find(({ check }) => check === 'id')?.finding);
  const id = one.id;
  expect(ids).toEqual([
    { code: 'same-id', id, other: 'm3' },
    { code: 'well' },
    { code: 'same-id', id, other: 'm1' },
  ]);
  expect([told.length, told.at(-1)]).toEqual([4, 'm1']);
});

it('trouble of this computer says nothing about a machine', async () => {
  const scene = await makeScene();
  const login = async () => {
    throw new FleetError('local', 'too many open files');
  };
  await expect(look(scene, ['m1'], login)).rejects.toMatchObject({ code: 'local' });
});

it.each([
  [0, 0],
  [-1, -1],
  [1, 1],
  [7200, 7200],
])('a clock that is %d s ahead is found to be %d s ahead', async (ahead, expected) => {
  const scene = await makeScene();
  const fake = scene.machines.of('m1');
  fake.examination = { ...fake.examination, clock: Math.floor(scene.clock.time / 1000) + ahead };
  const { found } = await look(scene, ['m1']);
  expect(found[0]?.checks.find(({ check }) => check === 'clock')?.finding).toEqual({
    code: 'clock',
    offsetSeconds: expected,
  });
});
