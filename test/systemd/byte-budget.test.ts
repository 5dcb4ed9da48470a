import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createLimit } from '../../src/base/async.ts';
import { isFleetError } from '../../src/base/errors.ts';
import { observeQuery } from '../../src/systemd/observation.ts';
import { createTransport, targetOf, temporaryFolder } from '../ssh/support.ts';
import { CLUSTER, createLocalMachine } from '../support/local-machine.ts';
import { type Budget, startBudgetProxy } from '../support/proxies.ts';
import { seeded } from '../support/random.ts';
import { newKey, startSshd } from '../support/sshd.ts';
import { unitText } from './changes.ts';
import { planFor, type Wish } from './pass.ts';

const TEXT = unitText('new');
const WISHES: readonly Wish[] = [{ name: 'web.service', text: TEXT, target: 'launched', token: 1 }];
/** No pass may take longer than this, in ms, on a box that has much else to do. */
const DEADLINE = 10_000;
/** How many passes run at once, and how many other places than the ends of messages are tried. */
const AT_ONCE = 6;
const SAMPLE = 16;

it('a connection that breaks anywhere is never a success, never a hang, and leaves whole files', async () => {
  const whole = await passOver(undefined);
  expect(whole.result).toBe('done');
  const budgets = (['up', 'down'] as const).flatMap((direction) =>
    placesIn(whole.boundaries[direction]).flatMap((bytes) =>
      (['kill', 'freeze'] as const).map((end): Budget => ({ direction, bytes, end })),
    ),
  );
  const limit = createLimit(AT_ONCE);
  const results = await Promise.all(budgets.map((budget) => limit(() => passOver(budget))));
  const broken = results.filter(({ result }) => result === 'failed');
  // Some end so late that everything has been said.
  expect(broken.length).toBeGreaterThan(budgets.length / 2);
  expect(results.filter(({ ms }) => ms > DEADLINE)).toEqual([]);
});

/** The ends of all messages, and a seeded sample of other places. */
function placesIn(boundaries: readonly number[]): readonly number[] {
  const random = seeded(boundaries.length);
  const total = boundaries.at(-1) ?? 0;
  const sample = Array.from({ length: SAMPLE / 2 }, () => Math.floor(random() * total));
  return [...new Set([0, ...boundaries, ...sample])];
}

/** A pass that starts a unit on a new machine; it must not say more than what is so. */
async function passOver(budget: Budget | undefined) {
  const [machine, folder] = [await createLocalMachine(), await temporaryFolder()];
  const key = newKey();
  await writeFile(join(folder, 'id'), key.private);
  const sshd = await startSshd({ acceptedKeys: [key.public] });
  const proxy = await startBudgetProxy(sshd.port, budget);
  const transport = createTransport(folder);
  const patience = budget === undefined ? {} : { connectTimeoutMs: 800, keepaliveTimeoutMs: 600 };
  const target = targetOf({ host: '127.0.0.1', port: proxy.port }, join(folder, 'id'), {
    user: 'root',
    ...patience,
  });
  const started = performance.now();
  const session = machine.connectOver(transport, target);
  const result = await session
    .ask(observeQuery({ names: ['web.service'], digests: true }))
    .then((observation) => session.change(planFor(WISHES, observation), CLUSTER))
    .then((outcomes) => (outcomes.some(({ failure }) => failure !== undefined) ? 'failed' : 'done'))
    .catch((error: unknown) => {
      if (!isFleetError(error) || !error.code.startsWith('ssh-')) throw error;
      return 'failed';
    });
  const ms = performance.now() - started;
  await transport.close();
  proxy.close();
  await expect.poll(() => sshd.commands().running).toBe(0);
  await sshd.close();
  const file = machine.text('etc', 'web.service');
  if (file !== undefined) expect([budget, file]).toEqual([budget, TEXT]);
  if (result === 'done')
    expect([budget, file, machine.files('stub/active')]).toEqual([budget, TEXT, ['web.service']]);
  return { result, ms, boundaries: proxy.boundaries };
}
