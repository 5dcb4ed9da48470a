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
import { observeCluster, type SnapshotSource } from './observe-cluster.ts';

/** One machine of the inventory. */
export type MachineRow = MachineRef & {
  readonly metadata: Metadata;
  readonly state: 'reachable' | 'unreachable';
  /** Which units it takes no more of; undefined when it takes all. */
  readonly cordon: Cordon | undefined;
  /** How many units fleet put there; undefined, as all below, for one that does not answer or is not ours. */
  readonly units: number | undefined;
  readonly vitals: MachineVitals | undefined;
  readonly uptimeSeconds: number | undefined;
  /**
   * Epoch ms of its last answer, so far as it is known without writing the registry at every look: now, or when it
   * was first missed; undefined for a machine that never answered.
   */
  readonly lastSeen: number | undefined;
};

/** Every machine, those that never answered (and have no known id) last. */
export async function listMachines(from: SnapshotSource): Promise<Listing<MachineRow>> {
  const snapshot = await observeCluster(from, { vitals: true });
  // One that this fleet.conf lacks is a warning, and no machine of the list.
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
