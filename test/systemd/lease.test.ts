import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Lease } from '../../src/cluster/snapshot.ts';
import type { UnitChange } from '../../src/plan/step.ts';
import { extendQuery, readExtension } from '../../src/systemd/queries.ts';
import { createLocalMachine, type LocalMachine } from '../support/local-machine.ts';
import { SHELLS } from '../support/local-shell.ts';
import { changes, recordOf, unitText } from './changes.ts';

const ONE = 'one.service';
const TEXT = unitText('one');
const DROPIN = 'one.service.d/zz-fleet-fenced.conf';
const BOOT_ID = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
const uptime = (): number => Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
const leaseFor = (seconds: number): Lease => ({ bootId: BOOT_ID, deadline: uptime() + seconds });

const extend = (machine: LocalMachine, lease: Lease) => machine.ask(extendQuery(lease));

function launch(
  under: Lease | undefined,
  token = 5,
  fence = '[Unit]\nPartOf=fleet-lease.service\n',
): UnitChange {
  const record = recordOf(ONE, TEXT, token, 'launched');
  return {
    unit: ONE,
    token,
    steps: [
      { kind: 'write', text: TEXT },
      { kind: 'record', record, links: [], fence },
      { kind: 'start', ...(under && { under }) },
    ],
    obstacle: undefined,
  };
}

const forbid = (token: number): UnitChange => ({
  unit: ONE,
  token,
  steps: [{ kind: 'forbid' }],
  obstacle: undefined,
});

describe.each(SHELLS)('a lease, with %s', (shell) => {
  const create = (): Promise<LocalMachine> => createLocalMachine({ shell });

  it('exists until its deadline, and is reported with the next answer', async () => {
    const machine = await create();
    expect((await machine.observe()).lease).toBeUndefined();
    const lease = leaseFor(30);
    expect(await extend(machine, lease)).toBe(true);
    expect(machine.calls('start')).toEqual(['start fleet-lease.service']);
    expect((await machine.observe()).lease).toEqual({
      bootId: BOOT_ID,
      deadline: expect.closeTo(lease.deadline, 1),
    });
    expect(machine.files('etc')).toEqual([]);
  });

  it('is extended without another start or reload, and never shortened', async () => {
    const machine = await create();
    await extend(machine, leaseFor(30));
    const later = leaseFor(60);
    expect(await extend(machine, later)).toBe(true);
    expect(await extend(machine, leaseFor(10))).toBe(true);
    expect((await machine.observe()).lease?.deadline).toBeCloseTo(later.deadline, 1);
    expect([machine.calls('start').length, machine.calls('daemon-reload').length]).toEqual([1, 1]);
  });

  it('is not extended by what comes too late, or from before a reboot', async () => {
    const machine = await create();
    expect(await extend(machine, leaseFor(-0.1))).toBe(false);
    expect(await extend(machine, { ...leaseFor(30), bootId: 'another' })).toBe(false);
    expect(machine.calls('start')).toEqual([]);
    expect((await machine.observe()).lease).toBeUndefined();
  });

  it('lets a unit start until its deadline, and not later', async () => {
    const machine = await create();
    const [late] = await machine.change([launch(leaseFor(-1))]);
    expect(late?.failure).toEqual({ code: 'fenced', reason: { code: 'no-lease' } });
    expect(machine.calls('start')).toEqual([]);
    const [other] = await machine.change([launch({ ...leaseFor(30), bootId: 'another' })]);
    expect(other?.failure?.code).toBe('fenced');
    const [begun] = await machine.change([launch(leaseFor(30))]);
    expect([begun?.failure, machine.calls('start').length]).toEqual([undefined, 1]);
  });

  it('has a drop-in beside the unit file, which goes with it', async () => {
    const machine = await create();
    await machine.change([launch(leaseFor(30))]);
    expect(machine.text('etc', DROPIN)).toBe('[Unit]\nPartOf=fleet-lease.service\n');
    expect((await machine.observe()).units[0]?.fence).toMatch(/^[0-9a-f]{64}$/);
    await machine.change([changes.note(ONE, TEXT, 6)]);
    expect(machine.files('etc')).not.toContain(DROPIN);
    await machine.change([launch(leaseFor(30), 7)]);
    await machine.change([changes.remove(ONE, 8)]);
    expect(machine.files('etc').filter((file) => file.includes('one'))).toEqual([]);
  });

  it('is of no use to a decision that a newer one has forbidden', async () => {
    const machine = await create();
    const [forbidden] = await machine.change([forbid(9)]);
    expect(forbidden?.failure).toBeUndefined();
    const [old] = await machine.change([launch(leaseFor(30), 8)]);
    expect(old?.failure).toEqual({ code: 'stale', token: 8, seen: 9 });
    const [late] = await machine.change([forbid(8)]);
    expect(late?.failure).toEqual({ code: 'stale', token: 8, seen: 9 });
  });

  it('does not let a unit be forbidden that is there', async () => {
    const machine = await create();
    await machine.change([launch(leaseFor(30))]);
    const [outcome] = await machine.change([forbid(9)]);
    expect(outcome?.failure).toMatchObject({ code: 'step', step: 'forbid' });
  });
});

it('a machine that shuts down says so, and nothing else', () => {
  const stderr =
    'Failed to start fleet-lease.service: Transaction for fleet-lease.service/start is destructive (soft-reboot.target has start job queued, but stop is included in transaction).';
  const section = { name: 'extend', status: 1, stdout: '', stderr };
  expect(() => readExtension([section], 'm1')).toThrow(
    expect.objectContaining({ code: 'machine-stopping', message: 'Machine "m1" is shutting down' }),
  );
});
