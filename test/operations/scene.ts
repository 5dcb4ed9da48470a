import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import { compareText } from '../../src/base/text.ts';
import type { Clock } from '../../src/base/time.ts';
import type { Machine, Metadata } from '../../src/machine/machine.ts';
import { load, start } from '../../src/operations/set-target-state.ts';
import { type Submission, submit } from '../../src/operations/submit.ts';
import type { RequestResult } from '../../src/operations/unit-result.ts';
import type { Ports } from '../../src/reconcile/ports.ts';
import { createRegistry } from '../../src/registry/registry.ts';
import type { Store } from '../../src/store/store.ts';
import { idOf, NOW, TTL_MS } from '../support/builders.ts';
import { type FakeMachines, fakeMachines } from '../support/fake-machines.ts';
import { createMemoryStore } from '../support/memory-store.ts';

export const SLEEP = '[Service]\nExecStart=/bin/sleep infinity\n';
export const FALSE = '[Service]\nExecStart=/bin/false\n';
export const GLOBAL = `${SLEEP}[X-Fleet]\nGlobal=true\n`;

/** A user at a desk: a registry, machines in memory, a folder with unit files, and a clock to turn. */
export type Scene = {
  readonly ports: Ports;
  readonly machines: FakeMachines;
  /** What the registry rests on. */
  readonly store: Store;
  readonly cwd: string;
  readonly clock: Clock & { time: number };
  /** Writes a file below `cwd`. */
  write(path: string, content: string | Uint8Array): Promise<void>;
  submit(units: readonly string[], replace?: boolean): Promise<Submission>;
  load(...units: readonly string[]): Promise<RequestResult>;
  start(...units: readonly string[]): Promise<RequestResult>;
  /** What the registry wants: `{ 'a.service': 'launched m1' }`. */
  wanted(): Promise<Readonly<Record<string, string>>>;
  /** What machines have: `{ m1: ['a.service running'] }`; machines without units are left out. */
  there(): Readonly<Record<string, readonly string[]>>;
};

export async function makeScene(
  names: Readonly<Record<string, Metadata>> = THREE,
  store: Store = createMemoryStore(),
): Promise<Scene> {
  const cwd = await mkdtemp(join(tmpdir(), 'fleet-operations-'));
  onTestFinished(() => rm(cwd, { recursive: true, force: true }));
  const clock = { time: NOW, now: () => clock.time };
  const inventory = Object.entries(names).map(
    ([name, metadata], index): Machine => ({ name, address: `10.0.0.${index + 1}`, metadata }),
  );
  const machines = fakeMachines(inventory);
  const registry = createRegistry(store, { clock, author: 'me@here' });
  const ports: Ports = {
    registry,
    driver: machines.driver,
    clock,
    observer: { id: 'me', uptime: clock },
    machines: inventory,
    agentTtlMs: TTL_MS,
    cutOff: 0.5,
    emit: () => undefined,
  };
  const nameOf = new Map(inventory.map(({ name }) => [idOf(name), name]));
  return {
    ports,
    machines,
    store,
    cwd,
    clock,
    async write(path, content) {
      await mkdir(dirname(join(cwd, path)), { recursive: true });
      await writeFile(join(cwd, path), content);
    },
    submit: (units, replace = false) => submit(registry, { units, cwd, replace }),
    load: (...units) => load(ports, { units, cwd, replace: false }),
    start: (...units) => start(ports, { units, cwd, replace: false }),
    async wanted() {
      const { units } = await registry.load();
      return Object.fromEntries(
        [...units.values()].map(({ name, target, machine }) => {
          const where = machine === undefined ? '' : ` ${nameOf.get(machine) ?? 'gone'}`;
          return [name, `${target}${where}`];
        }),
      );
    },
    there() {
      const units = inventory.map(({ name }) => {
        const here = [...machines.of(name).units].map(([unit, { state }]) => `${unit} ${state.sub}`);
        return [name, here.sort(compareText)] as const;
      });
      return Object.fromEntries(units.filter(([, here]) => here.length > 0));
    },
  };
}

const THREE: Readonly<Record<string, Metadata>> = { m1: {}, m2: {}, m3: {} };

/** The outcome of a request: `a.service: launched m1`, `b.service: not-up on m1`, `c.service: unit-not-found`. */
export function outcome({ results, problems }: RequestResult): readonly string[] {
  return [
    ...results.flatMap(({ unit, target, machines, failures, unschedulable }) => [
      ...(unschedulable ? [`${unit}: nowhere`] : []),
      ...(unschedulable || (failures.length > 0 && machines.length === 0)
        ? []
        : [[`${unit}: ${target}`, ...machines.map(({ name }) => name)].join(' ')]),
      ...failures.map(({ machine, failure }) => `${unit}: ${failure.code} on ${machine.name}`),
    ]),
    ...problems.map(({ unit, error }) => `${unit}: ${error.code}`),
  ];
}
