import { expect } from 'vitest';
import { compareText } from '../../src/base/text.ts';
import type { Failure } from '../../src/cluster/failure.ts';
import type { TargetState } from '../../src/cluster/unit-state.ts';
import type { PassEvent } from '../../src/reconcile/events.ts';
import type { ReconcileReport } from '../../src/reconcile/pass.ts';
import type { Ports } from '../../src/reconcile/ports.ts';
import { reconcile } from '../../src/reconcile/reconcile.ts';
import { createRegistry, type Registry } from '../../src/registry/registry.ts';
import type { Store } from '../../src/store/store.ts';
import { desiredUnit, idOf, NOW, TTL_MS } from '../support/builders.ts';
import { FakeDriver } from '../support/fake-driver.ts';
import { createMemoryStore } from '../support/memory-store.ts';

/** A registry, machines in memory and a clock to turn, with the pass between them. */
export class Scene {
  readonly driver: FakeDriver;
  readonly registry: Registry;
  readonly store: Store;
  readonly ports: Ports;
  /** What the last pass told while it worked. */
  readonly events: PassEvent[] = [];
  readonly clock = { time: NOW, now: (): number => this.clock.time };

  /** With `beside`, the machines of that scene, for another user of them. */
  constructor(names: readonly string[], store: Store = createMemoryStore(), beside?: Scene) {
    const machines = names.map((name) => ({ name, address: `${name}.example`, metadata: { name } }));
    this.store = store;
    this.driver = new FakeDriver(machines, beside?.driver);
    this.registry = createRegistry(store, { clock: this.clock, author: 'me@here' });
    const { registry, driver, clock } = this;
    const emit = (event: PassEvent): void => void this.events.push(event);
    const observer = { id: 'me', uptime: clock };
    this.ports = { registry, driver, clock, observer, machines, agentTtlMs: TTL_MS, cutOff: 0.5, emit };
  }

  /** Puts units into the registry, where they are, with another text or target state. `fleet` is `[X-Fleet]`. */
  async want(target: TargetState, fleet: string, ...names: readonly string[]): Promise<void> {
    await this.registry.update((view) =>
      names.map((name) => {
        const { text, hash, digest } = desiredUnit(name, fleet);
        return {
          kind: 'put-unit',
          unit: { name, text, hash, digest, target, machine: view.units.get(name)?.machine },
        };
      }),
    );
  }

  /** One pass; whatever comes of it, machines are asked once, or twice if a text is held, and every session is closed. */
  async pass(...names: readonly string[]): Promise<ReconcileReport> {
    this.driver.log.length = 0;
    this.events.length = 0;
    try {
      return await reconcile(this.ports, names.length === 0 ? 'everything' : new Set(names));
    } finally {
      expect(this.driver.complaints).toEqual([]);
      expect(this.driver.openSessions()).toBe(0);
      const passes = this.events.filter(({ kind }) => kind === 'pass-begun').length;
      const counts = Object.values(this.driver.connections());
      expect(counts.filter((count) => count < 1 || count > passes)).toEqual([]);
    }
  }

  /** Where a unit is assigned: the machine's name. */
  async assigned(unit: string): Promise<string | undefined> {
    const machine = (await this.registry.load()).units.get(unit)?.machine;
    return this.ports.machines.find(({ name }) => idOf(name) === machine)?.name ?? machine;
  }

  /** What is on machines: `m1 a.service running`. */
  there(): readonly string[] {
    return this.ports.machines.flatMap(({ name }) =>
      [...this.driver.of(name).units]
        .map(([unit, { state }]) => `${name} ${unit} ${state.sub}`)
        .sort(compareText),
    );
  }
}

/** `a.service m1 unreachable`, of everything that failed. */
export function failuresOf({ outcomes }: ReconcileReport): readonly string[] {
  return outcomes.flatMap(({ unit, machine, failure }) =>
    failure === undefined ? [] : [`${unit} ${machine} ${failure.code}`],
  );
}

/** `a.service place`, of every decision. */
export function decisionsOf({ decisions }: ReconcileReport): readonly string[] {
  return decisions.map(({ unit, kind }) => `${unit} ${kind}`);
}

export const WRITE_FAILED: Failure = { code: 'step', step: 'write', detail: 'No space left on device' };
