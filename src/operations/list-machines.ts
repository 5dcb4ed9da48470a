import { compareText } from '../base/text.ts';
import {
  type ClusterSnapshot,
  type Cordon,
  type MachineView,
  type MachineVitals,
  otherCluster,
  UNLISTED,
} from '../cluster/snapshot.ts';
import type { Metadata } from '../machine/machine.ts';
import { type Listing, type MachineRef, machineRef, unreachableMachines } from './listing.ts';
import type { SnapshotSource } from './observe-cluster.ts';

/** One machine of the inventory. */
export type MachineRow = MachineRef & {
  readonly metadata: Metadata;
  readonly state: 'reachable' | 'unreachable';
  /** The units that it does not accept; undefined if it accepts all. */
  readonly cordon: Cordon | undefined;
  /** The number of units of fleet. Undefined, like all fields below, if it does not answer or belongs to another cluster. */
  readonly units: number | undefined;
  readonly vitals: MachineVitals | undefined;
  readonly uptimeSeconds: number | undefined;
  /**
   * Epoch ms of its last answer: now, or for an unreachable machine the first failed observation, because answers are not
   * stored; undefined for a machine that never answered.
   */
  readonly lastSeen: number | undefined;
};

/** All machines; those that never answered, and have no known id, are last. */
export async function listMachines(source: SnapshotSource): Promise<Listing<MachineRow>> {
  const snapshot = await source({ vitals: true, withoutRegistry: true });
  // A machine that this fleet.conf lacks is only a warning.
  const listed = snapshot.machines.filter(({ unreachable }) => unreachable?.code !== UNLISTED);
  const rows = listed.map(
    (view): MachineRow => ({
      ...machineRef(view),
      metadata: view.machine.metadata,
      state: view.unreachable === undefined ? 'reachable' : 'unreachable',
      cordon: snapshot.cordons.get(view.machine.name),
      ...answerOf(view, snapshot),
    }),
  );
  return {
    rows: rows.toSorted((a, b) => compareText(a.id ?? '~', b.id ?? '~') || compareText(a.name, b.name)),
    unreachable: unreachableMachines(snapshot),
    unreadable: snapshot.unreadable ?? [],
    withoutRegistry: snapshot.withoutRegistry,
  };
}

function answerOf(
  view: MachineView,
  snapshot: ClusterSnapshot,
): Pick<MachineRow, 'units' | 'vitals' | 'uptimeSeconds' | 'lastSeen'> {
  const { observation, unreachable, id } = view;
  const isOurs = otherCluster(view, snapshot) === undefined;
  return {
    units: isOurs ? observation?.units.filter(({ record }) => record !== undefined).length : undefined,
    vitals: observation?.vitals,
    uptimeSeconds: observation?.uptimeSeconds,
    lastSeen: id === undefined ? undefined : (unreachable?.since ?? snapshot.now),
  };
}
