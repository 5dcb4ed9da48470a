import { asFleetError, FleetError, isFleetError } from '../base/errors.ts';
import type { ClusterSnapshot, Observation } from '../cluster/snapshot.ts';
import type { ControllerEvent } from '../reconcile/events.ts';
import type { Ports } from '../reconcile/ports.ts';
import { type ReconcileReport, reconcile } from '../reconcile/reconcile.ts';
import type { SystemdDriver } from '../systemd/driver.ts';
import { observedBy, observeQuery } from '../systemd/observation.ts';
import type { MachineWatch } from './machine-watch.ts';
import type { Group } from './to-do.ts';
import { type Trouble, troubleOf } from './trouble.ts';
import { Backoff, within } from './waiting.ts';

export type PassesOptions = {
  readonly ports: Omit<Ports, 'emit'>;
  readonly watches: ReadonlyMap<string, MachineWatch>;
  readonly deadlineMs: number;
  readonly emit: (event: ControllerEvent) => void;
  /** Called after a pass, when every machine that it changed has been observed again. */
  readonly onDone: () => void;
};

/** After how many failed passes in a row a unit counts as a trouble. */
const TROUBLE = 3;
/** How many units a trouble names. */
const NAMED = 3;

/** How many outcomes are remembered. */
const MOST_OUTCOMES = 10_000;

/** How many passes run at once, each for other units. */
const MOST = 8;

/** The passes of a controller. They run concurrently; a unit is in one at a time. */
export class Passes {
  readonly #options: PassesOptions;
  readonly #backoff = new Backoff();
  readonly #busy = new Set<string>();
  /** Units whose last pass ended with an error. */
  readonly #broken = new Map<string, { readonly error: FleetError; readonly times: number }>();
  readonly #running = new Set<Promise<void>>();
  /** The last outcome of each unit on each machine. */
  readonly #outcomes = new Map<string, string>();

  constructor(options: PassesOptions) {
    this.#options = options;
  }

  /** Begins passes over the groups, up to the limit; the end of a pass begins the next one. */
  begin(groups: readonly Group[], snapshot: ClusterSnapshot): void {
    const tokens = new Map(snapshot.units.map(({ name, token }) => [name, token]));
    const isFree = (unit: string): boolean =>
      !this.#busy.has(unit) &&
      !this.#backoff.isWaiting(unit, tokens.get(unit) ?? snapshot.revision, snapshot.now);
    for (const { units, machines } of groups) {
      for (const part of this.#separate([...units].filter(isFree))) {
        if (this.#running.size >= MOST) return;
        this.#track(part, this.#pass(part, machines));
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
    return [...this.#busy].some(isMeant);
  }

  /** When the next failed unit may be tried again, epoch ms; Infinity if there is none. */
  nextTry(now: number): number {
    return this.#backoff.next(now);
  }

  /** Resolves when every pass is over. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  #track(units: ReadonlySet<string>, pass: Promise<void>): void {
    for (const unit of units) this.#busy.add(unit);
    const running = pass.finally(() => {
      for (const unit of units) this.#busy.delete(unit);
      this.#running.delete(running);
      this.#options.onDone();
    });
    this.#running.add(running);
  }

  async #pass(units: ReadonlySet<string>, fresh: ReadonlySet<string>): Promise<void> {
    const { ports } = this.#options;
    const emit = (event: ControllerEvent): void => this.#emit(event);
    const driver = this.#driverFor(fresh);
    try {
      const report = await reconcile({ ...ports, driver, emit }, units);
      for (const unit of units) this.#broken.delete(unit);
      this.#learn(report, units);
      const touched = new Set([...fresh, ...report.plans.map(({ machine }) => machine)]);
      await Promise.all([...touched].map((name) => this.#options.watches.get(name)?.observe()));
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

  /** Marks a repeated outcome. A machine that forges records causes the same one in every pass. */
  #emit(event: ControllerEvent): void {
    if (event.kind !== 'outcome') {
      this.#options.emit(event);
      return;
    }
    const { unit, machine, state, failure } = event;
    const key = `${machine} ${unit}`;
    const outcome = JSON.stringify([state?.active, state?.sub, failure]);
    // An outcome with a state is always new, because the unit was started again.
    const again = this.#outcomes.get(key) === outcome && state === undefined;
    if (this.#outcomes.size >= MOST_OUTCOMES) this.#outcomes.clear();
    this.#outcomes.set(key, outcome);
    this.#options.emit(again ? { ...event, again } : event);
  }

  /** Resets the wait of units that succeeded, and extends that of units that failed. */
  #learn({ snapshot, decisions, outcomes }: ReconcileReport, units: ReadonlySet<string>): void {
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
      const token = snapshot.units.find((unit) => unit.name === name)?.token ?? snapshot.revision;
      if (failed.has(name)) this.#backoff.failed(name, token, now);
      else this.#backoff.succeeded(name);
    }
  }

  /**
   * The driver of one pass. It observes the machines `fresh`; for others the last observation is used. A machine that is
   * known to be unreachable fails at once, and one that does not answer in time is unreachable from then on.
   */
  #driverFor(fresh: ReadonlySet<string>): SystemdDriver {
    const { ports, watches, deadlineMs } = this.#options;
    const { driver, clock } = ports;
    return {
      connect(machine) {
        const watch = watches.get(machine.name);
        if (watch === undefined)
          throw new FleetError('machine-not-found', `No such machine: "${machine.name}"`);
        if (watch.unreachable !== undefined) throw watch.unreachable;
        const session = driver.connect(machine);
        return observedBy(session, async ({ request }) => {
          if (!fresh.has(machine.name)) return lastObservation(watch);
          const asked = clock.now();
          try {
            const query = observeQuery({ ...request, token: true });
            return await within(deadlineMs, machine, session.ask(query));
          } catch (error) {
            if (isFleetError(error)) watch.failed(asked, error);
            throw error;
          }
        });
      },
      journal: (machine, request) => driver.journal(machine, request),
      close: async () => undefined,
    };
  }
}

function lastObservation({ view, unreachable, machine }: MachineWatch): Observation {
  if (view?.observation !== undefined) return view.observation;
  throw unreachable ?? new FleetError('ssh-lost', `Lost machine "${machine.name}"`);
}
