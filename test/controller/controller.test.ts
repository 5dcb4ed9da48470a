import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { FleetError } from '../../src/base/errors.ts';
import { logEntry } from '../../src/output/log.ts';
import { WRITE_FAILED } from '../reconcile/scene.ts';
import { desiredUnit, idOf } from '../support/builders.ts';
import { AWAY, House, INTERVAL_MS, TTL_MS } from './support.ts';

const soon = { timeout: 10_000, interval: 10 };

const LEASE_MS = 2_000;

/** A fenced unit runs on m1, and a start of another unit on m2 takes longer than a lease. */
async function houseWithSlowStart(fleet: string): Promise<House> {
  const house = new House(['m1', 'm2'], { agentTtlMs: LEASE_MS, intervalMs: 300 });
  Object.defineProperty(house.fakes.of('m1'), 'uptimeSeconds', { get: () => performance.now() / 1000 });
  await house.want('launched', 'Fenced=true\nMachineMetadata=name=m1', 'a.service');
  await vi.waitFor(() => expect(house.runs('a.service')).toEqual(['m1']), soon);
  house.changeMs = 1.5 * LEASE_MS;
  await house.want('launched', `${fleet}MachineMetadata=name=m2`, 'b.service');
  const isDecided = (): boolean =>
    house.events.some((event) => event.kind === 'decided' && event.unit === 'b.service');
  await vi.waitFor(() => expect(isDecided()).toBe(true), soon);
  return house;
}

/** The shortest time that the lease of m1 had left until `ended` resolved, in ms. */
async function shortestLease(house: House, ended: Promise<unknown>): Promise<number> {
  const machine = house.fakes.of('m1');
  let isOver: boolean = false;
  void ended.finally(() => {
    isOver = true;
  });
  let shortest = LEASE_MS;
  for (; !isOver; await sleep(10))
    shortest = Math.min(shortest, ((machine.lease?.deadline ?? 0) - machine.uptimeSeconds) * 1000);
  await ended;
  return shortest;
}

describe('a controller', () => {
  it('brings a unit to a machine, and looks after it there', async () => {
    const house = new House(['m1', 'm2']);
    await house.want('launched', '', 'a.service');
    await vi.waitFor(() => expect(house.runs('a.service')).toEqual(['m1']), soon);
    const unit = house.fakes.of('m1').units.get('a.service');
    if (unit !== undefined) unit.state = { ...unit.state, active: 'inactive', sub: 'dead' };
    expect(house.runs('a.service')).toEqual([]);
    await vi.waitFor(() => expect(house.runs('a.service')).toEqual(['m1']), soon);
  });

  it('has no more to say about many machines than about few', async () => {
    const warned = vi.fn();
    process.on('warning', warned);
    const house = new House(Array.from({ length: 20 }, (_, index) => `m${index}`));
    await house.want('launched', '', 'a.service');
    await vi.waitFor(() => expect(house.runs('a.service')).toHaveLength(1), soon);
    process.off('warning', warned);
    expect(warned.mock.calls).toEqual([]);
  });

  it('moves a unit when its machine has been unreachable for agent_ttl, and not before', async () => {
    const house = new House(['m1', 'm2', 'm3']);
    await house.want('launched', '', 'a.service');
    await vi.waitFor(() => expect(house.runs('a.service')).toEqual(['m1']), soon);
    const lost = Date.now();
    house.fakes.disconnect('m1');
    await vi.waitFor(() => expect(house.runs('a.service')).toContain('m2'), soon);
    // The time counts from its last answer.
    expect(Date.now() - lost).toBeGreaterThanOrEqual(TTL_MS - INTERVAL_MS);
    expect(await house.assigned('a.service')).toBe('m2');
    // Nothing was stopped because something could not be reached.
    expect(house.fakes.of('m1').log).not.toContain('stop a.service');

    house.fakes.of('m1').unreachable = undefined;
    await vi.waitFor(() => expect(house.runs('a.service')).toEqual(['m2']), soon);
    expect(house.kinds()).toEqual(expect.arrayContaining(['machine-lost', 'machine-back']));
  });

  it('says once that a unit moves while its move fails', async () => {
    const house = new House(['m1', 'm2']);
    await house.want('launched', 'MachineMetadata=name=m1', 'a.service');
    await vi.waitFor(() => expect(house.runs('a.service')).toEqual(['m1']), soon);
    const other = house.fakes.of('m2');
    const { change } = other;
    other.change = (changes) =>
      changes.map(({ unit }) => ({ unit, machine: 'm2', state: undefined, failure: WRITE_FAILED }));
    const moves = (): readonly (readonly [string | undefined, boolean])[] =>
      house.events.flatMap((event) =>
        event.kind === 'decided' && event.decision === 'move'
          ? [[event.because?.code, event.again === true]]
          : [],
      );
    await house.want('launched', 'MachineMetadata=name=m2', 'a.service');
    await vi.waitFor(() => expect(moves().length).toBeGreaterThan(1), soon);
    expect(moves().slice(0, 2)).toEqual([
      ['machine-metadata', false],
      ['machine-metadata', true],
    ]);
    other.change = change;
    await vi.waitFor(() => expect(house.runs('a.service')).toEqual(['m2']), soon);
  });

  it('gives a global unit to a machine that comes', async () => {
    const house = new House(['m1', 'm2', 'm3']);
    house.fakes.disconnect('m3');
    await house.want('launched', 'Global=true', 'g.service');
    await vi.waitFor(() => expect(house.runs('g.service')).toEqual(['m1', 'm2']), soon);
    house.fakes.of('m3').unreachable = undefined;
    await vi.waitFor(() => expect(house.runs('g.service')).toEqual(['m1', 'm2', 'm3']), soon);
  });

  it('is not delayed by a machine that takes connections and never answers', async () => {
    const house = new House(['m1', 'm2', 'm3']);
    house.hung.add('m1');
    await house.want('launched', '', 'a.service');
    const wanted = Date.now();
    await vi.waitFor(() => expect(house.runs('a.service')).toEqual(['m2']), soon);
    expect(Date.now() - wanted).toBeLessThan(5_000);
  });

  it('moves nothing when more than half of the machines are unreachable', async () => {
    const house = new House(['m1', 'm2', 'm3']);
    await house.want('launched', '', 'a.service');
    await vi.waitFor(() => expect(house.runs('a.service')).toEqual(['m1']), soon);
    house.fakes.disconnect('m1');
    house.fakes.disconnect('m2');
    await vi.waitFor(() => expect(house.kinds()).toContain('cut-off'), soon);
    await sleep(2 * TTL_MS);
    expect(await house.assigned('a.service')).toBe('m1');
  });

  it('moves a fenced unit in time although another machine has taken the id of the lost one', async () => {
    const house = new House(['m1', 'm2', 'm3', 'm4']);
    await house.want(
      'launched',
      'Fenced=true\nMachineMetadata=name=m1 name=m3\n[Service]\nTimeoutStopSec=100ms',
      'a.service',
    );
    await vi.waitFor(() => expect(house.runs('a.service')).toEqual(['m1']), soon);
    const taken = house.fakes.of('m2');
    Object.assign(taken, { id: idOf('m1'), lease: undefined });
    house.fakes.disconnect('m1');
    await vi.waitFor(() => expect(house.runs('a.service')).toContain('m3'), soon);
    expect(taken.lease).toBeUndefined();
    expect(house.runs('a.service')).not.toContain('m2');
    expect(house.controller.troubles.map(({ message }) => message)).toEqual([
      expect.stringContaining('Machine "m2" has the machine id of machine "m1"'),
    ]);
  });

  it('extends the lease of a machine that is back before its end, while a start of a fenced unit takes long', async () => {
    const house = await houseWithSlowStart('Fenced=true\n');
    house.fakes.disconnect('m1');
    await vi.waitFor(() => expect(house.kinds()).toContain('machine-lost'), soon);
    house.fakes.of('m1').unreachable = undefined;
    expect(await shortestLease(house, sleep(1.2 * LEASE_MS))).toBeGreaterThan(0);
    expect(house.runs('b.service')).toEqual([]);
  });

  it('extends leases until its passes have ended, when it is stopped', async () => {
    const house = await houseWithSlowStart('');
    expect(await shortestLease(house, house.end())).toBeGreaterThan(0);
    expect(house.runs('b.service')).toEqual(['m2']);
  });

  it.each([5_000, 2 ** 60])(
    'continues with a machine that alone claims to have seen revision %d',
    async (token) => {
      const house = new House(['m1', 'm2', 'm3']);
      await house.want('launched', 'Global=true', 'g.service');
      await house.want('launched', 'MachineMetadata=name=m1 name=m3', 'a.service');
      await vi.waitFor(() => expect(house.runs('g.service')).toHaveLength(3), soon);
      await vi.waitFor(() => expect(house.runs('a.service')).toEqual(['m1']), soon);
      const unit = house.fakes.of('m2').units.get('g.service');
      if (unit?.record === undefined) throw new Error('g.service is not on m2');
      unit.record = { ...unit.record, token };
      house.fakes.disconnect('m1');
      await vi.waitFor(() => expect(house.runs('a.service')).toContain('m3'), soon);
      expect(house.fakes.of('m2').units.get('g.service')?.state.active).toBe('active');
      expect(house.controller.troubles.map(({ message }) => message)).toEqual([
        expect.stringMatching(/^(Cannot use machine|Machine) "m2"/),
      ]);
    },
  );

  it('does not give what a machine has lost to one that came back a moment ago', async () => {
    const house = new House(['m1', 'm2', 'm3'], { agentTtlMs: 1_500 });
    await house.want('launched', 'MachineMetadata=name=m1\nMachineMetadata=name=m2', 'a.service');
    await vi.waitFor(() => expect(house.runs('a.service')).toEqual(['m1']), soon);
    house.fakes.disconnect('m2');
    await vi.waitFor(() => expect(house.kinds()).toContain('machine-lost'), soon);
    house.fakes.disconnect('m1');
    await sleep(1_000);
    house.fakes.of('m2').unreachable = undefined;
    const back = Date.now();
    await vi.waitFor(() => expect(house.runs('a.service')).toContain('m2'), soon);
    expect(Date.now() - back).toBeGreaterThanOrEqual(1_400);
  });

  it('does nothing while another one leads, and everything from then on', async () => {
    let leads = false;
    const house = new House(['m1'], { leads: () => leads });
    await house.want('launched', '', 'a.service');
    await sleep(300);
    expect(house.runs('a.service')).toEqual([]);
    expect(house.controller.snapshot?.units.map(({ name }) => name)).toEqual(['a.service']);
    leads = true;
    house.controller.wake();
    await vi.waitFor(() => expect(house.runs('a.service')).toEqual(['m1']), soon);
  });

  it('does nothing while the registry is down, and continues when it is back', async () => {
    const house = new House(['m1', 'm2', 'm3']);
    await house.want('launched', '', 'a.service');
    await vi.waitFor(() => expect(house.runs('a.service')).toEqual(['m1']), soon);
    house.registryError = AWAY;
    await house.want('launched', '', 'b.service');
    await vi.waitFor(() => expect(house.kinds()).toContain('registry-lost'), soon);
    house.fakes.disconnect('m1');
    await sleep(2 * TTL_MS);
    expect(house.runs('a.service')).toEqual(['m1']);
    expect(house.kinds().filter((kind) => kind === 'registry-lost')).toHaveLength(1);
    house.registryError = undefined;
    await vi.waitFor(() => expect(house.runs('a.service')).toContain('m2'), soon);
    await vi.waitFor(() => expect(house.runs('b.service')).toHaveLength(1), soon);
  });

  it('tries a unit that cannot start again later, and later still', async () => {
    const house = new House(['m1']);
    const text = '[Unit]\nConditionPathExists=/nowhere\n[Service]\nExecStart=/bin/true\n';
    const { hash, digest } = desiredUnit('a.service', '', { text });
    const unit = { name: 'a.service', text, hash, digest, target: 'launched', machine: undefined } as const;
    await house.registry.update(() => [{ kind: 'put-unit', unit }]);
    const starts = () => house.fakes.of('m1').log.filter((line) => line === 'start a.service').length;
    await vi.waitFor(() => expect(starts()).toBe(2), soon);
    await sleep(1_000);
    expect(starts()).toBe(2);
  });

  it('continues with all others when passes over one unit end with an error', async () => {
    const house = new House(['m1', 'm2']);
    await house.want('launched', 'MachineMetadata=name=m1', 'bad.service', 'good.service');
    const { change } = house.registry;
    // The store refuses whatever assigns that one.
    house.watchedRegistry.change = async (decide, use) =>
      change((view) => {
        const edits = decide(view);
        if (edits.some((edit) => edit.kind === 'put-unit' && edit.unit.name === 'bad.service'))
          throw new FleetError('registry-unavailable', 'Too large for this store');
        return edits;
      }, use);
    await vi.waitFor(() => expect(house.runs('good.service')).toEqual(['m1']), soon);
    await vi.waitFor(() => expect(house.controller.troubles).toHaveLength(1), soon);
    expect(house.controller.troubles).toEqual([
      { message: 'passes over bad.service fail: Too large for this store', isOwn: true },
    ]);
    house.watchedRegistry.change = change;
    await vi.waitFor(() => expect(house.runs('bad.service')).toEqual(['m1']), soon);
    expect(house.controller.troubles).toEqual([]);
  });

  it('logs once what a machine that forges its record makes it do again and again', async () => {
    const house = new House(['m1', 'm2']);
    await house.want('launched', 'MachineMetadata=name=m1', 'a.service');
    await vi.waitFor(() => expect(house.runs('a.service')).toEqual(['m1']), soon);
    const liar = house.fakes.of('m1');
    const unit = liar.units.get('a.service');
    if (unit?.record === undefined) throw new Error('a.service is not on m1');
    unit.record = { ...unit.record, digest: '0'.repeat(64) };
    liar.change = (changes) =>
      changes.map(({ unit }) => ({ unit, machine: 'm1', state: undefined, failure: undefined }));
    const outcomes = () =>
      house.events.filter((event) => event.kind === 'outcome' && event.state === undefined);
    await vi.waitFor(() => expect(outcomes().length).toBeGreaterThan(2), soon);
    expect(outcomes().filter((event) => logEntry(event) !== undefined)).toHaveLength(1);
  });

  it('that cannot read a unit of a newer fleet manages the others, and reports that problem', async () => {
    const house = new House(['m1', 'm2', 'm3']);
    await house.want('launched', '', 'a.service');
    await vi.waitFor(() => expect(house.runs('a.service')).toEqual(['m1']), soon);
    const value = JSON.stringify({ version: 99 });
    await house.store.commit([{ kind: 'put', key: 'units/new.service', value, ifRevision: 0 }]);
    await vi.waitFor(() => expect(house.controller.troubles).toHaveLength(1), soon);
    expect(house.controller.troubles).toEqual([
      {
        message: expect.stringMatching(/^unit new\.service is left .* written by a newer fleet/),
        isOwn: true,
      },
    ]);
    house.fakes.disconnect('m1');
    await vi.waitFor(() => expect(house.runs('a.service')).toContain('m2'), soon);
  });

  it('refuses a registry from before a unit was destroyed, which only the machine remembers', async () => {
    const house = new House(['m1', 'm2']);
    house.fakes.of('m1').removed.set('b.service', 1_000);
    await house.want('launched', 'MachineMetadata=name=m1', 'a.service');
    // From then on m1 is a machine of this cluster.
    await vi.waitFor(() => expect(house.runs('a.service')).toEqual(['m1']), soon);
    await house.want('launched', '', 'b.service');
    const { revision } = await house.registry.load();
    const refusals = () =>
      house.events.flatMap((event) => (event.kind === 'pass-failed' ? [event.error] : []));
    await vi.waitFor(() => expect(refusals().length).toBeGreaterThan(1), soon);
    expect(new Set(refusals().map(({ message }) => message))).toEqual(
      new Set([expect.stringMatching(/^The registry is older .* machine "m1" has seen revision 1000$/)]),
    );
    expect((await house.registry.load()).revision).toBe(revision);
    expect(house.runs('b.service')).toEqual([]);
  });

  it('that no machine lets in reports that problem, until one does', async () => {
    const house = new House(['m1', 'm2']);
    await vi.waitFor(() => expect(house.controller.snapshot).toBeDefined(), soon);
    expect(house.controller.troubles).toEqual([]);
    for (const name of ['m1', 'm2']) house.fakes.disconnect(name);
    await vi.waitFor(() => expect(house.controller.troubles).toMatchObject([{ isOwn: true }]), soon);
    house.fakes.of('m2').unreachable = undefined;
    await vi.waitFor(() => expect(house.controller.troubles).toEqual([]), soon);
  });

  it('completes the current pass when it is stopped', async () => {
    const house = new House(['m1', 'm2']);
    await house.want('launched', '', 'a.service', 'b.service');
    await vi.waitFor(() => expect(house.kinds()).toContain('changes-sent'), soon);
    await house.end();
    const sent = house.events.filter(({ kind }) => kind === 'changes-sent').length;
    expect(house.events.filter(({ kind }) => kind === 'outcome').length).toBeGreaterThanOrEqual(sent);
    expect(house.fakes.of('m1').log).not.toContain('stop a.service');
  });
});
