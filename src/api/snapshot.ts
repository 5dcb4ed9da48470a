import type { ClusterSnapshot, MachineView } from '../cluster/snapshot.ts';
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

/** Answers by snapshot: concurrent requests share one. */
const written = new WeakMap<ClusterSnapshot, ApiResponse>();

/** The leader and standbys give the same answer. */
export async function snapshotAnswer(cluster: Cluster, { takesAWhile }: Call): Promise<ApiResponse> {
  // A snapshot of thousands of units takes longer than the first timeout of clients.
  takesAWhile();
  const snapshot = await cluster.settledSnapshot();
  const known = written.get(snapshot);
  if (known !== undefined) return known;
  const document: Omit<SnapshotDocument, 'snapshot'> = {
    version: 1,
    origin: cluster.origin,
    ageMs: Math.max(0, Math.round(cluster.now - cluster.watcher.seenAt)),
    leads: cluster.leads,
  };
  const pieces = jsonWith(document, { snapshot: snapshotJson(snapshot) });
  const answer = {
    status: 200,
    body: { type: 'application/json', text: pieces.map(bytesOf) },
  };
  written.set(snapshot, answer);
  return answer;
}

/** A JSON text in pieces. */
type Pieces = readonly (string | Buffer)[];

/** Buffer.from copies the bytes of a buffer. */
function bytesOf(piece: string | Buffer): Buffer {
  return typeof piece === 'string' ? Buffer.from(piece) : piece;
}

function snapshotJson({ units, machines, cordons, keptTexts: _, ...rest }: ClusterSnapshot): Pieces {
  const views = machines.map(viewJson).flatMap((view, index) => (index === 0 ? view : [',', ...view]));
  const written = { units: [partJson(units)], machines: ['[', ...views, ']'] };
  return jsonWith({ ...rest, cordons: [...cordons] }, written);
}

/** On the wire `unreachable` is called `silence`, as in version 0.1.0. */
function viewJson({ observation, unreachable, ...rest }: MachineView): Pieces {
  const written = observation === undefined ? {} : { observation: [partJson(observation)] };
  return jsonWith({ ...rest, silence: unreachable }, written);
}

/** An object with at least one property as JSON, and further properties that are JSON already. */
function jsonWith(value: object, written: Readonly<Record<string, Pieces>>): Pieces {
  const properties = Object.entries(written).flatMap(([name, pieces]) => [`,"${name}":`, ...pieces]);
  return [JSON.stringify(value).slice(0, -1), ...properties, '}'];
}

/**
 * The units of a registry and the answers of machines are most of a snapshot, and immutable. They are written once for all
 * snapshots that have them.
 */
const parts = new WeakMap<object, Buffer>();

function partJson(part: object): Buffer {
  const known = parts.get(part) ?? Buffer.from(JSON.stringify(part));
  parts.set(part, known);
  return known;
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
