import { compareText } from '../../base/text.ts';
import type { MachineView } from '../../cluster/snapshot.ts';
import { type Machine, parseMachineId } from '../../machine/machine.ts';
import { changeMachine, type MetadataChange } from '../../operations/machine-changes.ts';
import { ApiError, type ApiResponse, type Call, isObject, json, parseJson } from '../call.ts';
import type { Cluster } from '../cluster.ts';
import { collection, pageOf } from './page.ts';

/** A requested change of metadata; `value` is undefined for a removal. */
type Change = { readonly machine: string; readonly key: string; readonly value: string | undefined };

/** Only reachable machines, because the original fleet lists only members. */
export async function listMachines(cluster: Cluster, { query }: Call): Promise<ApiResponse> {
  const { machines } = await cluster.snapshot();
  const present = machines.filter(({ observation }) => observation !== undefined);
  const sorted = present.toSorted((a, b) => compareText(a.id ?? '', b.id ?? ''));
  const page = pageOf(sorted, query.get('nextPageToken'));
  return json(collection('machines', { ...page, items: page.items.map(machineJson) }));
}

/** Stores the metadata in the registry. Throws {@link ApiError} 404 for an unknown machine, 409 for an empty registry. */
export async function patchMachines(cluster: Cluster, { body }: Call): Promise<ApiResponse> {
  const changes = readChanges(parseJson(await body()));
  const { machines, clusterId } = await cluster.snapshot();
  const wanted = new Map<Machine, MetadataChange[]>();
  for (const { machine: id, key, value } of changes) {
    const machine = machines.find((view) => view.id !== undefined && view.id === parseMachineId(id))?.machine;
    if (machine === undefined) throw new ApiError(404, `machine does not exist: "${id}"`);
    const before = wanted.get(machine) ?? [];
    wanted.set(machine, [
      ...before,
      value === undefined ? { kind: 'remove', keys: [key] } : { kind: 'add', metadata: { [key]: value } },
    ]);
  }
  if (clusterId === undefined && changes.length > 0)
    throw new ApiError(409, 'the registry is empty, so the metadata of machines is only in fleet.conf');
  const { registry } = cluster;
  for (const [machine, metadata] of wanted)
    await changeMachine({ registry, machines: [machine] }, machine.name, { metadata });
  return { status: 204 };
}

function machineJson({ id, machine: { metadata, address } }: MachineView): object {
  return { id, ...(Object.keys(metadata).length > 0 && { metadata }), primaryIP: address };
}

function readChanges(body: unknown): readonly Change[] {
  if (!Array.isArray(body)) throw new ApiError(400, 'unable to decode body: it is not a list of operations');
  return body.map(readChange);
}

/** The subset of RFC 6902 that the original fleet supports. */
function readChange(operation: unknown): Change {
  const { op, path, value } = isObject(operation) ? operation : {};
  if (op !== 'add' && op !== 'replace' && op !== 'remove')
    throw new ApiError(400, 'invalid op: expect add, remove, or replace');
  const [, machine, key] = /^\/([^/]+)\/metadata\/([^/]+)$/.exec(String(path)) ?? [];
  if (machine === undefined || key === undefined)
    throw new ApiError(400, 'invalid path: expect /{machineID}/metadata/{key}');
  if (op === 'remove') return { machine, key, value: undefined };
  if (typeof value !== 'string' || value === '')
    throw new ApiError(400, 'invalid value: add and replace require a value');
  if (/[,\s]/.test(value) || /[=,\s]/.test(key))
    throw new ApiError(400, 'invalid metadata: expect no comma and no blank, and no = in the key');
  return { machine, key, value };
}
