import { FleetError } from '../../src/base/errors.ts';
import { sha256 } from '../../src/base/hash.ts';
import { isUp } from '../../src/cluster/unit-state.ts';
import { releaseEdits } from '../../src/operations/submit.ts';
import type { ReconcileReport } from '../../src/reconcile/pass.ts';
import type { Ports } from '../../src/reconcile/ports.ts';
import { reconcile } from '../../src/reconcile/reconcile.ts';
import { createRegistry, type Registry } from '../../src/registry/registry.ts';
import type { MachineSession } from '../../src/systemd/driver.ts';
import type { observeQuery } from '../../src/systemd/observation.ts';
import { hashUnitFile, parseUnitFile } from '../../src/unit/unit-file.ts';
import { NOW, TTL_MS } from '../support/builders.ts';
import { answering } from '../support/fake-session.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { pick, seeded } from '../support/random.ts';
import { SimSystemd } from './systemd.ts';

/** The end of a process by kill -9. */
class Killed extends Error {}

type CopyOf = { readonly unit: string; readonly sim: SimSystemd };

/** A global unit, or the instances of a template, on two to seven machines. It counts the copies that are down at once. */
export class RolloutWorld {
  readonly machines: readonly SimSystemd[];
  readonly limit: number;
  readonly events: string[] = [];
  mostDown = 0;
  readonly #registry: Registry;
  readonly #ports: Ports;
  readonly #random: () => number;
  readonly #units: readonly string[];
  readonly #option: string;
  readonly #changing = new Set<string>();
  /** After so many changes the process ends; it may end before a machine makes the last one. */
  #left = Number.POSITIVE_INFINITY;
  #time = NOW;

  constructor(seed: number) {
    this.#random = seeded(seed);
    const random = this.#random;
    const count = 2 + Math.floor(random() * 6);
    const names = Array.from({ length: count }, (_, index) => `m${index + 1}`);
    this.machines = names.map(
      (name, index) =>
        new SimSystemd({ name, address: `10.0.0.${index + 1}`, metadata: { half: `${index % 2}` } }),
    );
    this.#units = random() < 0.5 ? ['g.service'] : names.map((_, index) => `w@${index + 1}.service`);
    [this.#option, this.limit] = pick(random, [
      ['1', 1],
      ['2', 2],
      ['50%', Math.max(1, Math.floor(count / 2))],
    ] as const);
    const clock = { now: () => this.#time };
    this.#registry = createRegistry(createMemoryStore(), { clock, author: 'me@here' });
    this.#ports = {
      registry: this.#registry,
      clock,
      observer: { id: 'me', uptime: clock },
      machines: this.machines.map(({ machine }) => machine),
      agentTtlMs: TTL_MS,
      cutOff: 0.5,
      emit: (event) => {
        if (event.kind === 'outcome')
          this.events.push(`${event.machine} ${event.unit} ${event.failure?.code ?? 'done'}`);
      },
      driver: {
        connect: ({ name }) => this.#session(name),
        journal: async () => {
          throw new Error('a simulated machine has no journal');
        },
        close: async () => undefined,
      },
    };
  }

  /** The first text is up everywhere. */
  async begin(): Promise<void> {
    await this.replace('first');
    await this.pass();
    this.mostDown = 0;
  }

  /** A command stores another text, whose ExecStart= has the word. */
  async replace(word: string, options = ''): Promise<void> {
    this.events.push(`replace ${word}`);
    const place = this.isGlobal ? 'Global=true' : 'Conflicts=w@*.service';
    const text = `[Service]\nExecStart=${word}\n[X-Fleet]\n${place}\nMaxParallel=${this.#option}\n${options}\n`;
    const hash = hashUnitFile(parseUnitFile(text));
    await this.#registry.update((view) =>
      this.#units.map((name) => {
        const { machine } = view.units.get(name) ?? {};
        const unit = { name, text, hash, digest: sha256(text), target: 'launched' as const, machine };
        return { kind: 'put-unit', unit: { ...unit, fromTemplate: true } };
      }),
    );
  }

  /** A command lets the text be tried again. */
  async release(): Promise<void> {
    await this.#registry.update((view) => releaseEdits(this.#units.slice(0, 1), view));
  }

  async history(): Promise<readonly string[]> {
    const view = await this.#registry.load();
    const [unit = ''] = this.#units;
    return view.history(unit).map(({ digest }) => view.verdicts(unit)[digest]?.kind ?? 'untried');
  }

  /** One pass over everything by a new process. */
  async pass(): Promise<ReconcileReport> {
    this.#time += 1000;
    this.#left = Number.POSITIVE_INFINITY;
    this.events.push('pass');
    return reconcile(this.#ports, 'everything');
  }

  /** A pass whose process ends after a random number of changes; resolves with 1 if it did. */
  async interruptedPass(): Promise<number> {
    this.#time += 1000;
    this.#left = Math.floor(this.#random() * (this.machines.length + 1));
    this.events.push(`pass that ends after ${this.#left} changes`);
    try {
      await reconcile(this.#ports, 'everything');
      return 0;
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
      this.#changing.clear();
      return 1;
    }
  }

  get isGlobal(): boolean {
    return this.#units.length === 1;
  }

  copies(): readonly CopyOf[] {
    return this.machines.flatMap((sim) =>
      this.#units.filter((unit) => sim.units.get(unit)?.record !== undefined).map((unit) => ({ unit, sim })),
    );
  }

  /** The run of every copy. */
  runs(): readonly { readonly key: string; readonly run: number | undefined }[] {
    return this.copies().map(({ unit, sim }) => ({
      key: `${sim.machine.name} ${unit}`,
      run: sim.units.get(unit)?.run,
    }));
  }

  /** The words of all texts. */
  texts(): ReadonlySet<string> {
    return new Set(
      this.copies().map(
        ({ unit, sim }) => /ExecStart=(\S+)/.exec(sim.units.get(unit)?.text ?? '')?.[1] ?? '',
      ),
    );
  }

  /** Reboots the machines of copies, by the keys of {@link runs}. */
  reboot(keys: readonly string[]): void {
    for (const { unit, sim } of this.copies()) if (keys.includes(`${sim.machine.name} ${unit}`)) sim.reboot();
  }

  withText(word: string): readonly string[] {
    const copies = this.copies().filter(({ unit, sim }) => sim.units.get(unit)?.text?.includes(word));
    return copies.map(({ unit, sim }) => `${sim.machine.name} ${unit}`);
  }

  #session(name: string): MachineSession {
    const sim = this.machines.find((each) => each.machine.name === name);
    if (sim === undefined) throw new Error(`no machine ${name}`);
    return {
      ask: answering<typeof observeQuery>({
        observation(request) {
          if (sim.isUnreachable) throw new FleetError('ssh-timeout', `Cannot reach machine "${name}"`);
          return sim.observe(request);
        },
      }),
      change: async (changes, clusterId) => {
        const stops = changes.filter(({ steps }) => steps.some(({ kind }) => kind === 'stop'));
        const keys = stops.map(({ unit }) => `${name} ${unit}`);
        for (const key of keys) this.#changing.add(key);
        // All changes of a wave are under way at once.
        await Promise.resolve();
        this.#count();
        const isLast = --this.#left < 0;
        if (isLast && this.#random() < 0.5) throw new Killed();
        // A process that ends does not see whether the units settle.
        sim.settles = !isLast;
        const outcomes = sim.change(changes, clusterId);
        if (isLast) throw new Killed();
        for (const key of keys) this.#changing.delete(key);
        return outcomes;
      },
      ended: new Promise(() => undefined),
      close: () => undefined,
    };
  }

  #count(): void {
    const down = this.copies().filter(
      ({ unit, sim }) =>
        this.#changing.has(`${sim.machine.name} ${unit}`) || sim.isUnreachable || !isUp(sim.state(unit)),
    );
    this.mostDown = Math.max(this.mostDown, down.length);
  }
}
