import { setMaxListeners } from 'node:events';
import { asFleetError, type FleetError, isFleetError } from '../base/errors.ts';
import { heldUntil } from '../cluster/lease.ts';
import type { ClusterSnapshot, MachineView } from '../cluster/snapshot.ts';
import type { ControllerEvent } from '../reconcile/notice.ts';
import { machineEdits, unseenBy } from '../reconcile/observe.ts';
import { comparedRegistry, refuseOutdated } from '../reconcile/outdated.ts';
import { type Ports, snapshotOf } from '../reconcile/reconcile.ts';
import { trustedViews } from '../reconcile/trust.ts';
import type { RegistryView } from '../registry/view.ts';
import { Alarm } from './alarm.ts';
import { ChangeNotifier } from './change-notifier.ts';
import { Leases } from './leases.ts';
import { MachineWatch, type WatchOptions } from './machine-watch.ts';
import { Passes } from './passes.ts';
import { toDo } from './to-do.ts';
import { machineTroubles, type Trouble, troubleOf } from './trouble.ts';

export type ControllerOptions = {
  /** Its clock must not jump: silence is measured with it. */
  readonly ports: Omit<Ports, 'emit' | 'leases'>;
  /** How often each machine is asked, in ms. */
  readonly intervalMs: number;
  /** How long a machine may take to answer, in ms. */
  readonly deadlineMs: number;
  /** Whether this controller may decide at this moment. */
  readonly leads: () => boolean;
  readonly emit: (event: ControllerEvent) => void;
};

/** The longest sleep, in ms: a process that wakes much later than that was not awake. */
const TICK_MS = 1_000;

/** A loop that has not turned for so long, in ms, hangs: a registry has at most 10 s for a change. */
const AWAKE_MS = 30_000;

/**
 * The loop around the one pass: watches every machine, and when something has changed (on a machine, in the registry,
 * or because time has passed) begins passes over the units that need one. A machine that hangs delays nothing but
 * itself.
 */
export class Controller {
  readonly #options: ControllerOptions;
  readonly #ports: Omit<Ports, 'emit'>;
  readonly #leases: Leases;
  readonly #watches: ReadonlyMap<string, MachineWatch>;
  readonly #passes: Passes;
  readonly #notifier: ChangeNotifier;
  readonly #alarm = new Alarm();
  #registry: RegistryView | undefined;
  /** Whether every machine has answered, or has not, at least once. */
  #hasLooked: boolean = false;
  #awakeAt: number;
  #turnedAt: number;
  /** How long it did not run, in ms, when that has not been dealt with yet. */
  #pausedMs = 0;
  /** Why the last decision came to nothing. */
  #undecided: FleetError | undefined;
  /** When time alone changes what there is to do, epoch ms. */
  #due = 0;

  constructor(options: ControllerOptions) {
    const { intervalMs, deadlineMs, leads, emit } = options;
    const { driver, clock, agentTtlMs } = options.ports;
    const leases = new Leases({ clock, agentTtlMs, leads });
    const ports = { ...options.ports, leases: () => leases.ends };
    const wake = (): void => this.wake();
    const watchOptions = { driver, clock, intervalMs, deadlineMs, onChange: wake };
    const watches = ports.machines.map((machine) => {
      const { name } = machine;
      const onLease = (error: FleetError | undefined): void => this.#notifier.lease(name, error);
      // A machine that answers with the id of another one must not prolong the lease of that one.
      const grant: WatchOptions['grant'] = (observation, wasUnreachable) =>
        this.#registry?.machines.get(name)?.id === observation.id
          ? leases.grant(observation, wasUnreachable)
          : undefined;
      const unseen: WatchOptions['unseen'] = (observation) =>
        this.#registry === undefined ? [] : unseenBy(observation, this.#registry);
      return [name, new MachineWatch(machine, { ...watchOptions, unseen, grant, onLease })] as const;
    });
    this.#options = options;
    this.#ports = ports;
    this.#leases = leases;
    this.#watches = new Map(watches);
    this.#passes = new Passes({ ports, watches: this.#watches, deadlineMs, emit, onDone: wake });
    this.#notifier = new ChangeNotifier(emit);
    this.#awakeAt = clock.now();
    this.#turnedAt = clock.now();
  }

  /** The cluster as it was seen last; undefined before every machine was asked once and the registry was read. */
  get snapshot(): ClusterSnapshot | undefined {
    return this.#registry === undefined || !this.#hasLooked ? undefined : this.#snapshot(this.#registry);
  }

  /** Epoch ms of the oldest answer that the snapshot rests on; of machines that are silent nothing is claimed. */
  get seenAt(): number {
    const answers = [...this.#watches.values()].filter(({ unreachable }) => unreachable === undefined);
    return Math.min(this.#now(), ...answers.map(({ seenAt }) => seenAt));
  }

  /** What keeps it from its work at this moment: as leader, or from becoming one. */
  get troubles(): readonly Trouble[] {
    const { registryError } = this.#notifier;
    const views = this.#registry === undefined ? this.#seen : this.#views(this.#registry);
    return [
      ...(registryError === undefined ? [] : [troubleOf('the registry cannot be read', registryError)]),
      ...(this.#hasLooked ? machineTroubles(views) : []),
      ...[...(this.#registry?.unreadable ?? [])].map(([unit, error]) =>
        troubleOf(`unit ${unit} is left as it is`, error),
      ),
      ...(this.#undecided === undefined ? [] : [troubleOf('nothing can be decided', this.#undecided)]),
      ...this.#passes.troubles,
    ];
  }

  /** Asks every machine again; resolves when each that answered the last time has answered, or has not. */
  async look(): Promise<void> {
    await Promise.all(
      [...this.#watches.values()].map((watch) => {
        const looked = watch.look();
        return watch.unreachable === undefined ? looked : undefined;
      }),
    );
  }

  /** Resolves when every machine has been asked once. */
  get whenReady(): Promise<void> {
    return Promise.all([...this.#watches.values()].map(({ whenSeen }) => whenSeen)).then(() => undefined);
  }

  /** Whether the loop has turned lately: what a watchdog wants to know. */
  get isAwake(): boolean {
    return this.#now() - this.#turnedAt < AWAKE_MS;
  }

  /** Has it look at everything again, as when leadership has changed. */
  wake(): void {
    this.#alarm.ring();
  }

  /** Works until `signal` is raised; then the passes in hand are finished, and nothing is stopped on machines. */
  async run(signal: AbortSignal): Promise<void> {
    // Every watch listens to it: what Node takes for a leak is a cluster of more than ten machines.
    setMaxListeners(0, signal);
    const watches = [...this.#watches.values()];
    const watching = watches.map((watch) => watch.run(signal));
    const following = this.#followRegistry(signal);
    await this.whenReady;
    this.#hasLooked = true;
    const tick = setInterval(() => this.#notePause(), TICK_MS);
    while (!signal.aborted) {
      await this.#catchUp();
      this.#turnedAt = this.#now();
      this.#notifier.leads(this.#leases.leads);
      if (this.#alarm.takeRing() || this.#now() >= this.#due) await this.#decide();
      await this.#alarm.sleep(Math.min(this.#due - this.#now(), TICK_MS), signal);
    }
    clearInterval(tick);
    await Promise.all([this.#passes.idle(), ...watching, following]);
  }

  #notePause(): void {
    const ms = this.#now() - this.#awakeAt;
    this.#awakeAt = this.#now();
    if (ms < TICK_MS + this.#options.ports.agentTtlMs / 2) return;
    this.#pausedMs = ms;
    this.wake();
  }

  /** A process that was not awake has not observed silence: after a pause it counts from now on, and looks before it decides. */
  async #catchUp(): Promise<void> {
    this.#notePause();
    if (this.#pausedMs === 0) return;
    this.#options.emit({ kind: 'overslept', ms: this.#pausedMs });
    this.#pausedMs = 0;
    for (const watch of this.#watches.values()) watch.beginAnew();
    this.#leases.beginAnew();
    await this.look();
  }

  async #followRegistry(signal: AbortSignal): Promise<void> {
    const { registry } = this.#options.ports;
    const retry = new Alarm();
    while (!signal.aborted) {
      try {
        const view = await registry.load();
        this.#notifier.registry(undefined);
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

  async #decide(): Promise<void> {
    this.#notifier.units(this.#seen);
    const leads = this.#options.leads();
    if (!leads) this.#passes.forget();
    if (this.#registry === undefined || this.#notifier.registryError !== undefined || !leads) {
      this.#undecided = undefined;
      this.#due = Number.POSITIVE_INFINITY;
      return;
    }
    try {
      const registry = await this.#remember(this.#registry);
      await this.#admit(registry);
      const snapshot = this.#snapshot(registry);
      const { groups, decisions } = toDo(snapshot);
      this.#notifier.machines(snapshot);
      this.#notifier.decisions(decisions, snapshot);
      this.#passes.begin(groups, snapshot);
      this.#due = this.#deadline(snapshot);
      this.#undecided = undefined;
    } catch (reason) {
      const error = asFleetError(reason);
      const again = this.#undecided?.message === error.message;
      this.#undecided = error;
      this.#options.emit({ kind: 'pass-failed', units: [], error, again });
      this.#due = this.#now() + TICK_MS;
    }
  }

  /** Stores who fell silent and who came back, so that every pass and every command counts alike. */
  async #remember(registry: RegistryView): Promise<RegistryView> {
    const views = this.#views(registry);
    const { ports } = this.#options;
    if (registry.clusterId === undefined || machineEdits(views, registry, ports).length === 0)
      return registry;
    const compared = comparedRegistry(ports.registry, () => views, refuseOutdated);
    this.#registry = await compared.update((view) => machineEdits(views, view, ports));
    return this.#registry;
  }

  /** Lets machines have leases, after a look at a registry that no pass over fenced units is about to change. */
  async #admit(registry: RegistryView): Promise<void> {
    const views = this.#views(registry);
    this.#leases.dismiss(views);
    const isFenced = (unit: string): boolean => registry.units.get(unit)?.placement.fence !== undefined;
    const waits = this.#leases.waiting(views, registry).length > 0;
    if (!waits || this.#passes.isBusy(isFenced)) return;
    const latest = await this.#options.ports.registry.load();
    const admitted = this.#leases.waiting(this.#views(latest), latest);
    this.#leases.admit(admitted);
    for (const { machine } of admitted) void this.#watches.get(machine.name)?.look();
  }

  #snapshot(registry: RegistryView): ClusterSnapshot {
    return snapshotOf(this.#ports, registry, this.#views(registry));
  }

  get #seen(): readonly MachineView[] {
    return [...this.#watches.values()].flatMap(({ view }) => view ?? []);
  }

  /** What was seen of every machine; the registry knows the id of one that has not answered since the start. */
  #views(registry: RegistryView): readonly MachineView[] {
    return trustedViews(this.#seen, registry, this.#now());
  }

  /** The next moment at which a machine has been silent, or back, for long enough, or a unit may be tried again. */
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
