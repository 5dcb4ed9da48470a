import { expect, it, onTestFinished } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import { MachineWatch } from '../../src/controller/machine-watch.ts';
import { observeQuery } from '../../src/systemd/observation.ts';
import { fakeMachines } from '../support/fake-machines.ts';

/** A watch that rests after its first observation, and what happened to its sessions: `open 1`, `close 1`. */
async function arrange() {
  const machine = { name: 'm1', address: 'm1.example', metadata: {} };
  const fakes = fakeMachines([machine]);
  const log: string[] = [];
  let count = 0;
  const watch = new MachineWatch(machine, {
    driver: {
      ...fakes.driver,
      connect: () => {
        const session = fakes.driver.connect(machine);
        const number = ++count;
        log.push(`open ${number}`);
        return { ...session, close: () => void log.push(`close ${number}`) };
      },
    },
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
  onTestFinished(async () => {
    stop.abort();
    await running;
  });
  await watch.whenSeen;
  await new Promise(setImmediate);
  return { watch, fakes, log, stop };
}

const QUERY = observeQuery({ names: [], digests: false });

it('the session of a watch that rests is lent once, and used by the watch again', async () => {
  const { watch, log } = await arrange();
  const session = watch.lend();
  expect(watch.lend()).toBeUndefined();
  await session?.ask(QUERY);
  session?.close();
  await watch.observe();
  expect(watch.unreachable).toBeUndefined();
  expect(log).toEqual(['open 1']);
  expect(watch.lend()).toBeDefined();
});

it('a watch that observes meanwhile has another session', async () => {
  const { watch, log } = await arrange();
  const session = watch.lend();
  await watch.observe();
  session?.close();
  expect(log).toEqual(['open 1', 'open 2', 'close 1']);
});

it('a session that failed is not used again', async () => {
  const { watch, fakes, log } = await arrange();
  for (const work of ['ask', 'change'] as const) {
    const session = watch.lend();
    fakes.disconnect('m1', new FleetError('ssh-lost', 'Lost machine "m1"'));
    if (work === 'ask') await expect(session?.ask(QUERY)).rejects.toThrow();
    else await session?.change([{ unit: 'a.service', token: 1, steps: [], obstacle: undefined }], 'c');
    fakes.of('m1').unreachable = undefined;
    session?.close();
    await watch.observe();
    expect(watch.unreachable).toBeUndefined();
    await new Promise(setImmediate);
  }
  expect(log).toEqual(['open 1', 'close 1', 'open 2', 'close 2', 'open 3']);
});

it('a session is closed that comes back after the end of the watch', async () => {
  const { watch, log, stop } = await arrange();
  const session = watch.lend();
  stop.abort();
  await new Promise((resolve) => setTimeout(resolve, 50));
  session?.close();
  expect(log).toEqual(['open 1', 'close 1']);
});
