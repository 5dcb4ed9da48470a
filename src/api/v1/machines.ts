import { compareText } from '../../base/text.ts';
import type { MachineView } from '../../cluster/snapshot.ts';
import { parseMachineId } from '../../machine/machine.ts';
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

/** Metadata is in fleet.conf, which fleetd does not edit: a change that is there already succeeds, others are refused. */
export async function patchMachines(cluster: Cluster, { body }: Call): Promise<ApiResponse> {
  const changes = readChanges(parseJson(await body()));
  const { machines } = await cluster.snapshot();
  for (const { machine, key, value } of changes) {
    const view = machines.find(({ id }) => id !== undefined && id === parseMachineId(machine));
    if (view === undefined) throw new ApiError(404, `machine does not exist: "${machine}"`);
    const { name, metadata } = view.machine;
    const current = Object.hasOwn(metadata, key) ? metadata[key] : undefined;
    if (current === value) continue;
    const wanted = value === undefined ? `remove "${key}"` : `write "${key}=${value}"`;
    const where = `under "metadata" of [machine.${name}] in fleet.conf`;
    throw new ApiError(
      409,
      `metadata cannot be changed over this API: ${wanted} ${where} and send SIGHUP to fleetd`,
    );
  }
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
  if (typeof value === 'string' && value !== '') return { machine, key, value };
  throw new ApiError(400, 'invalid value: add and replace require a value');
}
