import { describe, expect, it } from 'vitest';
import type { ClusterSnapshot } from '../../src/cluster/snapshot.ts';
import { CommandsElsewhere } from '../../src/controller/commands-elsewhere.ts';
import { createRegistry } from '../../src/registry/registry.ts';
import { cluster, desiredUnit, observedUnit, systemdState } from '../support/builders.ts';
import { createMemoryStore } from '../support/memory-store.ts';

const START = 1_000_000;

/** A unit with the decision `token`, in that state on its machine, or not there yet. */
function at(ms: number, token: number, state?: 'running' | 'failed'): ClusterSnapshot {
  const unit = desiredUnit('a.service', '', { token, target: 'launched', machine: 'm1' });
  const observed = state === undefined ? [] : [observedUnit(unit, { state: systemdState(state) })];
  return { ...cluster().machine('m1', {}, { units: observed }).snapshot(), units: [unit], now: START + ms };
}

const left = (elsewhere: CommandsElsewhere, snapshot: ClusterSnapshot): number | undefined => {
  const until = elsewhere.unitsOf(snapshot).get('a.service');
  return until === undefined ? undefined : until - START;
};

describe('a unit that a command of another process has changed', () => {
  it('is left to it for two seconds, and again when its start has failed', () => {
    const elsewhere = new CommandsElsewhere();
    expect(left(elsewhere, at(0, 1, 'running'))).toBeUndefined();
    expect(left(elsewhere, at(100, 2))).toBe(2_100);
    expect(left(elsewhere, at(200, 2))).toBe(2_100);
    expect(left(elsewhere, at(300, 2, 'running'))).toBe(2_100);
    expect(left(elsewhere, at(2_200, 2, 'running'))).toBeUndefined();
    expect(left(elsewhere, at(9_000, 2, 'failed'))).toBe(11_000);
    expect(left(elsewhere, at(11_000, 2, 'failed'))).toBeUndefined();
  });

  it('is searched on no machine when the decision is old', () => {
    const elsewhere = new CommandsElsewhere();
    elsewhere.unitsOf(at(0, 1, 'running'));
    const unseen = Object.defineProperty(at(100, 1, 'running'), 'machines', {
      get: () => expect.fail('a machine is searched'),
    });
    expect(left(elsewhere, unseen)).toBeUndefined();
  });

  it('is not left to it when the start was long ago', () => {
    const elsewhere = new CommandsElsewhere();
    elsewhere.unitsOf(at(0, 1, 'running'));
    elsewhere.unitsOf(at(100, 2, 'running'));
    expect(left(elsewhere, at(700_000, 2, 'failed'))).toBeUndefined();
  });

  it('is not left to it by a controller that has just begun to lead', () => {
    const elsewhere = new CommandsElsewhere();
    expect(left(elsewhere, at(0, 1))).toBeUndefined();
    elsewhere.forget();
    expect(left(elsewhere, at(10, 2))).toBeUndefined();
  });

  it('is left to one that was announced before the first decision of this process', () => {
    const elsewhere = new CommandsElsewhere();
    elsewhere.announce(1, () => at(0, 1));
    expect(left(elsewhere, at(100, 1))).toBeUndefined();
    expect(left(elsewhere, at(200, 2))).toBe(2_200);
  });

  it('is left to one that destroys it', () => {
    const elsewhere = new CommandsElsewhere();
    elsewhere.unitsOf(at(0, 1, 'running'));
    const without = (ms: number, revision: number) => ({ ...at(ms, 1, 'running'), units: [], revision });
    expect(left(elsewhere, without(100, 2))).toBe(2_100);
    expect(left(elsewhere, without(200, 3))).toBe(2_100);
    expect(left(elsewhere, without(2_100, 3))).toBeUndefined();
    expect(left(elsewhere, without(2_200, 4))).toBeUndefined();
    expect(left(elsewhere, at(2_300, 5))).toBe(4_300);
  });

  it('is not left to it when the command that was announced is gone', () => {
    const elsewhere = new CommandsElsewhere();
    const announced = elsewhere.announce(1, () => at(0, 1));
    expect(left(elsewhere, at(100, 2))).toBe(2_100);
    expect(elsewhere.abandon(announced, START + 150)).toBe(true);
    expect(left(elsewhere, at(200, 2))).toBeUndefined();
    expect(left(elsewhere, at(300, 3))).toBeUndefined();
    expect(left(elsewhere, at(2_200, 4))).toBe(4_200);
  });

  it('is left to it when another command is gone, or when the command is done', () => {
    const elsewhere = new CommandsElsewhere();
    const [gone, present] = [1, 2].map((token) => elsewhere.announce(token, () => at(0, 1)));
    if (gone === undefined || present === undefined) throw new TypeError('no command');
    expect(left(elsewhere, at(100, 3))).toBe(2_100);
    elsewhere.abandon(gone, START + 150);
    expect(left(elsewhere, at(200, 3))).toBe(2_100);
    elsewhere.ask(present);
    expect(elsewhere.abandon(present, START + 300)).toBe(false);
    expect(left(elsewhere, at(400, 3))).toBe(2_100);
  });

  it('is not left to it if this process has changed it', async () => {
    const elsewhere = new CommandsElsewhere();
    const clock = { now: () => START };
    const registry = elsewhere.watch(createRegistry(createMemoryStore(), { clock, author: 'me@here' }));
    elsewhere.unitsOf(at(0, 0));
    const { text, hash, digest } = desiredUnit('a.service');
    const unit = { name: 'a.service', text, hash, digest, target: 'launched', machine: undefined } as const;
    const { token } = await registry.update(() => [{ kind: 'put-unit', unit }]);
    expect(left(elsewhere, at(100, token))).toBeUndefined();
    await registry.update(() => []);
    expect(left(elsewhere, at(200, token + 1))).toBe(2_200);
  });
});
