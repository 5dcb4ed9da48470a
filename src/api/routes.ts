import { type Answer, ApiError, json } from './answer.ts';
import type { Call } from './call.ts';
import type { Cluster } from './cluster.ts';
import { health } from './health.ts';
import { snapshotAnswer } from './snapshot.ts';
import { DISCOVERY } from './v1/discovery.ts';
import { listMachines, patchMachines } from './v1/machines.ts';
import { getState, listStates } from './v1/states.ts';
import { deleteUnit, getUnit, listUnits, putUnit } from './v1/units.ts';

/** `name` is what stands in the place of `*`. */
type Handler = (cluster: Cluster, call: Call, name: string) => Answer | Promise<Answer>;
type Route = readonly [path: string, handlers: Readonly<Record<string, Handler>>];

/** Every resource that is answered once, and what it can be asked. */
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

/** Answers a call. Throws {@link ApiError} 404 and 405 for what there is not. */
export async function answerTo(cluster: Cluster, call: Call): Promise<Answer> {
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
