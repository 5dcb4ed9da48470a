import { asFleetError, type FleetError } from '../base/errors.ts';
import type { ClusterSnapshot } from '../cluster/snapshot.ts';
import type { ControllerEvent } from '../reconcile/notice.ts';
import { type Ports, type ReconcileReport, reconcile } from '../reconcile/reconcile.ts';
import { Backoff } from './backoff.ts';
import type { MachineWatch } from './machine-watch.ts';
import { passDriver } from './pass-driver.ts';
import type { Group } from './to-do.ts';
import { type Trouble, troubleOf } from './trouble.ts';

export type PassesOptions = {
  readonly ports: Omit<Ports, 'emit'>;
  readonly watches: ReadonlyMap<string, MachineWatch>;
  readonly deadlineMs: number;
  readonly emit: (event: ControllerEvent) => void;
  /** Called when a pass is over, and everything it touched has been looked at again. */
  readonly onDone: () => void;
};

/** A unit whose passes have ended with an error so many times, one after the other, is a trouble. */
const TROUBLE = 3;
/** How many units are named. */
const NAMED = 3;

/** Of how many units on machines the last outcome is remembered. */
const MOST_TOLD = 10_000;

/** How many passes are under way at once; each of them is about other units. */
const MOST = 8;

/** The passes of a controller. None waits for another; a unit is in one at a time. */
export class Passes {
  readonly #options: PassesOptions;
  readonly #backoff = new Backoff();
  readonly #busy = new Set<string>();
  /** Units whose last pass ended with an error. */
  readonly #broken = new Map<string, { readonly error: FleetError; readonly times: number }>();
  readonly #running = new Set<Promise<void>>();
  /** The last event of a unit on a machine. */
  readonly #told = new Map<string, string>();

  constructor(options: PassesOptions) {
    this.#options = options;
  }

  /** Begins passes over the groups, as many as there is room for; the end of one makes room for the next. */
  begin(groups: readonly Group[], snapshot: ClusterSnapshot): void {
    const tokens = new Map(snapshot.units.map(({ name, token }) => [name, token]));
    const isFree = (unit: string): boolean =>
      !this.#busy.has(unit) &&
      !this.#backoff.holds(unit, tokens.get(unit) ?? snapshot.revision, snapshot.now);
    for (const { units, machines } of groups) {
      for (const part of this.#apart([...units].filter(isFree))) {
        if (this.#running.size >= MOST) return;
        this.#track(part, this.#pass(part, machines));
      }
    }
  }

  /** What keeps passes from their end, again and again. */
  get troubles(): readonly Trouble[] {
    const byMessage = new Map<string, { readonly error: FleetError; readonly units: string[] }>();
    for (const [unit, { error, times }] of this.#broken) {
      const alike = byMessage.get(error.message) ?? { error, units: [] };
      if (times >= TROUBLE) byMessage.set(error.message, { error, units: [...alike.units, unit] });
    }
    return [...byMessage.values()].map(({ error, units }) => {
      const more = units.length > NAMED ? ` and ${units.length - NAMED} more` : '';
      return troubleOf(`passes over ${units.slice(0, NAMED).join(', ')}${more} fail`, error);
    });
  }

  /** Forgets failures: another one leads, and does better or not. */
  forget(): void {
    this.#broken.clear();
  }

  /** A unit whose last pass ended with an error is on its own in the next, so that it stops no others. */
  #apart(units: readonly string[]): readonly ReadonlySet<string>[] {
    const sound = units.filter((unit) => !this.#broken.has(unit));
    const broken = units.filter((unit) => this.#broken.has(unit));
    return [sound, ...broken.map((unit) => [unit])]
      .filter(({ length }) => length > 0)
      .map((part) => new Set(part));
  }

  /** Whether a pass over such a unit is under way. */
  isBusy(isMeant: (unit: string) => boolean): boolean {
    return [...this.#busy].some(isMeant);
  }

  /** When a unit that failed may be tried again, epoch ms; Infinity when there is none. */
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
    const { driver: wrapped } = ports;
    const driver = passDriver({ ...this.#options, driver: wrapped, clock: ports.clock, fresh });
    try {
      const report = await reconcile({ ...ports, driver, emit }, units);
      for (const unit of units) this.#broken.delete(unit);
      this.#learn(report, units);
      const touched = new Set([...fresh, ...report.plans.map(({ machine }) => machine)]);
      await Promise.all([...touched].map((name) => this.#options.watches.get(name)?.look()));
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

  /** Marks an outcome that shows nothing new, as of a machine that forges records: it is reached in each pass alike. */
  #emit(event: ControllerEvent): void {
    if (event.kind !== 'outcome') {
      this.#options.emit(event);
      return;
    }
    const { unit, machine, state, failure } = event;
    const key = `${machine} ${unit}`;
    const said = JSON.stringify([state?.active, state?.sub, failure]);
    // A unit that was started once more is news.
    const again = this.#told.get(key) === said && state === undefined;
    if (this.#told.size >= MOST_TOLD) this.#told.clear();
    this.#told.set(key, said);
    this.#options.emit(again ? { ...event, again } : event);
  }

  /** A unit that has come where it is wanted is looked after again at once; one that has not is given time. */
  #learn({ snapshot, decisions, outcomes }: ReconcileReport, units: ReadonlySet<string>): void {
    const now = this.#options.ports.clock.now();
    const failed = new Set([
      ...outcomes.filter(({ failure }) => failure !== undefined).map(({ unit }) => unit),
      ...decisions.filter(({ kind }) => kind === 'unschedulable').map(({ unit }) => unit),
    ]);
    // A move that failed is taken back, which is no new decision.
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
}
