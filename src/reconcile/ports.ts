import type { Clock } from '../base/time.ts';
import type { ClusterSnapshot, LeaseEnds } from '../cluster/snapshot.ts';
import type { Machine } from '../machine/machine.ts';
import type { Registry } from '../registry/registry.ts';
import type { SystemdDriver } from '../systemd/driver.ts';
import type { Emit } from './events.ts';
import type { PassOptions, ReconcileReport } from './pass.ts';

/** The process that observes machines. How long a machine has been unreachable counts only as far as it saw it itself. */
export type Observer = {
  /** Names the person, the computer since its last boot, and the configuration. */
  readonly id: string;
  /** Ms since that boot: this clock does not jump, and all processes of the computer share it. */
  readonly uptime: Clock;
};

/** When unreachable machines lose their units. */
type Policy = Pick<ClusterSnapshot, 'agentTtlMs' | 'cutOff'>;

/** What a pass works with: the registry, the machines, the clocks, and the policy. */
export type Ports = Policy & {
  readonly registry: Registry;
  readonly driver: SystemdDriver;
  readonly clock: Clock;
  readonly observer: Observer;
  readonly machines: readonly Machine[];
  /** Gets the events of a pass while they happen. */
  readonly emit: Emit;
  /** Until when leases may hold on unreachable machines; undefined, or returns undefined, where that is not known. */
  readonly leases?: () => LeaseEnds | undefined;
  /** Runs passes in place of this process; resolves with undefined where this process has to run one itself. */
  readonly controller?: (
    units: ReadonlySet<string>,
    options: PassOptions,
  ) => Promise<ReconcileReport | undefined>;
};

/** The clocks that measure for how long a machine has been unreachable. */
export type ObserverClocks = Pick<Ports, 'clock' | 'observer'>;
