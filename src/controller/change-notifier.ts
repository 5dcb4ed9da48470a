import type { FleetError } from '../base/errors.ts';
import type { ClusterSnapshot, MachineView, Unreachable } from '../cluster/snapshot.ts';
import { isUnknown } from '../cluster/unit-state.ts';
import type { Notice } from '../reconcile/events.ts';
import { type Decision, isStuck } from '../schedule/decision.ts';
import { isCutOff } from '../schedule/schedule.ts';

type StuckNotice = Extract<Notice, { kind: 'stuck' }>;
type UnitState = Extract<Notice, { kind: 'unit-state' }>['state'];

/** Emits changes since the last call, each of them once. */
export class ChangeNotifier {
  readonly #emit: (notice: Notice) => void;
  #leads: boolean | undefined;
  #registryError: FleetError | undefined;
  #cutOff = false;
  #unreachable: ReadonlyMap<string, Unreachable> = new Map();
  readonly #states = new Map<string, ReadonlyMap<string, UnitState>>();
  readonly #leaseErrors = new Map<string, string>();
  #stuck = new Map<string, string>();
  #unreadable = new Map<string, string>();

  constructor(emit: (notice: Notice) => void) {
    this.#emit = emit;
  }

  leads(leads: boolean): void {
    if (leads !== this.#leads) this.#emit({ kind: leads ? 'leads' : 'stands-by' });
    this.#leads = leads;
  }

  /** Why the registry cannot be read; undefined after it was read. */
  registry(error: FleetError | undefined): void {
    if (error !== undefined && error.code !== this.#registryError?.code)
      this.#emit({ kind: 'registry-lost', error });
    if (error === undefined && this.#registryError !== undefined) this.#emit({ kind: 'registry-back' });
    this.#registryError = error;
  }

  get registryError(): FleetError | undefined {
    return this.#registryError;
  }

  /** Why a machine takes no lease; undefined after it took one. */
  lease(machine: string, error: FleetError | undefined): void {
    if (error !== undefined && error.message !== this.#leaseErrors.get(machine))
      this.#emit({ kind: 'lease-refused', machine, error });
    if (error === undefined) this.#leaseErrors.delete(machine);
    else this.#leaseErrors.set(machine, error.message);
  }

  machines(snapshot: ClusterSnapshot): void {
    const now = new Map<string, Unreachable>();
    for (const { machine, unreachable } of snapshot.machines) {
      const { name } = machine;
      const before = this.#unreachable.get(name);
      if (unreachable !== undefined) {
        now.set(name, before === undefined ? unreachable : { ...unreachable, since: before.since });
        if (unreachable.code !== before?.code)
          this.#emit({ kind: 'machine-lost', machine: name, unreachable });
      } else if (before !== undefined) {
        this.#emit({ kind: 'machine-back', machine: name, silentMs: snapshot.now - before.since });
      }
    }
    this.#unreachable = now;
    const cutOff = isCutOff(snapshot);
    if (cutOff && !this.#cutOff) {
      this.#emit({ kind: 'cut-off', unreachable: now.size, machines: snapshot.machines.length });
    }
    if (!cutOff && this.#cutOff) this.#emit({ kind: 'connected' });
    this.#cutOff = cutOff;
  }

  /** Emits nothing for a machine that is observed for the first time, or is unreachable. */
  units(views: readonly MachineView[]): void {
    for (const { machine, observation } of views) {
      if (observation === undefined) continue;
      const before = this.#states.get(machine.name);
      const ours = observation.units.filter(({ record }) => record !== undefined);
      const states = new Map(
        ours.flatMap(({ name, state }) => {
          // A state that could not be read is not a change.
          const { load, active, sub } = isUnknown(state) ? (before?.get(name) ?? state) : state;
          return isUnknown({ load }) ? [] : [[name, { load, active, sub }] as const];
        }),
      );
      this.#states.set(machine.name, states);
      if (before === undefined) continue;
      for (const unit of new Set([...before.keys(), ...states.keys()])) {
        const state = states.get(unit);
        if (JSON.stringify(state) === JSON.stringify(before.get(unit))) continue;
        this.#emit({ kind: 'unit-state', unit, machine: machine.name, state });
      }
    }
  }

  decisions(decisions: readonly Decision[], { agentTtlMs, unreadable = [] }: ClusterSnapshot): void {
    for (const each of unreadable) {
      if (this.#unreadable.get(each.unit) !== each.message) this.#emit({ kind: 'unreadable', ...each });
    }
    this.#unreadable = new Map(unreadable.map(({ unit, message }) => [unit, message]));
    const stuck = new Map<string, string>();
    for (const decision of decisions) {
      if (decision.kind !== 'unschedulable' && !isStuck(decision)) continue;
      const reasons = reasonsOf(decision, agentTtlMs);
      if (reasons === undefined) continue;
      stuck.set(decision.unit, reasons);
      if (this.#stuck.get(decision.unit) !== reasons) this.#emit({ kind: 'stuck', decision });
    }
    this.#stuck = stuck;
  }
}

/**
 * Why a unit is not where it should be, in a comparable form. Undefined if that does not count: a machine may be unreachable
 * for the agent TTL, and leases will be granted.
 */
function reasonsOf(decision: StuckNotice['decision'], agentTtlMs: number): string | undefined {
  if (decision.kind === 'unschedulable') {
    if (decision.rejected.some(({ reason }) => reason.code === 'no-lease')) return undefined;
    return decision.rejected.map(({ machine, reason }) => `${machine} ${reason.code}`).join(' ');
  }
  const { violation, stays } = decision;
  if (violation.code === 'machine-silent' && violation.silentMs < agentTtlMs) return undefined;
  return `${violation.code} ${stays.code}`;
}
