import { describe, expect, it } from 'vitest';
import { FleetError, isFleetError } from '../../src/base/errors.ts';
import { keepSessions, renewSessions, type SystemdDriver } from '../../src/systemd/driver.ts';
import { observeQuery } from '../../src/systemd/observation.ts';
import { fakeMachines } from '../support/fake-machines.ts';

const M1 = { name: 'm1', address: '10.0.0.1', metadata: {} };
const M2 = { name: 'm2', address: '10.0.0.2', metadata: {} };
const LOST = new FleetError('ssh-lost', 'the connection is lost');

/** Looks at machines over sessions that can be broken; the log has what is opened and ended. */
function make(derive: (driver: SystemdDriver) => SystemdDriver) {
  const machines = fakeMachines([M1, M2]);
  const log: string[] = [];
  const state = { broken: new Set<number>(), sessions: 0 };
  const driver = derive({
    ...machines.driver,
    connect(machine) {
      log.push(`connect ${machine.name}`);
      const session = machines.driver.connect(machine);
      const number = state.sessions++;
      return {
        ...session,
        ask: (query) => (state.broken.has(number) ? Promise.reject(LOST) : session.ask(query)),
        close: () => log.push(`close ${number}`),
      };
    },
  });
  const look = async (machine = M1): Promise<string> => {
    const session = driver.connect(machine);
    try {
      return (await session.ask(observeQuery({ names: [], digests: false }))).id;
    } finally {
      session.close();
    }
  };
  return { machines, log, state, driver, look };
}

describe('a driver that keeps sessions', () => {
  it('opens one shared session per machine, and ends it with the driver', async () => {
    const { log, look, driver } = make(keepSessions);
    for (const machine of [M1, M1, M2]) await look(machine);
    expect(log).toEqual(['connect m1', 'connect m2']);
    await driver.close();
    expect(log).toEqual(['connect m1', 'connect m2', 'close 0', 'close 1']);
  });

  it('gives the same answer about a machine that is unreachable, and can be ended', async () => {
    const { log, look, driver, machines } = make(keepSessions);
    machines.disconnect('m1', LOST);
    for (const _ of [1, 2]) await expect(look()).rejects.toBe(LOST);
    await driver.close();
    expect(log).toEqual(['connect m1', 'close 0']);
  });
});

describe('a driver that renews sessions', () => {
  it('looks again and again over one session', async () => {
    const { log, look, driver } = make(renewSessions);
    for (const _ of [1, 2, 3]) await look();
    await driver.close();
    expect(log).toEqual(['connect m1', 'close 0']);
  });

  it('replaces a session that was lost meanwhile within the same look', async () => {
    const { log, look, state } = make(renewSessions);
    await look();
    state.broken.add(0);
    await look();
    await look();
    expect(log).toEqual(['connect m1', 'close 0', 'connect m1']);
  });

  it('asks a machine that was unreachable again with the next look', async () => {
    const { log, look, machines } = make(renewSessions);
    machines.disconnect('m1', LOST);
    await expect(look()).rejects.toBe(LOST);
    machines.of('m1').unreachable = undefined;
    await look();
    expect(log).toEqual(['connect m1', 'close 0', 'connect m1']);
  });

  it('tells a machine that broke off and does not come back as unreachable', async () => {
    const { look, machines, state } = make(renewSessions);
    await look();
    state.broken.add(0);
    machines.disconnect('m1', LOST);
    await expect(look()).rejects.toBe(LOST);
  });

  it('reports no machines after the last observer has left', async () => {
    const { look, driver, state } = make(renewSessions);
    await look();
    state.broken.add(0).add(1);
    await driver.close();
    const error = await look().catch((each: unknown) => each);
    expect([error instanceof Error, isFleetError(error)]).toEqual([true, false]);
  });
});
