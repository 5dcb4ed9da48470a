import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { createSshDriver } from '../../src/systemd/ssh-driver.ts';
import { createRig } from '../ssh/support.ts';
import { desiredUnit, idOf } from '../support/builders.ts';
import { type Attack, FLOODS, fuzzed, honest, LIES, lying } from '../support/hostile-machine.ts';
import { usedMemory } from '../support/process.ts';
import { pick, runs, seeded } from '../support/random.ts';
import { House } from './support.ts';

const MIB = 1024 * 1024;
/** How long work on other machines may be delayed, in ms. */
const MOST_DELAY_MS = 5_000;
const TTL_MS = 5_000;
const ANSWERS = runs(100);
/** One for each way in which an answer can be too much; test/systemd/hostile-machine.test.ts has all of them. */
const KINDS_OF_FLOODS = [
  'endless output without a frame',
  'endless output on standard error',
  'millions of tiny sections',
  '20,000 added units',
];
const soon = { timeout: 60_000, interval: 10 };

/**
 * A controller over three machines in memory, and m9 at the other end of SSH, which does what `scene.attack` says. It is asked
 * every `intervalMs`: each answer without end is megabytes through two ends of SSH in this process.
 */
async function arrange(intervalMs: number) {
  const calm = honest([], idOf('m9'));
  const scene = { attack: calm, calm, answers: 0 };
  const attack = (): Attack => (question, wire) => {
    scene.answers++;
    return scene.attack(question, wire);
  };
  const { transport, target } = await createRig({ attack }, { name: 'm9', user: 'root' });
  const access = () => ({ ssh: target, become: 'none' as const });
  const drivers = new Map([['m9', createSshDriver(transport, { access, settleMs: 0 })]]);
  const house = new House(['m1', 'm2', 'm3', 'm9'], {
    ...{ drivers, intervalMs },
    ...{ deadlineMs: 2_500, agentTtlMs: TTL_MS },
  });
  await house.want('launched', 'MachineMetadata=name=m1\nMachineMetadata=name=m2', 'moves.service');
  const { text, hash, digest } = desiredUnit(
    'stays.service',
    'MachineMetadata=name=m9\nMachineMetadata=name=m3',
  );
  const unit = {
    name: 'stays.service',
    text,
    hash,
    digest,
    target: 'launched',
    machine: idOf('m9'),
  } as const;
  await house.registry.update(() => [{ kind: 'put-unit', unit }]);
  await vi.waitFor(() => expect(house.runs('moves.service')).toHaveLength(1), soon);
  const silenceOf = (): string | undefined =>
    house.controller.snapshot?.machines.find(({ machine }) => machine.name === 'm9')?.unreachable?.code;
  await vi.waitFor(() => expect(house.controller.snapshot).toBeDefined(), soon);
  return { scene, house, silenceOf };
}

/** How long it takes until a new unit runs on a machine in memory, in ms. */
async function timeOfPass(house: House, unit: string): Promise<number> {
  const started = performance.now();
  await house.want('launched', 'MachineMetadata=name=m3', unit);
  await vi.waitFor(() => expect(house.runs(unit)).toEqual(['m3']), soon);
  return performance.now() - started;
}

/** No message controls a terminal, or is the trace of an unexpected error. */
function expectClean(house: House): void {
  const texts = [
    ...house.controller.troubles.map(({ message }) => message),
    ...house.events.flatMap((event) => ('error' in event ? (event.error?.message ?? []) : [])),
  ];
  expect(texts.join('\n')).not.toContain('machine "m9": Cannot');
  for (const text of texts) expect(text).not.toMatch(/\p{Cc}|\bat .*\.ts:\d|defect/u);
}

describe('a hostile machine', () => {
  it('is a trouble that is named, and holds nothing up, whatever it sends too much of', async () => {
    const { scene, house, silenceOf } = await arrange(250);
    const memory = usedMemory();
    let unit = 0;
    for (const [name, attack] of [
      ...KINDS_OF_FLOODS.map((name) => [name, FLOODS[name] as Attack] as const),
      ...LIES.map(([name, from, to]) => [name, lying(from, to)] as const),
    ]) {
      scene.attack = attack;
      await vi.waitFor(() => expect([name, silenceOf()]).toEqual([name, 'bad-answer']), soon);
      expect(house.controller.troubles.map(({ message }) => message).join()).toContain('machine "m9"');
      expect([name, (await timeOfPass(house, `u${unit++}.service`)) < MOST_DELAY_MS]).toEqual([name, true]);
      expectClean(house);
      scene.attack = scene.calm;
      await vi.waitFor(() => expect([name, silenceOf()]).toEqual([name, undefined]), soon);
    }
    expect(house.controller.troubles).toEqual([]);
    // The last answers may still be on their way to the reader.
    await vi.waitFor(() => expect(usedMemory() - memory).toBeLessThan(50 * MIB), soon);
  });

  it('delays no failover of another machine, and its own units stay where they are', async () => {
    const { scene, house, silenceOf } = await arrange(1_000);
    expect(await house.assigned('stays.service')).toBe('m9');
    const [from = ''] = house.runs('moves.service');
    scene.attack = pick(() => 0, Object.values(FLOODS));
    await vi.waitFor(() => expect(silenceOf()).toBe('bad-answer'), soon);
    const lost = performance.now();
    house.fakes.disconnect(from);
    await vi.waitFor(() => expect(house.runs('moves.service')).toHaveLength(2), soon);
    expect(performance.now() - lost).toBeLessThan(TTL_MS + MOST_DELAY_MS);
    await sleep(TTL_MS);
    expect(await house.assigned('stays.service')).toBe('m9');
  });

  it(`is held to its limits for ${ANSWERS} answers that are forged at random`, async () => {
    const { scene, house } = await arrange(50);
    const random = seeded(Number(process.env.FLEET_SEED ?? 13));
    const floods = Object.values(FLOODS);
    scene.attack = (question, wire) =>
      random() < 0.02 ? pick(random, floods)(question, wire) : fuzzed(random)(question, wire);
    const begun = scene.answers;
    const memory = usedMemory();
    const times: number[] = [];
    while (scene.answers - begun < ANSWERS) {
      times.push(await timeOfPass(house, `u${times.length}.service`));
      expectClean(house);
      await sleep(1_000);
    }
    expect(Math.max(...times)).toBeLessThan(MOST_DELAY_MS);
    // The last answers may still be on their way to the reader.
    await vi.waitFor(() => expect(usedMemory() - memory).toBeLessThan(50 * MIB), soon);
    scene.attack = scene.calm;
    await vi.waitFor(() => expect(house.controller.troubles).toEqual([]), soon);
  });
});
