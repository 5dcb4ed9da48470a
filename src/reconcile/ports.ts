import type { Clock } from '../base/time.ts';
import type { ClusterSnapshot, LeaseEnds } from '../cluster/snapshot.ts';
import type { ProposedMachine } from '../machine/machine.ts';
import type { VoterCandidate } from '../quorum/choose.ts';
import type { VoterChange } from '../quorum/electorate.ts';
import type { FormerRegistry } from '../quorum/eras.ts';
import type { Remains } from '../quorum/remains.ts';
import type { Registry } from '../registry/registry.ts';
import type { SystemdDriver } from '../systemd/driver.ts';
import type { Emit } from './events.ts';
import type { PassOptions, ReconcileReport } from './pass.ts';

/** The process that observes machines. Only its own observations count for how long a machine has been unreachable. */
export type Observer = {
  /** Identifies the user, the boot of the computer, and the configuration. */
  readonly id: string;
  /** Ms since that boot: this clock does not jump, and all processes of the computer share it. */
  readonly uptime: Clock;
};

/** The conditions under which units leave unreachable machines. */
type Policy = Pick<ClusterSnapshot, 'agentTtlMs' | 'cutOff'>;

/** The voters of a registry on the machines. */
export interface Voters {
  /** Replaces voters where that is needed; resolves with the changes. Rejects with a FleetError `registry-…`. */
  tend(candidates: readonly VoterCandidate[]): Promise<readonly VoterChange[]>;
  /** Asks machines that answer again whether they have a registry from before a recovery. */
  look(candidates: readonly VoterCandidate[]): Promise<void>;
  /** The machines that have shown such a registry with changes that the present one may lack. */
  former(): readonly FormerRegistry[];
  /** The machines that are voters now, read from a majority of them; none before there is a registry. */
  names(): Promise<readonly string[]>;
  /**
   * What is left without a majority of the voters, as a registry whose first update continues without them; undefined if a majority
   * answers, or nothing is left.
   */
  remains(): Promise<(Remains & { readonly registry: Registry }) | undefined>;
  /** The machines that fleet.conf asks for as voters, or against. */
  readonly marks: ReadonlyMap<string, boolean>;
}

/** The dependencies of a pass: the registry, the machines, the clocks, and the policy. */
export type Ports = Policy & {
  readonly registry: Registry;
  readonly driver: SystemdDriver;
  readonly clock: Clock;
  readonly observer: Observer;
  /** The machines of fleet.conf. Those of the cluster follow from them and the registry: `clusterMachines`. */
  readonly machines: readonly ProposedMachine[];
  /**
   * The units that a command names. The machines are observed for them while the registry is read, because that takes as long;
   * undefined if the registry is read without delay.
   */
  readonly early?: readonly string[] | undefined;
  /** Undefined unless the registry is on the machines. */
  readonly voters?: Voters | undefined;
  /** Receives the events of a pass as they occur. */
  readonly emit: Emit;
  /** The ends of leases on unreachable machines; undefined, or returns undefined, if they are not known. */
  readonly leases?: () => LeaseEnds | undefined;
  /** Runs passes in place of this process; resolves with undefined where this process has to run one itself. */
  readonly controller?: (
    units: ReadonlySet<string>,
    options: PassOptions,
  ) => Promise<ReconcileReport | undefined>;
};

/** The clocks that measure for how long a machine has been unreachable. */
export type ObserverClocks = Pick<Ports, 'clock' | 'observer'>;
