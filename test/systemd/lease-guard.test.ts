import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Lease } from '../../src/cluster/snapshot.ts';
import type { Step, UnitChange } from '../../src/plan/step.ts';
import { extendQuery } from '../../src/systemd/queries.ts';
import { createLocalMachine } from '../support/local-machine.ts';
import { SHELLS } from '../support/local-shell.ts';
import { recordOf, unitText } from './changes.ts';

const ONE = 'one.service';
const OLD = unitText('old');
const NEW = unitText('new');
const BOOT_ID = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
const OVER: Lease = { bootId: BOOT_ID, deadline: 0.01 };
const GOOD: Lease = { bootId: BOOT_ID, deadline: 4_000_000_000 };
const NO_LEASE = { code: 'fenced', reason: { code: 'no-lease' } };

function change(token: number, ...steps: readonly Step[]): UnitChange {
  return { unit: ONE, token, steps, obstacle: undefined };
}

const write = (text: string, under: Lease): Step => ({ kind: 'write', text, under });
const record = (text: string, token: number): Step => ({
  kind: 'record',
  record: recordOf(ONE, text, token, 'launched'),
  links: [],
  fence: '[Unit]\nPartOf=fleet-lease.service\n',
});
const start = (under: Lease): Step => ({ kind: 'start', under });

it('a lease that is killed on its way is there only when systemd knows what ends it', async () => {
  let calls = 0;
  let isOver = false;
  while (!isOver && calls < 20) {
    const machine = await createLocalMachine();
    const { session } = machine.connect({ killAt: ++calls });
    isOver = await session.ask(extendQuery({ bootId: BOOT_ID, deadline: 4_000_000_000 })).catch(() => false);
    session.close();
    expect(machine.calls('daemon-reload').length).toBeGreaterThanOrEqual(
      machine.text('run', 'lease') === undefined ? 0 : 1,
    );
  }
  expect([isOver, calls > 4]).toEqual([true, true]);
});

describe.each(SHELLS)('what was decided under a lease that is over, with %s', (shell) => {
  it('is not written, because another user could start it', async () => {
    const machine = await createLocalMachine({ shell });
    const [outcome] = await machine.change([change(5, write(NEW, OVER), record(NEW, 5))]);
    expect(outcome?.failure).toEqual(NO_LEASE);
    expect(machine.files('etc')).toEqual([]);
    expect(machine.files('var', 'units')).toEqual([]);
  });

  it.each<[string, Step]>([
    ['started', start(OVER)],
    ['restarted', { kind: 'restart', under: OVER }],
  ])('is not %s where it is', async (_word, step) => {
    const machine = await createLocalMachine({ shell });
    await machine.change([change(5, write(OLD, GOOD), record(OLD, 5))]);
    const [outcome] = await machine.change([change(6, record(OLD, 6), step)]);
    expect(outcome?.failure).toEqual(NO_LEASE);
    expect([...machine.calls('start'), ...machine.calls('restart')]).toEqual([]);
  });

  it('neither replaces nor stops what runs', async () => {
    const machine = await createLocalMachine({ shell });
    await machine.change([change(5, write(OLD, GOOD), record(OLD, 5), start(GOOD))]);
    const stop: Step = { kind: 'stop' };
    const [outcome] = await machine.change([change(6, stop, write(NEW, OVER), record(NEW, 6), start(OVER))]);
    expect(outcome?.failure).toEqual(NO_LEASE);
    expect([machine.text('etc', ONE), machine.calls('stop')]).toEqual([OLD, []]);
  });
});
