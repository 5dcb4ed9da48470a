import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FleetError } from '../../src/base/errors.ts';
import { restart } from '../../src/operations/restart.ts';
import { destroy, load, start, stop, submitUnits, unload } from '../../src/operations/set-target-state.ts';
import type { RequestResult } from '../../src/operations/unit-result.ts';
import type { ReconcileReport } from '../../src/reconcile/pass.ts';
import type { Ports } from '../../src/reconcile/ports.ts';
import { reconcile } from '../../src/reconcile/reconcile.ts';
import { createRegistry, type Registry } from '../../src/registry/registry.ts';
import type { MachineSession } from '../../src/systemd/driver.ts';
import type { observeQuery } from '../../src/systemd/observation.ts';
import type { DependencyKind } from '../../src/unit/dependencies.ts';
import { NOW, TTL_MS } from '../support/builders.ts';
import { answering } from '../support/fake-session.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { pick, seeded } from '../support/random.ts';
import { SimSystemd } from './systemd.ts';

const SERVICES = ['a.service', 'b.service', 'c.service', 'd.service'];
const TRIGGERS = ['a.timer', 'b.socket'];
const NAMES = [...SERVICES, ...TRIGGERS, 'e.slice', 'f.mount'];

/** How often each kind is drawn; a quarter of the units have no dependency. */
const KINDS_DRAWN: Readonly<Record<DependencyKind, number>> = {
  Requires: 2,
  Requisite: 1,
  BindsTo: 2,
  PartOf: 2,
  Upholds: 2,
  Wants: 1,
  Conflicts: 2,
  PropagatesStopTo: 2,
  StopPropagatedFrom: 1,
  RequiredBy: 1,
  UpheldBy: 1,
  Slice: 1,
  RequiresMountsFor: 1,
  Sockets: 1,
};
const KINDS = [
  ...Object.entries(KINDS_DRAWN).flatMap(([kind, times]) => Array.from({ length: times }, () => kind)),
  ...Array.from({ length: 6 }, () => ''),
];
/** The section of a kind that is not in [Unit], and the type of its units if they are not services. */
const SECTIONS = new Map([
  ['RequiredBy', 'Install'],
  ['UpheldBy', 'Install'],
  ['Slice', 'Service'],
  ['Sockets', 'Service'],
]);
const PEERS = new Map([
  ['Slice', 'slice'],
  ['Sockets', 'socket'],
  ['RequiresMountsFor', 'mount'],
]);

/** Operators, machines and events, all of them drawn from one seed. */
export class World {
  readonly machines: readonly SimSystemd[];
  readonly registry: Registry;
  /** The events, for the message of a failure. */
  readonly events: string[] = [];
  readonly #ports: Ports;
  readonly #random: () => number;
  readonly #folder = mkdtempSync(join(tmpdir(), 'fleet-simulation-'));
  #time = NOW;

  constructor(seed: number) {
    this.#random = seeded(seed);
    const names = Array.from({ length: 1 + Math.floor(this.#random() * 3) }, (_, index) => `m${index + 1}`);
    this.machines = names.map(
      (name, index) => new SimSystemd({ name, address: `10.0.0.${index + 1}`, metadata: { name } }),
    );
    const clock = { now: () => this.#time };
    this.registry = createRegistry(createMemoryStore(), { clock, author: 'me@here' });
    this.#ports = {
      registry: this.registry,
      clock,
      observer: { id: 'me', uptime: clock },
      machines: this.machines.map(({ machine }) => machine),
      agentTtlMs: TTL_MS,
      cutOff: 0.5,
      emit: () => undefined,
      driver: {
        connect: ({ name }) => this.#session(name),
        journal: async () => {
          throw new Error('a simulated machine has no journal');
        },
        close: async () => undefined,
      },
    };
  }

  close(): void {
    rmSync(this.#folder, { recursive: true });
  }

  /** One pass over everything, as in a controller. */
  pass(): Promise<ReconcileReport> {
    this.#time += 1000;
    return reconcile(this.#ports, 'everything');
  }

  /** A command, a trigger, an action on a machine, or a fault. */
  async act(): Promise<RequestResult | undefined> {
    const random = this.#random;
    const machine = pick(random, this.machines);
    const name = pick(random, NAMES);
    const dice = random();
    this.#time += 1000;
    if (dice < 0.55) return this.#command();
    if (dice < 0.65)
      return this.#note(`${machine.machine.name}: ${name} is triggered`, () => machine.trigger(name));
    if (dice < 0.72)
      return this.#note(`${machine.machine.name}: systemctl start ${name}`, () => machine.start(name));
    if (dice < 0.76)
      return this.#note(`${machine.machine.name}: systemctl stop ${name}`, () => machine.stop(name));
    if (dice < 0.82) return this.#note(`${machine.machine.name}: ${name} dies`, () => machine.kill(name));
    if (dice < 0.88) return this.#note(`${machine.machine.name}: oneshots end`, () => machine.finish());
    if (dice < 0.93) return this.#note(`${machine.machine.name} reboots`, () => machine.reboot());
    return this.#note(
      `${machine.machine.name} ${machine.isUnreachable ? 'becomes reachable' : 'becomes unreachable'}`,
      () => {
        machine.isUnreachable = !machine.isUnreachable;
      },
    );
  }

  /** The target states and the units on every machine, for the message of a failure. */
  async describe(): Promise<string> {
    const { units } = await this.registry.load();
    const wanted = [...units.values()].map(
      ({ name, target, machine, text }) =>
        `${name} ${target} ${machine?.slice(0, 4) ?? ''}\n  ${text.trim().replaceAll('\n', '\n  ')}`,
    );
    const there = this.machines.flatMap(({ machine, units: here }) =>
      [...here].map(([name, { active, record }]) => `${machine.name} ${name} ${active} ${record?.target}`),
    );
    return [...this.events, ...wanted, ...there].join('\n');
  }

  /** All machines are reachable, and there are no more events. */
  settle(): void {
    for (const machine of this.machines) {
      machine.isUnreachable = false;
      machine.finish();
    }
    this.#time += 10 * TTL_MS;
  }

  #note(what: string, act: () => unknown): undefined {
    this.events.push(what);
    act();
    return undefined;
  }

  async #command(): Promise<RequestResult | undefined> {
    const random = this.#random;
    const units = NAMES.filter(() => random() < 0.35);
    if (units.length === 0) return undefined;
    const verb = pick(random, [
      'start',
      'start',
      'load',
      'stop',
      'unload',
      'destroy',
      'restart',
      'replace',
    ] as const);
    const isSubmitted = verb === 'start' || verb === 'load' || verb === 'replace';
    if (isSubmitted) for (const unit of units) writeFileSync(join(this.#folder, unit), this.#text(unit));
    this.events.push(`${verb} ${units.join(' ')}`);
    const request = { units, cwd: this.#folder, replace: verb === 'replace' || random() < 0.3 };
    const ports = this.#ports;
    const run: Readonly<Record<typeof verb, () => Promise<RequestResult>>> = {
      start: () => start(ports, request),
      load: () => load(ports, request),
      replace: () => submitUnits(ports, request),
      stop: () => stop(ports, units),
      unload: () => unload(ports, units),
      destroy: () => destroy(ports, units),
      restart: () => restart(ports, units, 1),
    };
    return await run[verb]();
  }

  #text(name: string): string {
    const random = this.#random;
    const others = NAMES.filter((other) => other !== name);
    const kind = pick(random, KINDS);
    const peers = others.filter((other) => other.endsWith(PEERS.get(kind) ?? ''));
    const peer = pick(random, peers.length === 0 ? others : peers);
    const word = kind === 'RequiresMountsFor' ? '/f' : peer;
    const tie = kind === '' ? [] : [`${kind}=${word}`];
    const section = SECTIONS.get(kind);
    const lines = [`# ${Math.floor(random() * 3)}`, '[Unit]', 'Description=x'];
    if (section === undefined) lines.push(...tie);
    if (name.endsWith('.service')) {
      const main = pick(random, ['/bin/sleep infinity', '/bin/sleep infinity', '/bin/false']);
      lines.push('[Service]', ...(random() < 0.3 ? ['Type=oneshot'] : []), `ExecStart=${main}`);
      if (section === 'Service') lines.push(...tie);
    }
    if (name.endsWith('.timer')) lines.push('[Timer]', 'OnActiveSec=1h');
    if (name.endsWith('.socket')) lines.push('[Socket]', 'ListenStream=/run/x');
    if (name.endsWith('.mount')) lines.push('[Mount]', 'What=tmpfs', 'Where=/f');
    if (section === 'Install') lines.push('[Install]', ...tie);
    else if (random() < 0.15) lines.push('[Install]', 'WantedBy=multi-user.target');
    lines.push('[X-Fleet]');
    if (random() < 0.15) lines.push('Global=true');
    else if (kind !== '' && random() < 0.6) lines.push(`MachineOf=${peer}`);
    else if (random() < 0.2) lines.push(`MachineMetadata=name=${pick(random, this.machines).machine.name}`);
    return `${lines.join('\n')}\n`;
  }

  #session(name: string): MachineSession {
    const machine = this.machines.find((each) => each.machine.name === name);
    if (machine === undefined) throw new Error(`no machine ${name}`);
    return {
      ask: answering<typeof observeQuery>({
        observation(request) {
          if (machine.isUnreachable) throw new FleetError('ssh-timeout', `Cannot reach machine "${name}"`);
          return machine.observe(request);
        },
      }),
      change: async (changes, clusterId) => machine.change(changes, clusterId),
      ended: new Promise(() => undefined),
      close: () => undefined,
    };
  }
}
