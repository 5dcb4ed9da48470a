import type { ClusterSnapshot } from '../cluster/snapshot.ts';
import type { Answer } from './answer.ts';
import { type Call, isObject } from './call.ts';
import type { Cluster } from './cluster.ts';

/** The cluster as a controller sees it, as it travels. */
export type SnapshotDocument = {
  readonly version: 1;
  /** What it is a view of: the same registry and the same machines have the same. */
  readonly origin: string;
  /** How old the oldest answer of a machine in it is, in ms. */
  readonly ageMs: number;
  readonly leads: boolean;
  readonly snapshot: ClusterSnapshot;
};

/** One of thousands of units takes long to write: it is written once, however many ask for it. */
const written = new WeakMap<ClusterSnapshot, Answer>();

/** Answered by the leader and by those that stand by. */
export async function snapshotAnswer(cluster: Cluster, { takesAWhile }: Call): Promise<Answer> {
  // One of thousands of units takes longer than a fleetd that hangs is waited for.
  takesAWhile();
  const snapshot = await cluster.settledSnapshot();
  const known = written.get(snapshot);
  if (known !== undefined) return known;
  const document: SnapshotDocument = {
    version: 1,
    origin: cluster.origin,
    ageMs: Math.max(0, Math.round(cluster.now - cluster.watcher.seenAt)),
    leads: cluster.leads,
    snapshot,
  };
  // On the wire `unreachable` is called `silence`, as in version 0.1.0.
  const machines = snapshot.machines.map(({ unreachable, ...rest }) => ({ ...rest, silence: unreachable }));
  const sent = { ...snapshot, machines, cordons: [...snapshot.cordons] };
  const text = JSON.stringify({ ...document, snapshot: sent });
  const answer = { status: 200, body: { type: 'application/json', text: Buffer.from(text) } };
  written.set(snapshot, answer);
  return answer;
}

/** Reads a document; undefined for anything else, as from a program that is newer or is no fleetd. */
export function readSnapshot(text: string): SnapshotDocument | undefined {
  const value = parsed(text);
  if (!isObject(value) || value.version !== 1 || !isObject(value.snapshot)) return undefined;
  const { units, machines, cordons } = value.snapshot;
  if (!Array.isArray(units) || !Array.isArray(machines) || !Array.isArray(cordons)) return undefined;
  const document = value as SnapshotDocument;
  const views = machines.map(({ silence, ...rest }) => ({ ...rest, unreachable: silence }));
  return { ...document, snapshot: { ...document.snapshot, machines: views, cordons: new Map(cordons) } };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
