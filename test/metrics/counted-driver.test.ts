import { expect, it } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import { countedDriver } from '../../src/metrics/counted-driver.ts';
import { observeQuery } from '../../src/systemd/observation.ts';
import { fakeMachines } from '../support/fake-machines.ts';

const MACHINE = { name: 'm1', address: 'm1.example', metadata: {} };
const LOOK = { names: [], digests: false };

it('counts a session with its first answer, and why others do not begin or break off', async () => {
  const { driver } = fakeMachines([MACHINE]);
  // A session of ssh begins with the first question.
  let refusal: FleetError | undefined;
  const late = {
    ...driver,
    connect: () => {
      const session = driver.connect(MACHINE);
      const ask: typeof session.ask = async (query) => {
        if (refusal !== undefined) throw refusal;
        return session.ask(query);
      };
      return { ...session, ask };
    },
  };
  const noted: (string | undefined)[] = [];
  const counted = countedDriver(late, (failure) => void noted.push(failure));
  const session = await counted.connect(MACHINE);
  expect(noted).toEqual([]);
  await session.ask(observeQuery(LOOK));
  await session.ask(observeQuery(LOOK));
  refusal = new FleetError('ssh-lost', 'Lost');
  await expect(session.ask(observeQuery(LOOK))).rejects.toBe(refusal);
  refusal = new FleetError('ssh-host-key', 'Its key changed');
  await expect(counted.connect(MACHINE).ask(observeQuery(LOOK))).rejects.toBe(refusal);
  expect(noted).toEqual([undefined, 'ssh-lost', 'ssh-host-key']);
});
