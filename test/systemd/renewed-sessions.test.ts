import { expect, it } from 'vitest';
import { FleetError, isFleetError } from '../../src/base/errors.ts';
import type { SystemdDriver } from '../../src/systemd/driver.ts';
import { observeQuery } from '../../src/systemd/observation.ts';
import { renewSessions } from '../../src/systemd/renewed-sessions.ts';
import { fakeMachines } from '../support/fake-machines.ts';

const M1 = { name: 'm1', address: '10.0.0.1', metadata: {} };
const REQUEST = { names: [], digests: false };
const LOST = new FleetError('ssh-lost', 'the connection is lost');

/** Looks at m1 over sessions that can be broken; the log has what is opened and ended. */
function make() {
  const machines = fakeMachines([M1]);
  const log: string[] = [];
  const state = { broken: new Set<number>(), sessions: 0 };
  const driver: SystemdDriver = {
    ...machines.driver,
    connect(machine) {
      log.push('connect');
      const session = machines.driver.connect(machine);
      const number = state.sessions++;
      return {
        ...session,
        ask: (query) => (state.broken.has(number) ? Promise.reject(LOST) : session.ask(query)),
        close: () => log.push(`close ${number}`),
      };
    },
  };
  const renewed = renewSessions(driver);
  const look = async (): Promise<string> => {
    const session = await renewed.connect(M1);
    try {
      return (await session.ask(observeQuery(REQUEST))).id;
    } finally {
      session.close();
    }
  };
  return { machines, log, state, renewed, look };
}

it('looks again and again over one session', async () => {
  const { log, look, renewed } = make();
  for (const _ of [1, 2, 3]) await look();
  await renewed.close();
  expect(log).toEqual(['connect', 'close 0']);
});

it('replaces a session that was lost meanwhile within the same look', async () => {
  const { log, look, state } = make();
  await look();
  state.broken.add(0);
  await look();
  await look();
  expect(log).toEqual(['connect', 'close 0', 'connect']);
});

it('asks a machine that was silent again with the next look', async () => {
  const { log, look, machines } = make();
  machines.silence('m1', LOST);
  await expect(look()).rejects.toBe(LOST);
  machines.of('m1').silence = undefined;
  await look();
  expect(log).toEqual(['connect', 'close 0', 'connect']);
});

it('tells a machine that broke off and does not come back as silent', async () => {
  const { look, machines, state } = make();
  await look();
  state.broken.add(0);
  machines.silence('m1', LOST);
  await expect(look()).rejects.toBe(LOST);
});

it('says nothing about machines once nobody looks any more', async () => {
  const { look, renewed, state } = make();
  await look();
  state.broken.add(0).add(1);
  await renewed.close();
  const error = await look().catch((each: unknown) => each);
  expect([error instanceof Error, isFleetError(error)]).toEqual([true, false]);
});
