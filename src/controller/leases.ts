import type { Clock } from '../base/time.ts';
import { leaseEnd, leaseFor } from '../cluster/lease.ts';
import type { Lease, LeaseEnds, MachineView, Observation } from '../cluster/snapshot.ts';
import type { MachineId } from '../machine/machine.ts';
import type { RegistryView } from '../registry/view.ts';

export type LeasesOptions = {
  /** Must be monotonic. */
  readonly clock: Clock;
  readonly agentTtlMs: number;
  /** Whether this controller may decide now. */
  readonly leads: () => boolean;
};

/**
 * The leases that this controller has granted, and until when leases of it or of another controller may hold. Only the leader
 * grants leases, and only for observations that it made as the leader. So a new leader has to consider leases of its
 * predecessors only up to the time at which it began to lead.
 */
export class Leases {
  readonly #options: LeasesOptions;
  /** When each machine gave the last answer that got a lease, epoch ms. */
  readonly #answered = new Map<MachineId, number>();
  /** Machines that had no stray fenced unit when they were checked, and were reachable since then. */
  readonly #admitted = new Set<MachineId>();
  #since = 0;
  #led = false;

  constructor(options: LeasesOptions) {
    this.#options = options;
  }

  /** Whether this controller leads. The call detects the start of its leadership. */
  get leads(): boolean {
    const leads = this.#options.leads();
    if (leads && !this.#led) this.reset();
    this.#led = leads;
    return leads;
  }

  /** Until when leases may hold on unreachable machines; undefined while another controller may lead. */
  get ends(): LeaseEnds | undefined {
    if (!this.leads) return undefined;
    const { agentTtlMs } = this.#options;
    const end = (answered: number): number => leaseEnd(Math.max(answered, this.#since), agentTtlMs);
    const ofMachines = new Map([...this.#answered].map(([id, answered]) => [id, end(answered)]));
    return { ofMachines, ofOthers: end(this.#since) };
  }

  /** Assumes that another controller led until now: at the start, and after a pause. */
  reset(): void {
    this.#since = this.#options.clock.now();
    this.#admitted.clear();
  }

  /** The lease for a new observation; none for the first one after the machine was unreachable. */
  grant(observation: Observation, wasUnreachable: boolean): Lease | undefined {
    if (wasUnreachable) this.#admitted.delete(observation.id);
    if (!this.leads || !this.#admitted.has(observation.id)) return undefined;
    this.#answered.set(observation.id, this.#options.clock.now());
    return leaseFor(observation, this.#options.agentTtlMs);
  }

  /** Unreachable and untrusted machines get no more leases, so that their leases end for the other machines too. */
  dismiss(machines: readonly MachineView[]): void {
    for (const { id, observation } of machines)
      if (id !== undefined && observation === undefined) this.#admitted.delete(id);
  }

  /** The machines that may be admitted: reachable and not admitted yet, while a fenced unit is wanted. */
  waiting(machines: readonly MachineView[], registry: RegistryView): readonly MachineView[] {
    if (!this.leads || !isWanted(registry)) {
      this.#admitted.clear();
      return [];
    }
    return machines.filter(
      ({ observation }) =>
        observation !== undefined &&
        [undefined, registry.clusterId].includes(observation.cluster) &&
        !this.#admitted.has(observation.id) &&
        !hasStray(observation, registry),
    );
  }

  /**
   * From now on these machines get leases. `waiting` must have returned them for a registry that was read while no pass over
   * fenced units was running, because a machine that is back may start its units as soon as it has a lease.
   */
  admit(machines: readonly MachineView[]): void {
    for (const { id } of machines) if (id !== undefined) this.#admitted.add(id);
  }
}

/** Without fenced units no machine needs a lease. */
function isWanted({ units }: RegistryView): boolean {
  return [...units.values()].some(
    ({ placement, target }) => placement.fence !== undefined && target !== 'inactive',
  );
}

/** Whether the machine has a fenced unit that is assigned to another machine. */
function hasStray({ id, units }: Observation, registry: RegistryView): boolean {
  return units.some(({ name, record }) => {
    const wanted = registry.units.get(name);
    return record !== undefined && wanted?.placement.fence !== undefined && wanted.machine !== id;
  });
}
