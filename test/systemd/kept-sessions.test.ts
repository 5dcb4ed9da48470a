import { expect, it } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import type { SystemdDriver } from '../../src/systemd/driver.ts';
import { keepSessions } from '../../src/systemd/kept-sessions.ts';
import { observeQuery } from '../../src/systemd/observation.ts';
import { fakeMachines } from '../support/fake-machines.ts';

const M1 = { name: 'm1', address: '10.0.0.1', metadata: {} };
const M2 = { name: 'm2', address: '10.0.0.2', metadata: {} };

/** A driver that notes what is opened and ended. */
function noted(): {
  readonly driver: SystemdDriver;
  readonly log: string[];
  readonly machines: ReturnType<typeof fakeMachines>;
} {
  const machines = fakeMachines([M1, M2]);
  const log: string[] = [];
  const driver: SystemdDriver = {
    ...machines.driver,
    connect(machine) {
      log.push(`connect ${machine.name}`);
      const session = machines.driver.connect(machine);
      return { ...session, close: () => log.push(`close ${machine.name}`) };
    },
  };
  return { driver, log, machines };
}

it('opens one session a machine, whoever uses it, and ends it with the driver', async () => {
  const { driver, log } = noted();
  const kept = keepSessions(driver);
  for (const _ of [1, 2]) {
    const session = await kept.connect(M1);
    expect((await session.ask(observeQuery({ names: [], digests: false }))).units).toEqual([]);
    session.close();
  }
  await kept.connect(M2);
  expect(log).toEqual(['connect m1', 'connect m2']);
  await kept.close();
  expect(log).toEqual(['connect m1', 'connect m2', 'close m1', 'close m2']);
});

it('gives the same answer about a machine that is silent, and can be ended', async () => {
  const { driver, machines, log } = noted();
  machines.silence('m1', new FleetError('ssh-timeout', 'no answer'));
  const kept = keepSessions(driver);
  const query = observeQuery({ names: [], digests: false });
  for (const _ of [1, 2])
    await expect(kept.connect(M1).ask(query)).rejects.toMatchObject({ code: 'ssh-timeout' });
  await kept.close();
  expect(log).toEqual(['connect m1', 'close m1']);
});
