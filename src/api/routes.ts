import { ApiError, type ApiResponse, type Call, json } from './call.ts';
import type { Cluster } from './cluster.ts';
import { snapshotAnswer } from './snapshot.ts';
import DISCOVERY from './v1/discovery.json' with { type: 'json' };
import { listMachines, patchMachines } from './v1/machines.ts';
import { deleteUnit, getState, getUnit, listStates, listUnits, putUnit } from './v1/units.ts';

/** `name` is the piece of the path at `*`. */
type Handler = (cluster: Cluster, call: Call, name: string) => ApiResponse | Promise<ApiResponse>;
type Route = readonly [path: string, handlers: Readonly<Record<string, Handler>>];

/** Every resource with its methods, except those that are answered as a stream, and /metrics. */
const ROUTES: readonly Route[] = [
  ['fleet/v1/units', { GET: listUnits }],
  [
    'fleet/v1/units/*',
    {
      GET: (cluster, _, name) => getUnit(cluster, name),
      PUT: (cluster, call, name) => putUnit(cluster, name, call),
      DELETE: (cluster, _, name) => deleteUnit(cluster, name),
    },
  ],
  ['fleet/v1/state', { GET: listStates }],
  ['fleet/v1/state/*', { GET: (cluster, _, name) => getState(cluster, name) }],
  ['fleet/v1/machines', { GET: listMachines, PATCH: patchMachines }],
  ['fleet/v1/discovery', { GET: () => json(DISCOVERY) }],
  ['fleet/v2/snapshot', { GET: snapshotAnswer }],
  ['healthz', { GET: health }],
];

/** Throws {@link ApiError} 404 for an unknown resource and 405 for an unsupported method. */
export async function answerTo(cluster: Cluster, call: Call): Promise<ApiResponse> {
  const { path, method } = call;
  for (const [pattern, handlers] of ROUTES) {
    const pieces = pattern.split('/');
    const fits =
      pieces.length === path.length && pieces.every((piece, i) => piece === '*' || piece === path[i]);
    if (!fits) continue;
    const handler = handlers[method];
    if (handler !== undefined) return handler(cluster, call, path.at(-1) ?? '');
    throw new ApiError(405, `only ${named(Object.keys(handlers))} supported against this resource`);
  }
  throw new ApiError(404, '');
}

function named(methods: readonly string[]): string {
  const last = methods.at(-1) ?? '';
  return methods.length === 1 ? last : `${methods.slice(0, -1).join(', ')} and ${last}`;
}

/**
 * 200 while the controller can do its work, as leader or standby; else 503. The body has one line per problem; `warnings`
 * are about single machines, and are not a reason to restart a controller.
 */
async function health(cluster: Cluster): Promise<ApiResponse> {
  const { reasons, warnings } = await cluster.health();
  const line = (text: string): string => text.replaceAll('\n', ' ');
  const healthy = reasons.length === 0;
  return json(
    { healthy, reasons: reasons.map(line), warnings: warnings.map(line), leads: cluster.leads },
    healthy ? 200 : 503,
  );
}
