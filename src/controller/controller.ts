import { setMaxListeners } from 'node:events';
import { asFleetError, FleetError, isFleetError } from '../base/errors.ts';
import { heldUntil } from '../cluster/lease.ts';
import type { ClusterSnapshot, MachineView } from '../cluster/snapshot.ts';
import type { Machine } from '../machine/machine.ts';
import type { ControllerEvent, Emit } from '../reconcile/events.ts';
import { machineEdits, unseenBy } from '../reconcile/observe.ts';
import { comparedRegistry, refuseOutdated } from '../reconcile/outdated.ts';
import type { PassRequest, ReconcileReport } from '../reconcile/pass.ts';
import type { Ports } from '../reconcile/ports.ts';
import { snapshotOf } from '../reconcile/snapshot.ts';
import { trustedViews } from '../reconcile/trust.ts';
import { lookForFormer, tendVoters } from '../reconcile/voters.ts';
import { asProposed, clusterMachines } from '../registry/inventory.ts';
import type { Registry } from '../registry/registry.ts';
import type { RegistryView } from '../registry/view.ts';
import { ChangeNotifier } from './change-notifier.ts';
import { CommandsElsewhere } from './commands-elsewhere.ts';
import { Leases } from './leases.ts';
import { MachineWatch, type WatchOptions } from './machine-watch.ts';
import { Passes } from './passes.ts';
import { toDo } from './to-do.ts';
import { machineTroubles, type Trouble, troubleOf } from './trouble.ts';
import { WakeUp } from './waiting.ts';
import { Watches } from './watches.ts';

export type ControllerOptions = {
  /** Its clock must be monotonic, because it measures how long machines are unreachable. */
  readonly ports: Omit<Ports, 'emit' | 'leases'>;
  /** The interval of observations of each machine, in ms. */
  readonly intervalMs: number;
  /** The limit of an observation, in ms. */
  readonly deadlineMs: number;
  /** Whether this controller may decide now. */
  readonly leads: () => boolean;
  readonly emit: (event: ControllerEvent) => void;
  /** The longest `agent_ttl` of this process so far, in ms; that of `ports` by default. */
  readonly formerTtlMs?: number;
};

/** A pass that a command asks for once. */
type Turn = {
  /** Rejects as a pass does, and with FleetError `endpoint` if this controller cannot run it. */
  run(request: PassRequest, emit: Emit, signal: AbortSignal): Promise<ReconcileReport>;
  end(): void;
};

/** How many commands may have turns at once. */
const MOST_TURNS = 64;

/** The longest sleep, in ms: a process that wakes up much later was paused. */
const TICK_MS = 1_000;

/** The interval of looks at the voters, in ms. */
const VOTERS_MS = 5_000;

/** After how long an iteration of the loop counts as hanging, in ms: a change of the registry takes at most 10 s. */
const AWAKE_MS = 30_000;

/**
 * The control loop: watches every machine and the registry, and begins passes over the units that need one, after a change
 * or when time requires it. A machine that hangs delays no other machine.
 */
export class Controller {
  readonly #options: ControllerOptions;
  readonly #ports: Omit<Ports, 'emit'>;
  readonly #leases: Leases;
  readonly #watches: Watches;
  readonly #elsewhere = new CommandsElsewhere();
  readonly #passes: Passes;
  readonly #notifier: ChangeNotifier;
  readonly #wakeUp = new WakeUp();
  #registry: RegistryView | undefined;
  /** Whether every machine was observed or unreachable at least once. */
  #hasObserved: boolean = false;
  #awakeAt: number;
  #loopedAt: number;
  /** The length of a pause that has not been handled yet, in ms. */
  #pausedMs = 0;
  /** Commands whose passes run or follow. */
  readonly #turns = new Set<Turn>();
  #isEnding: boolean = false;
  /** Why the last decision failed. */
  #decisionError: FleetError | undefined;
  /** When time alone requires a decision, epoch ms. */
  #due = 0;

  constructor(options: ControllerOptions) {
    const { intervalMs, deadlineMs, leads, emit, formerTtlMs } = options;
    const { driver, clock, agentTtlMs } = options.ports;
    const leases = new Leases({ clock, agentTtlMs, leads, formerTtlMs });
    const registry = this.#elsewhere.watch(options.ports.registry);
    const ports = { ...options.ports, registry, leases: () => leases.ends };
    const wake = (): void => this.wake();
    const watchOptions = { driver, clock, intervalMs, deadlineMs, onChange: wake };
    const watchOf = (machine: Machine): MachineWatch => {
      const { name } = machine;
      const onLease = (error: FleetError | undefined): void => this.#notifier.lease(name, error);
      // A machine that answers with the id of another one must not extend the lease of that one.
      const grant: WatchOptions['grant'] = (answer) =>
        this.#registry?.machines.get(name)?.id === answer.observation.id ? leases.grant(answer) : undefined;
      const unseen: WatchOptions['unseen'] = (observation) =>
        this.#registry === undefined ? [] : unseenBy(observation, this.#registry);
      return new MachineWatch(machine, { ...watchOptions, unseen, grant, onLease });
    };
    this.#options = options;
    this.#ports = ports;
    this.#leases = leases;
    this.#watches = new Watches(asProposed(ports.machines), watchOf);
    this.#passes = new Passes({
      ...{ ports, watches: this.#watches.byName, deadlineMs, emit, onDone: wake },
      elsewhere: this.#elsewhere,
      snapshot: (registry) => this.#snapshot(registry),
    });
    this.#notifier = new ChangeNotifier(emit);
    this.#awakeAt = clock.now();
    this.#loopedAt = clock.now();
  }

  /** The registry, for requests to this process: it does not wait for another one to execute what is changed through it. */
  get registry(): Registry {
    return this.#ports.registry;
  }

  /** The latest snapshot; undefined before every machine was observed once and the registry was read. */
  get snapshot(): ClusterSnapshot | undefined {
    return this.#registry === undefined ? undefined : this.snapshotWith(this.#registry);
  }

  /** The same with a view of the registry that may be newer than that of this controller. */
  snapshotWith(registry: RegistryView): ClusterSnapshot | undefined {
    return this.#registry === undefined || !this.#hasObserved ? undefined : this.#snapshot(registry);
  }

  /** Epoch ms of the oldest observation of a reachable machine in the snapshot. */
  get seenAt(): number {
    const answers = this.#watches.all.filter(({ unreachable }) => unreachable === undefined);
    return Math.min(this.#now(), ...answers.map(({ seenAt }) => seenAt));
  }

  /** The present problems, as leader or as standby. */
  get troubles(): readonly Trouble[] {
    const { registryError } = this.#notifier;
    const views = this.#registry === undefined ? this.#seen : this.#views(this.#registry);
    return [
      ...(registryError === undefined ? [] : [troubleOf('the registry cannot be read', registryError)]),
      ...(this.#hasObserved ? machineTroubles(views) : []),
      ...[...(this.#registry?.unreadable ?? [])].map(([unit, error]) =>
        troubleOf(`unit ${unit} is left as it is`, error),
      ),
      ...(this.#decisionError === undefined
        ? []
        : [troubleOf('nothing can be decided', this.#decisionError)]),
      ...this.#passes.troubles,
    ];
  }

  /** Observes every machine again; resolves when the result is known for each that was reachable the last time. */
  async observe(): Promise<void> {
    await Promise.all(
      this.#watches.all.map((watch) => {
        const observed = watch.observe();
        return watch.unreachable === undefined ? observed : undefined;
      }),
    );
  }

  /**
   * The turn of a command that is about to change the registry. The units that it changes are left to it for a moment.
   * Undefined if this controller cannot run it: it does not lead, is ending, or runs too many already.
   */
  takeTurn(): Turn | undefined {
    const registry = this.#registry;
    if (registry === undefined || !this.#mayRun() || this.#turns.size >= MOST_TURNS) return undefined;
    const announced = this.#elsewhere.announce(registry.token, () => this.#snapshot(registry));
    const turn: Turn = {
      run: (request, emit, signal) => {
        if (!this.#mayRun()) throw new FleetError('endpoint', 'fleetd does not run passes any more');
        const pass = this.#passes.command(request, emit, signal);
        this.#elsewhere.ask(announced);
        return pass;
      },
      end: () => {
        this.#turns.delete(turn);
        if (this.#elsewhere.abandon(announced, this.#now())) this.wake();
      },
    };
    this.#turns.add(turn);
    return turn;
  }

  /** Resolves when every machine has been observed once. */
  get whenReady(): Promise<void> {
    return Promise.all(this.#watches.all.map(({ whenSeen }) => whenSeen)).then(() => undefined);
  }

  /** Whether the loop has run recently, for a watchdog. */
  get isAwake(): boolean {
    return this.#now() - this.#loopedAt < AWAKE_MS;
  }

  /** Requests a decision, for example after a change of leadership. */
  wake(): void {
    this.#wakeUp.request();
  }

  /**
   * Runs until `signal` is raised and the running passes have ended. Until then machines are observed, which extends their
   * leases. Units on machines keep running.
   */
  async run(signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    // Every watch adds a listener; Node warns about more than ten.
    setMaxListeners(0, over.signal);
    this.#watches.run(over.signal);
    try {
      await this.#loop(signal);
    } finally {
      over.abort();
    }
    await this.#watches.ended();
  }

  async #loop(signal: AbortSignal): Promise<void> {
    const following = Promise.all([this.#followRegistry(signal), this.#tendVoters(signal)]);
    await this.whenReady;
    this.#hasObserved = true;
    const tick = setInterval(() => this.#checkPause(), TICK_MS);
    let hasLed: boolean = false;
    while (!signal.aborted) {
      await this.#catchUp();
      this.#loopedAt = this.#now();
      const { leads } = this.#leases;
      // Leases of the former leader are extended before they end.
      if (leads && !hasLed) void this.observe();
      hasLed = leads;
      this.#notifier.leads(leads);
      if (this.#wakeUp.take() || this.#now() >= this.#due) await this.#decide();
      await this.#wakeUp.sleep(Math.min(this.#due - this.#now(), TICK_MS), signal);
    }
    this.#isEnding = true;
    clearInterval(tick);
    await Promise.all([this.#passes.idle(), following]);
  }

  #mayRun(): boolean {
    return this.#hasObserved && !this.#isEnding && this.#options.leads();
  }

  #checkPause(): void {
    const ms = this.#now() - this.#awakeAt;
    this.#awakeAt = this.#now();
    if (ms < TICK_MS + this.#options.ports.agentTtlMs / 2) return;
    this.#pausedMs = ms;
    this.wake();
  }

  /** After a pause, unreachable machines count from now on, and are observed again before a decision. */
  async #catchUp(): Promise<void> {
    this.#checkPause();
    if (this.#pausedMs === 0) return;
    this.#options.emit({ kind: 'paused', ms: this.#pausedMs });
    this.#pausedMs = 0;
    for (const watch of this.#watches.all) watch.resetUnreachable();
    this.#leases.reset();
    await this.observe();
  }

  async #followRegistry(signal: AbortSignal): Promise<void> {
    const { registry } = this.#options.ports;
    const retry = new WakeUp();
    while (!signal.aborted) {
      try {
        const view = await registry.load();
        this.#notifier.registry(undefined);
        await this.#watches.follow(clusterMachines(view, this.#ports.machines));
        this.#registry = view;
        this.wake();
        await registry.waitForChange(view, signal);
      } catch (error) {
        if (!isFleetError(error)) throw error;
        this.#notifier.registry(error);
        await retry.sleep(TICK_MS, signal);
      }
    }
  }

  /** Without a command, too: a voter may be lost at any time. */
  async #tendVoters(signal: AbortSignal): Promise<void> {
    const pause = new WakeUp();
    while (!signal.aborted && this.#ports.voters !== undefined) {
      await pause.sleep(VOTERS_MS, signal);
      const registry = this.#registry;
      if (registry === undefined || this.#notifier.registryError !== undefined || !this.#mayRun()) continue;
      const ports = { ...this.#ports, emit: this.#options.emit };
      const snapshot = this.#snapshot(registry);
      await lookForFormer(ports, snapshot, registry);
      await tendVoters(ports, snapshot, registry);
    }
  }

  async #decide(): Promise<void> {
    this.#notifier.units(this.#seen);
    const leads = this.#options.leads();
    if (!leads) this.#passes.forget();
    if (this.#registry === undefined || this.#notifier.registryError !== undefined || !leads) {
      this.#decisionError = undefined;
      this.#due = Number.POSITIVE_INFINITY;
      return;
    }
    try {
      const registry = await this.#storeReachability(this.#registry);
      await this.#admit(registry);
      const snapshot = this.#snapshot(registry);
      const { groups, decisions } = toDo(snapshot);
      this.#notifier.machines(snapshot);
      this.#notifier.decisions(decisions, snapshot);
      this.#passes.begin(groups, snapshot);
      this.#due = this.#deadline(snapshot);
      this.#decisionError = undefined;
    } catch (reason) {
      const error = asFleetError(reason);
      const again = this.#decisionError?.message === error.message;
      this.#decisionError = error;
      this.#options.emit({ kind: 'pass-failed', units: [], error, again });
      this.#due = this.#now() + TICK_MS;
    }
  }

  /** Stores which machines became unreachable and reachable, so that every pass and every command counts the same time. */
  async #storeReachability(registry: RegistryView): Promise<RegistryView> {
    const views = this.#views(registry);
    const { ports } = this.#options;
    if (registry.clusterId === undefined || machineEdits(views, registry, ports).length === 0)
      return registry;
    const compared = comparedRegistry(ports.registry, () => views, refuseOutdated);
    this.#registry = await compared.update((view) => machineEdits(views, view, ports));
    return this.#registry;
  }

  /** Admits machines to leases, by a registry that is read while no pass over fenced units is running. */
  async #admit(registry: RegistryView): Promise<void> {
    const views = this.#views(registry);
    this.#leases.dismiss(views);
    if (this.#leases.want(registry)) void this.observe();
    const isFenced = (unit: string): boolean => registry.units.get(unit)?.placement.fence !== undefined;
    const waits = this.#leases.waiting(views, registry).length > 0;
    if (!waits || this.#passes.isBusy(isFenced)) return;
    const latest = await this.#options.ports.registry.load();
    const admitted = this.#leases.waiting(this.#views(latest), latest);
    this.#leases.admit(admitted);
    for (const { machine } of admitted) void this.#watches.byName.get(machine.name)?.observe();
  }

  #snapshot(registry: RegistryView): ClusterSnapshot {
    return snapshotOf(this.#ports, registry, this.#views(registry));
  }

  get #seen(): readonly MachineView[] {
    return this.#watches.all.flatMap(({ view }) => view ?? []);
  }

  /** The view of every machine; the registry has the ids of machines that were unreachable since the start. */
  #views(registry: RegistryView): readonly MachineView[] {
    const seen = this.#seen;
    const names = new Set(seen.map(({ machine }) => machine.name));
    const unseen = clusterMachines(registry, this.#ports.machines)
      .filter(({ name }) => !names.has(name))
      .map((machine) => notSeen(machine, registry, this.#now()));
    return trustedViews([...seen, ...unseen], registry, this.#now());
  }

  /** The next time at which a machine has been unreachable or back for long enough, or a unit may be tried again. */
  #deadline({ machines, units, agentTtlMs, now, leases }: ClusterSnapshot): number {
    const unreachable = machines.filter(({ unreachable }) => unreachable !== undefined);
    const turns = [
      ...machines
        .flatMap(({ unreachable, backSince }) => unreachable?.since ?? backSince ?? [])
        .map((since) => since + agentTtlMs),
      ...units
        .filter(({ placement, target }) => placement.fence !== undefined && target !== 'inactive')
        .flatMap((unit) => unreachable.map(({ id }) => heldUntil(unit, id, leases))),
    ].filter((turn) => turn > now);
    return Math.min(this.#passes.nextTry(now), ...turns);
  }

  #now(): number {
    return this.#options.ports.clock.now();
  }
}

/** A machine that was added to the registry a moment ago. No unit leaves it. */
function notSeen(machine: Machine, { machines }: RegistryView, now: number): MachineView {
  const message = `Machine "${machine.name}" has not been observed yet`;
  const unreachable = { since: now, code: 'machine-unseen', message, hint: undefined };
  return { machine, id: machines.get(machine.name)?.id, unreachable };
}
