import { sha256 } from '../../../src/base/hash.ts';
import type { UnitOutcome } from '../../../src/cluster/failure.ts';
import type { Lease, Observation } from '../../../src/cluster/snapshot.ts';
import type { UnitRecord } from '../../../src/cluster/unit-state.ts';
import type { Step, UnitChange } from '../../../src/plan/step.ts';
import { CLUSTER_ID, idOf, systemdState } from '../../support/builders.ts';
import type { World } from './world.ts';

/** The limits of a stop of the unit, and of the guard of a lease, in ms. */
export const STOP_MS = 1000;
const GUARD_MS = 1000;
const NO_LEASE: UnitOutcome['failure'] = { code: 'fenced', reason: { code: 'no-lease' } };

/** A machine with one fenced unit: systemd and the scripts of fleet, with its own clock. */
export class SimMachine {
  readonly name: string;
  readonly id: string;
  isOn: boolean = true;
  readonly #world: World;
  readonly #rate: number;
  #boot = 1;
  #bootedAt = 0;
  #deadline = 0;
  #hasLease: boolean = false;
  #record: UnitRecord | undefined;
  /** SHA-256 of the unit file. */
  #digest: string | undefined;
  /** SHA-256 of its drop-in. */
  #fence: string | undefined;
  #removed = 0;
  #state: 'dead' | 'running' | 'stopping' = 'dead';

  constructor(name: string, world: World) {
    this.name = name;
    this.id = idOf(name);
    this.#world = world;
    this.#rate = world.clockRate();
  }

  observe(): Observation {
    const unit = {
      name: 'a.service',
      state: systemdState(this.#digest === undefined ? 'unknown' : this.#state),
      record: this.#record,
      digest: this.#digest,
      ...(this.#fence !== undefined && { fence: this.#fence }),
    };
    return {
      id: this.id,
      cluster: CLUSTER_ID,
      bootId: this.#bootId,
      uptimeSeconds: this.#uptime,
      ...(this.#hasLease && { lease: { bootId: this.#bootId, deadline: this.#deadline } }),
      units: [unit],
    };
  }

  extend({ bootId, deadline }: Lease): boolean {
    if (bootId !== this.#bootId || deadline <= this.#uptime) return false;
    this.#deadline = Math.max(this.#deadline, deadline);
    this.#hasLease = true;
    this.#watch();
    return true;
  }

  /** Makes a change, perhaps after a wait for the lock; `done` gets its outcome after the stops. */
  change(change: UnitChange, done: (failure: UnitOutcome['failure']) => void): void {
    const boot = this.#boot;
    const { isCalm } = this.#world;
    const longest = this.#world.chance(0.4) ? 15_000 : 2500;
    this.#in(!isCalm && this.#world.chance(0.15) ? this.#world.upTo(longest) : 0, () => {
      if (boot === this.#boot && this.isOn) this.#begin(change, done);
    });
  }

  #begin(change: UnitChange, done: (failure: UnitOutcome['failure']) => void): void {
    const stale = this.#staleness(change.token);
    if (stale !== undefined || !stops(change)) {
      done(stale ?? this.#carryOut(change));
      return;
    }
    if (this.#record !== undefined) this.#record = { ...this.#record, token: change.token };
    this.#stop(() => done(this.#carryOut(change)));
  }

  /** A timer, a socket or a person starts the unit. */
  startByItself(): void {
    if (this.isOn) this.#start();
  }

  losePower(): void {
    this.isOn = false;
    this.#hasLease = false;
    this.#deadline = 0;
    if (this.#state !== 'dead') this.#world.ends(this.name);
    this.#state = 'dead';
  }

  boot(): void {
    this.isOn = true;
    this.#boot++;
    this.#bootedAt = this.#world.now;
  }

  get #bootId(): string {
    return `${this.name} ${this.#boot}`;
  }

  get #uptime(): number {
    return ((this.#world.now - this.#bootedAt) / 1000) * this.#rate;
  }

  #staleness(token: number): UnitOutcome['failure'] {
    const seen = this.#record?.token ?? this.#removed;
    return seen > token ? { code: 'stale', token, seen } : undefined;
  }

  #carryOut(change: UnitChange): UnitOutcome['failure'] {
    const stale = this.#staleness(change.token);
    if (stale !== undefined) return stale;
    // Something may have started it again in the meantime.
    if (stops(change) && this.#state !== 'dead') return { code: 'step', step: 'stop', detail: '' };
    for (const step of change.steps) {
      const failure = this.#do(step, change.token);
      if (failure !== undefined) return failure;
    }
    return undefined;
  }

  #do(step: Step, token: number): UnitOutcome['failure'] {
    switch (step.kind) {
      case 'arm':
        return undefined;
      case 'adopt':
        this.#record = step.record;
        return undefined;
      case 'record':
        this.#record = step.record;
        this.#fence = step.fence === undefined ? undefined : sha256(step.fence);
        return undefined;
      case 'start':
      case 'restart':
        return this.#isOver(step.under) || !this.#start() ? NO_LEASE : undefined;
      case 'forbid':
        if (this.#record !== undefined) return { code: 'step', step: 'forbid', detail: '' };
        this.#removed = token;
        return undefined;
      case 'remove':
        this.#record = undefined;
        this.#digest = undefined;
        this.#fence = undefined;
        this.#removed = token;
        return undefined;
      case 'write':
        if (this.#isOver(step.under)) return NO_LEASE;
        this.#digest = sha256(step.text);
        return undefined;
      case 'stop':
      case 'check':
      case 'watch':
        return undefined;
    }
  }

  #isOver(under: Lease | undefined): boolean {
    return under === undefined || under.bootId !== this.#bootId || under.deadline <= this.#uptime;
  }

  #start(): boolean {
    if (this.#digest === undefined || !this.#hasLease || this.#state === 'stopping') return false;
    if (this.#state === 'dead') this.#world.begins(this.name);
    this.#state = 'running';
    return true;
  }

  #stop(done: () => void): void {
    const boot = this.#boot;
    if (this.#state === 'running') this.#state = 'stopping';
    // Some units stop at once, and some only when they are killed.
    const ms = this.#state === 'dead' ? 0 : this.#world.upToAll(STOP_MS);
    this.#in(ms, () => {
      if (boot !== this.#boot || !this.isOn) return;
      if (this.#state === 'stopping') {
        this.#state = 'dead';
        this.#world.ends(this.name);
      }
      done();
    });
  }

  /** Runs `step` after so many ms of its clock. */
  #in(ms: number, step: () => void): void {
    this.#world.in(ms / this.#rate, step);
  }

  /** The guard of the lease. */
  #watch(): void {
    const boot = this.#boot;
    const left = (this.#deadline - this.#uptime) * 1000;
    this.#in(left + this.#world.upToAll(GUARD_MS), () => {
      if (boot !== this.#boot || !this.isOn || this.#uptime < this.#deadline) return;
      this.#hasLease = false;
      if (this.#state === 'running') this.#stop(() => undefined);
    });
  }
}

function stops({ steps }: UnitChange): boolean {
  return steps.some(({ kind }) => kind === 'stop');
}
