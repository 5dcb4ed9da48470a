import { expect, it, vi } from 'vitest';
import { House } from '../controller/support.ts';
import { Api } from './support.ts';

it('a fleetd that stands by answers on the socket of the other one when that has ended', async () => {
  const first = await Api.of(new House(['m1']), { origin: 'first' });
  const { socketPath } = first;
  const second = await Api.of(new House(['m1']), { socketPath, origin: 'second' });
  expect([first.notices, second.notices]).toEqual([[], ['socket-taken']]);
  const origin = async (): Promise<unknown> => (await second.get('/fleet/v2/snapshot')).body;
  await vi.waitFor(async () => expect(await origin()).toMatchObject({ origin: 'first' }), {
    timeout: 10_000,
  });
  await first.close();
  await vi.waitFor(async () => expect(await origin()).toMatchObject({ origin: 'second' }), {
    timeout: 10_000,
  });
});
