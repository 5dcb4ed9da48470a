import { asFleetError, FleetError } from '../base/errors.ts';
import { type ClusterSnapshot, tokenOf } from '../cluster/snapshot.ts';
import type { ControllerEvent, Emit } from '../reconcile/events.ts';
import type { PassRequest, ReconcileReport } from '../reconcile/pass.ts';
import type { Ports } from '../reconcile/ports.ts';
import { reconcile } from '../reconcile/reconcile.ts';
import { clusterMachines } from '../registry/inventory.ts';
import type { Registry } from '../registry/registry.ts';
import type { RegistryView } from '../registry/view.ts';
import type { Waits } from '../systemd/change-jobs.ts';
import type { CommandsElsewhere } from './commands-elsewhere.ts';
import { machinesToObserve, wasOutdated } from './fresh.ts';
import type { MachineWatch } from './machine-watch.ts';
import { passDriver } from './pass-driver.ts';
import type { Group } from './to-do.ts';
import { type Trouble, troubleOf } from './trouble.ts';
import { Backoff } from './waiting.ts';

export type PassesOptions = {
  readonly ports: Omit<Ports, 'emit'>;
  readonly watches: ReadonlyMap<string, MachineWatch>;
  readonly deadlineMs: number;
  /** The last observations of all machines, with a registry. */
  readonly snapshot: (registry: RegistryView) => ClusterSnapshot;
  /** The commands that run passes without this controller, or have announced theirs. */
  readonly elsewhere: CommandsElsewhere;
  readonly emit: (event: ControllerEvent) => void;
  /** Called after a pass, when every machine that it changed has been observed again. */
  readonly onDone: () => void;
};

/** After how many failed passes in a row a unit counts as a trouble. */
const TROUBLE = 3;
/** How many units a trouble names. */
const NAMED = 3;

/** How many decisions and outcomes are remembered. */
const MOST_REMEMBERED = 10_000;

/** How many passes run at once, each for other units. */
const MOST = 8;

type EventOf<K extends ControllerEvent['kind']> = Extract<ControllerEvent, { kind: K }>;

type Running = { readonly units: ReadonlySet<string>; readonly isCommand: boolean };

/** The passes of a controller. They run concurrently; a unit is in one at a time, and beside it in those of commands. */
export class Passes {
  readonly #options: PassesOptions;
  readonly #backoff = new Backoff();
  /** Units whose last pass ended with an error. */
  readonly #broken = new Map<string, { readonly error: FleetError; readonly times: number }>();
  readonly #running = new Map<Promise<void>, Running>();
  /** The units that are left to commands of other processes, and until when, epoch ms. */
  #left: ReadonlyMap<string, number> = new Map();
  /** The last outcome of each unit on each machine, and the last decision about each unit that has failed. */
  readonly #last = new Map<string, string>();

  constructor(options: PassesOptions) {
    this.#options = options;
  }

  /** Begins passes over the groups, up to the limit; the end of a pass begins the next one. */
  begin(groups: readonly Group[], snapshot: ClusterSnapshot): void {
    this.#left = this.#options.elsewhere.unitsOf(snapshot);
    const isFree = (unit: string): boolean =>
      !this.#left.has(unit) &&
      !this.#isBusy(unit) &&
      !this.#backoff.isWaiting(unit, tokenOf(unit, snapshot), snapshot.now);
    for (const { units, machines } of groups) {
      for (const part of this.#separate([...units].filter(isFree))) {
        if ([...this.#running.values()].filter(({ isCommand }) => !isCommand).length >= MOST) return;
        this.#track({ units: part, isCommand: false }, this.#pass(part, machines));
      }
    }
  }

  /** Units whose passes fail repeatedly. */
  get troubles(): readonly Trouble[] {
    const byMessage = new Map<string, { readonly error: FleetError; readonly units: string[] }>();
    for (const [unit, { error, times }] of this.#broken) {
      const same = byMessage.get(error.message) ?? { error, units: [] };
      if (times >= TROUBLE) byMessage.set(error.message, { error, units: [...same.units, unit] });
    }
    return [...byMessage.values()].map(({ error, units }) => {
      const more = units.length > NAMED ? ` and ${units.length - NAMED} more` : '';
      return troubleOf(`passes over ${units.slice(0, NAMED).join(', ')}${more} fail`, error);
    });
  }

  /** Forgets failures, after another controller has become the leader. */
  forget(): void {
    this.#broken.clear();
    this.#left = new Map();
    this.#options.elsewhere.forget();
  }

  /** A unit whose last pass ended with an error gets a separate pass, so that it does not stop others. */
  #separate(units: readonly string[]): readonly ReadonlySet<string>[] {
    const sound = units.filter((unit) => !this.#broken.has(unit));
    const broken = units.filter((unit) => this.#broken.has(unit));
    return [sound, ...broken.map((unit) => [unit])]
      .filter(({ length }) => length > 0)
      .map((part) => new Set(part));
  }

  /** Whether a pass over such a unit is running. */
  isBusy(isMeant: (unit: string) => boolean): boolean {
    return [...this.#running.values()].some(({ units }) => [...units].some(isMeant));
  }

  /** When the next unit that failed or is left to a command may be tried, epoch ms; Infinity if there is none. */
  nextTry(now: number): number {
    return Math.min(this.#backoff.next(now), ...[...this.#left.values()].filter((until) => until > now));
  }

  /** Resolves when every pass is over. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running.keys());
  }

  #track(work: Running, pass: Promise<void>): void {
    const running = pass.finally(() => {
      this.#running.delete(running);
      this.#options.onDone();
    });
    this.#running.set(running, work);
  }

  #isBusy(unit: string): boolean {
    return [...this.#running.values()].some(({ units }) => units.has(unit));
  }

  async #pass(units: ReadonlySet<string>, fresh: ReadonlySet<string>): Promise<void> {
    const { ports } = this.#options;
    const driver = passDriver(this.#options, fresh);
    const emit = (event: ControllerEvent): void => this.#emit(event);
    try {
      const report = await reconcile({ ...ports, driver, emit }, units);
      this.#learn(report, units);
      await this.#observe(new Set([...fresh, ...report.plans.map(({ machine }) => machine)]));
    } catch (reason) {
      const error = asFleetError(reason);
      const now = ports.clock.now();
      const again = [...units].every((unit) => this.#broken.get(unit)?.error.message === error.message);
      for (const unit of units) {
        this.#backoff.failed(unit, undefined, now);
        this.#broken.set(unit, { error, times: (this.#broken.get(unit)?.times ?? 0) + 1 });
      }
      emit({ kind: 'pass-failed', units: [...units], error, again });
    }
  }

  /**
   * Runs the pass of a command. It waits for no other pass over its units, which may be a start that hangs and that the
   * command stops. Rejects as a pass does, and with FleetError `endpoint` if the registry is not that of the command.
   */
  command(request: PassRequest, emit: Emit, signal: AbortSignal): Promise<ReconcileReport> {
    const { units } = request;
    const pass = this.#commanded(request, emit, signal);
    const after = pass.then(
      (report) => {
        this.#learn(report, units);
        return this.#observe(new Set(report.plans.map(({ machine }) => machine)));
      },
      () => undefined,
    );
    this.#track({ units, isCommand: true }, after);
    return pass;
  }

  /**
   * Decides on the last observations where they are enough. If a machine refuses a change because of what was not observed,
   * a second pass observes every machine.
   */
  async #commanded(request: PassRequest, emit: Emit, signal: AbortSignal): Promise<ReconcileReport> {
    const { ports } = this.#options;
    const { units, waits, author, ...options } = request;
    const end = performance.now() + (waits.ms ?? 0);
    const left = (): Waits => ({ ...waits, ms: waits.ms && Math.max(0, end - performance.now()) });
    const load = async (): Promise<RegistryView> => checked(await ports.registry.load(), request);
    const update: Registry['update'] = (decide) => ports.registry.update(decide, author);
    const told: Emit = (event) => {
      this.#emit(event);
      emit(event);
    };
    const pass = (fresh: ReadonlySet<string>): Promise<ReconcileReport> => {
      const driver = passDriver(this.#options, fresh, left);
      const registry = { ...ports.registry, load, update };
      return reconcile({ ...ports, registry, driver, emit: told }, units, { ...options, signal });
    };
    const view = await load();
    const all = new Set(clusterMachines(view, ports.machines).map(({ name }) => name));
    const fresh = machinesToObserve(this.#options.snapshot(view), units, options);
    const report = await pass(fresh);
    return fresh.size < all.size && wasOutdated(report) ? pass(all) : report;
  }

  async #observe(machines: ReadonlySet<string>): Promise<void> {
    await Promise.all([...machines].map((name) => this.#options.watches.get(name)?.observe()));
  }

  /**
   * Marks a repeated outcome or decision. A machine that forges records causes the same one in every pass, and so does a
   * move that fails.
   */
  #emit(event: ControllerEvent): void {
    const again =
      (event.kind === 'outcome' && this.#isRepeated(event)) ||
      (event.kind === 'decided' && this.#isDecidedAgain(event));
    this.#options.emit(again ? { ...event, again } : event);
  }

  #isRepeated({ unit, machine, state, failure }: EventOf<'outcome'>): boolean {
    const again = this.#remember(`${machine} ${unit}`, [state?.active, state?.sub, failure]);
    // An outcome with a state is always new, because the unit was started again.
    return again && state === undefined;
  }

  #isDecidedAgain({ unit, decision, from, to, because }: EventOf<'decided'>): boolean {
    return this.#remember(unit, [decision, from?.id, to?.id, because?.code]);
  }

  /** Whether the last value under the key was the same. */
  #remember(key: string, value: readonly unknown[]): boolean {
    const text = JSON.stringify(value);
    const isSame = this.#last.get(key) === text;
    if (this.#last.size >= MOST_REMEMBERED) this.#last.clear();
    this.#last.set(key, text);
    return isSame;
  }

  /** Resets the wait of units that succeeded, and extends that of units that failed. */
  #learn({ snapshot, decisions, outcomes }: ReconcileReport, units: ReadonlySet<string>): void {
    for (const unit of units) this.#broken.delete(unit);
    const now = this.#options.ports.clock.now();
    const failed = new Set([
      ...outcomes.filter(({ failure }) => failure !== undefined).map(({ unit }) => unit),
      ...decisions.filter(({ kind }) => kind === 'unschedulable').map(({ unit }) => unit),
    ]);
    // A failed move is reverted, which must not count as a new decision.
    const moved = new Set(decisions.flatMap(({ kind, unit }) => (kind === 'move' ? unit : [])));
    for (const name of units) {
      if (failed.has(name) && moved.has(name)) {
        this.#backoff.failed(name, undefined, now);
        continue;
      }
      if (failed.has(name)) {
        this.#backoff.failed(name, tokenOf(name, snapshot), now);
        continue;
      }
      this.#backoff.succeeded(name);
      this.#last.delete(name);
    }
  }
}

/**
 * Throws FleetError `endpoint` if the registry is not that of the request, or an older state of it. The tokens of a copy begin
 * elsewhere.
 */
function checked(view: RegistryView, { clusterId, revision, token }: PassRequest): RegistryView {
  const isCopy = token !== undefined && token - revision !== view.token - view.revision;
  if (view.clusterId === clusterId && view.revision >= revision && !isCopy) return view;
  throw new FleetError('endpoint', 'fleetd has another registry');
}
