import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import type { Lease, Observation } from '../../src/cluster/snapshot.ts';
import type { SystemdState } from '../../src/cluster/unit-state.ts';
import { MachineWatch, restMs } from '../../src/controller/machine-watch.ts';
import { observeQuery } from '../../src/systemd/observation.ts';
import type { extendQuery } from '../../src/systemd/queries.ts';
import { foreignUnit, systemdState } from '../support/builders.ts';
import { fakeMachines } from '../support/fake-machines.ts';
import { type Answers, answering } from '../support/fake-session.ts';

it('a session that ends before it has answered is not begun again at once', async () => {
  const machine = { name: 'm1', address: 'm1.example', metadata: {} };
  const { driver } = fakeMachines([machine]);
  let asked = 0;
  const refusing = {
    ...driver,
    connect: () => {
      const session = driver.connect(machine);
      const ask = async (): Promise<never> => {
        asked++;
        await sleep(1);
        throw new FleetError('become-denied', 'Cannot use machine "m1": sudo refuses');
      };
      return { ...session, ask, ended: Promise.resolve() };
    },
  };
  const watch = new MachineWatch(machine, {
    driver: refusing,
    clock: { now: () => Date.now() },
    intervalMs: 60_000,
    deadlineMs: 10_000,
    onChange: () => undefined,
    unseen: () => [],
    grant: () => undefined,
    onLease: () => undefined,
  });
  const stop = new AbortController();
  const running = watch.run(stop.signal);
  await sleep(700);
  stop.abort();
  await running;
  // At once, after a quarter of a second and after another half.
  expect(asked).toBeGreaterThan(0);
  expect(asked).toBeLessThan(5);
});

it('new measurements are not a change', async () => {
  const machine = { name: 'm1', address: 'm1.example', metadata: {} };
  const { driver } = fakeMachines([machine]);
  const vitals = { systemd: '252', loadAverage: [0.1], memory: undefined };
  const withState = (changes: Partial<SystemdState>) => ({
    units: [{ ...foreignUnit('a.timer'), state: systemdState('waiting', changes) }],
  });
  const first = { uptimeSeconds: 1, clock: 1, lease: { bootId: 'b', deadline: 1 }, vitals, ...withState({}) };
  const answers: readonly Partial<Observation>[] = [
    {},
    { uptimeSeconds: 2 },
    { clock: 2 },
    { lease: { bootId: 'b', deadline: 2 } },
    { vitals: { ...vitals, loadAverage: [0.2] } },
    withState({ memoryBytes: 1 }),
    withState({ cpuNs: 1 }),
    withState({ nextElapse: 1 }),
    withState({ lastTrigger: 1 }),
  ];
  const changes: number[] = [];
  const stop = new AbortController();
  let asked = 0;
  const measuring = {
    ...driver,
    connect: () => {
      const session = driver.connect(machine);
      const observation = async () => {
        if (asked === answers.length) stop.abort();
        const seen = await session.ask(observeQuery({ names: [], digests: true }));
        return { ...seen, ...first, ...answers[Math.min(asked++, answers.length - 1)] };
      };
      return { ...session, ask: answering<typeof observeQuery>({ observation }) };
    },
  };
  const watch = new MachineWatch(machine, {
    driver: measuring,
    clock: { now: () => Date.now() },
    intervalMs: 1,
    deadlineMs: 10_000,
    onChange: () => void changes.push(asked),
    unseen: () => [],
    grant: () => undefined,
    onLease: () => undefined,
  });
  await watch.run(stop.signal);
  expect(changes).toEqual([1, answers.length]);
});

it.each([
  [0, 10_000, false, 10_000],
  [1, 10_000, false, 250],
  [3, 10_000, false, 1_000],
  [5, 10_000, false, 2_000],
  [1_000, 10_000, false, 2_000],
  [1_000, 1_500, false, 1_500],
  [1, 1_500, true, 5_000],
  [2, 1_500, true, 10_000],
  [5, 1_500, true, 80_000],
  [1_000, 1_500, true, 300_000],
])(
  'after %i equal failures of queries, a watch of every %i ms (refused: %s) waits for %i ms',
  (failures, intervalMs, isRefused, ms) => {
    expect(restMs(failures, intervalMs, isRefused)).toBe(ms);
  },
);

/** A watch of a machine whose session answers as told, by a clock that is turned by hand. */
function watchOf(
  answers: Answers<typeof observeQuery | typeof extendQuery>,
  lease?: Lease,
  unseen: readonly string[] = [],
) {
  const machine = { name: 'm1', address: 'm1.example', metadata: {} };
  const { driver } = fakeMachines([machine]);
  const connect = () => {
    const session = driver.connect(machine);
    return { ...session, ask: answering(answers, session.ask) };
  };
  const clock = { time: 0, now: () => clock.time };
  const leases: (FleetError | undefined)[] = [];
  const watch = new MachineWatch(machine, {
    driver: { ...driver, connect },
    clock,
    intervalMs: 20,
    deadlineMs: 10_000,
    onChange: () => undefined,
    unseen: () => unseen,
    grant: () => lease,
    onLease: (error) => void leases.push(error),
  });
  const stop = new AbortController();
  const running = watch.run(stop.signal);
  onTestFinished(async () => {
    stop.abort();
    await running;
  });
  return { watch, clock, leases };
}

it('a machine that refuses is not asked again by those who want to know', async () => {
  let asked = 0;
  const observation = (): never => {
    asked++;
    throw new FleetError('ssh-authentication', 'It did not let "root" in');
  };
  const { watch } = watchOf({ observation });
  await watch.whenSeen;
  for (let time = 0; time < 20; time++) await watch.observe();
  expect([asked, watch.unreachable?.code]).toEqual([1, 'ssh-authentication']);
});

it('a machine is asked by name for units that its answer lacks', async () => {
  const { watch } = watchOf({}, undefined, ['a.service']);
  await watch.whenSeen;
  expect(watch.view?.observation?.units.map(({ name }) => name)).toEqual(['a.service']);
});

it('a machine that answers and takes no lease is reachable', async () => {
  const extension = (): never => {
    throw new FleetError('machine-stopping', 'Machine "m1" is shutting down');
  };
  const { watch, leases } = watchOf({ extension }, { bootId: 'b', deadline: 1 });
  await watch.observe();
  await watch.observe();
  expect([watch.unreachable, watch.view?.observation?.lease]).toEqual([undefined, undefined]);
  expect(leases.map((error) => error?.code)).toContain('machine-stopping');
});

it('a local problem does not count towards the unreachable time that follows it', async () => {
  const { watch, clock } = watchOf({});
  await watch.whenSeen;
  const name = new FleetError('ssh-name', 'The name server did not answer');
  const down = new FleetError('ssh-timeout', 'No answer');
  watch.failed(1_000, name);
  clock.time = 60_000;
  watch.failed(60_000, name);
  // One interval before the query, in which the machine may have gone down.
  expect(watch.view?.unreachable?.since).toBe(980);
  watch.failed(61_000, down);
  watch.failed(62_000, new FleetError('ssh-refused', 'Connection refused'));
  expect(watch.view?.unreachable?.since).toBe(61_000);
  watch.failed(63_000, name);
  watch.failed(64_000, down);
  expect(watch.view?.unreachable?.since).toBe(64_000);
});
