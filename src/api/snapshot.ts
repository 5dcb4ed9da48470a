import type { ClusterSnapshot } from '../cluster/snapshot.ts';
import { type ApiResponse, type Call, isObject } from './call.ts';
import type { Cluster } from './cluster.ts';

/** The cluster as a controller sees it, in an answer. */
export type SnapshotDocument = {
  readonly version: 1;
  /** Names the registry and the machines of the snapshot. */
  readonly origin: string;
  /** The age of the oldest observation in it, in ms. */
  readonly ageMs: number;
  readonly leads: boolean;
  readonly snapshot: ClusterSnapshot;
};

/** Answers by snapshot: one of thousands of units takes long to write, so it is written once. */
const written = new WeakMap<ClusterSnapshot, ApiResponse>();

/** The leader and standbys give the same answer. */
export async function snapshotAnswer(cluster: Cluster, { takesAWhile }: Call): Promise<ApiResponse> {
  // A snapshot of thousands of units takes longer than the first timeout of clients.
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
  const sent = { ...snapshot, keptTexts: undefined, machines, cordons: [...snapshot.cordons] };
  const text = JSON.stringify({ ...document, snapshot: sent });
  const answer = { status: 200, body: { type: 'application/json', text: Buffer.from(text) } };
  written.set(snapshot, answer);
  return answer;
}

/** Reads a document; undefined for anything else, such as the answer of a newer fleetd or another program. */
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
