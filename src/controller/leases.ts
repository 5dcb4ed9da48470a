import type { Clock } from '../base/time.ts';
import { leaseEnd, leaseFor } from '../cluster/lease.ts';
import type { Lease, LeaseEnds, MachineView, Observation } from '../cluster/snapshot.ts';
import type { MachineId } from '../machine/machine-id.ts';
import type { RegistryView } from '../registry/view.ts';

export type LeasesOptions = {
  /** Must not jump. */
  readonly clock: Clock;
  readonly agentTtlMs: number;
  /** Whether this controller may decide at this moment. */
  readonly leads: () => boolean;
};

/**
 * The leases that one controller gives to machines, and until when those hold that it or another one may have given.
 * Only the leader gives any, and only on the strength of answers that it got while it led: the next leader has to
 * count on those of its predecessors no longer than from the moment at which it began.
 */
export class Leases {
  readonly #options: LeasesOptions;
  /** When each machine gave the last answer that it got a lease for, epoch ms. */
  readonly #answered = new Map<MachineId, number>();
  /** Machines that were seen to hold no fenced unit that belongs elsewhere, and that have answered ever since. */
  readonly #admitted = new Set<MachineId>();
  #since = 0;
  #led = false;

  constructor(options: LeasesOptions) {
    this.#options = options;
  }

  /** Whether this controller leads; every moment at which it begins to is noticed here. */
  get leads(): boolean {
    const leads = this.#options.leads();
    if (leads && !this.#led) this.beginAnew();
    this.#led = leads;
    return leads;
  }

  /** Until when leases may hold on machines that are silent; undefined while another may lead. */
  get ends(): LeaseEnds | undefined {
    if (!this.leads) return undefined;
    const { agentTtlMs } = this.#options;
    const end = (answered: number): number => leaseEnd(Math.max(answered, this.#since), agentTtlMs);
    const ofMachines = new Map([...this.#answered].map(([id, answered]) => [id, end(answered)]));
    return { ofMachines, ofOthers: end(this.#since) };
  }

  /** Assumes that others led up to this moment: at the beginning, and after a pause. */
  beginAnew(): void {
    this.#since = this.#options.clock.now();
    this.#admitted.clear();
  }

  /** The lease for an answer that has just come; none for the first one after silence. */
  grant(observation: Observation, wasUnreachable: boolean): Lease | undefined {
    if (wasUnreachable) this.#admitted.delete(observation.id);
    if (!this.leads || !this.#admitted.has(observation.id)) return undefined;
    this.#answered.set(observation.id, this.#options.clock.now());
    return leaseFor(observation, this.#options.agentTtlMs);
  }

  /** Machines that are silent or not trusted get no more leases, so what they may run ends for the others, too. */
  dismiss(machines: readonly MachineView[]): void {
    for (const { id, observation } of machines)
      if (id !== undefined && observation === undefined) this.#admitted.delete(id);
  }

  /** The machines that may be admitted and are not: those that answer, while a fenced unit is wanted. */
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
   * From now on these machines get leases. `waiting` must have named them from a registry that was read while no pass
   * over fenced units was under way: a machine that came back may start what it has as soon as it has a lease.
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

/** Whether the machine has a fenced unit that belongs elsewhere. */
function hasStray({ id, units }: Observation, registry: RegistryView): boolean {
  return units.some(({ name, record }) => {
    const wanted = registry.units.get(name);
    return record !== undefined && wanted?.placement.fence !== undefined && wanted.machine !== id;
  });
}
