import type { Clock } from '../base/time.ts';
import { leaseEnd, leaseFor, leaseOf } from '../cluster/lease.ts';
import type { Lease, LeaseEnds, MachineView, Observation } from '../cluster/snapshot.ts';
import { hasAnswered } from '../cluster/unreachable.ts';
import type { MachineId } from '../machine/machine.ts';
import type { RegistryView } from '../registry/view.ts';

export type LeasesOptions = {
  /** Must be monotonic. */
  readonly clock: Clock;
  readonly agentTtlMs: number;
  /** The longest `agent_ttl` that this process had before; leases of that length may hold until they end. */
  readonly formerTtlMs?: number | undefined;
  /** Whether this controller may decide now. */
  readonly leads: () => boolean;
};

/** An observation of a watch. */
export type Answer = {
  readonly observation: Observation;
  /** When its query was sent, epoch ms. */
  readonly askedAt: number;
  readonly wasUnreachable: boolean;
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
  /** Machines that had no stray fenced unit when they were checked, and were reachable or had a lease since then. */
  readonly #admitted = new Set<MachineId>();
  #untrusted: ReadonlySet<MachineId> = new Set();
  /** Whether a fenced unit is wanted; assumed until the registry was read, because leases of another controller continue. */
  #isWanted: boolean = true;
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
    const { agentTtlMs, formerTtlMs = 0 } = this.#options;
    const ofFormer = leaseEnd(this.#since, Math.max(agentTtlMs, formerTtlMs));
    const end = (answered: number): number => Math.max(leaseEnd(answered, agentTtlMs), ofFormer);
    const ofMachines = new Map([...this.#answered].map(([id, answered]) => [id, end(answered)]));
    return { ofMachines, ofOthers: ofFormer };
  }

  /** Assumes that another controller led until now: at the start, and after a pause. */
  reset(): void {
    this.#since = this.#options.clock.now();
    this.#admitted.clear();
    this.#isWanted = true;
  }

  /** The lease for a new observation. A machine that was unreachable until its lease had ended must be admitted again. */
  grant(answer: Answer): Lease | undefined {
    const { observation, wasUnreachable } = answer;
    const { id } = observation;
    if (wasUnreachable) this.#admitted.delete(id);
    if (!this.leads || !this.#isWanted) return undefined;
    if (this.#continues(answer)) this.#admitted.add(id);
    if (!this.#admitted.has(id)) return undefined;
    this.#answered.set(id, this.#options.clock.now());
    return leaseFor(observation, this.#options.agentTtlMs);
  }

  /**
   * Whether the machine still had its lease, and no process can have considered it as over: not this one, by its clock, and
   * not an earlier leader, because the machine was asked after that one's time. So none of its units has moved.
   */
  #continues({ observation, askedAt }: Answer): boolean {
    const { id } = observation;
    const end = this.ends?.ofMachines.get(id) ?? this.ends?.ofOthers ?? 0;
    const isOver = leaseOf({ observation }) === undefined || this.#options.clock.now() >= end;
    return !isOver && askedAt >= this.#since && !this.#untrusted.has(id);
  }

  /** Untrusted machines get no more leases, so that their leases end for the other machines too. */
  dismiss(machines: readonly MachineView[]): void {
    const lost = machines.filter(({ observation }) => observation === undefined);
    for (const { id } of lost) if (id !== undefined) this.#admitted.delete(id);
    const untrusted = lost.filter(({ unreachable }) => unreachable !== undefined && hasAnswered(unreachable));
    this.#untrusted = new Set(untrusted.flatMap(({ id }) => id ?? []));
  }

  /** Learns whether a fenced unit is wanted. True if none was before: leases that have not ended have to be extended at once. */
  want(registry: RegistryView): boolean {
    const wasWanted = this.#isWanted;
    this.#isWanted = isWanted(registry);
    if (!this.#isWanted) this.#admitted.clear();
    return this.#isWanted && !wasWanted;
  }

  /** The machines that may be admitted: reachable and not admitted yet, while a fenced unit is wanted. */
  waiting(machines: readonly MachineView[], registry: RegistryView): readonly MachineView[] {
    if (!this.leads || !isWanted(registry)) return [];
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
