import { listUnits, type UnitRow } from '../../operations/list-units.ts';
import { type Answer, json } from '../answer.ts';
import type { Call } from '../call.ts';
import type { Cluster } from '../cluster.ts';
import { collection, pageOf } from '../page.ts';
import { noSuchUnit } from './units.ts';

/** Units as machines have them, all or those of a unit or a machine. */
export async function listStates(cluster: Cluster, { query }: Call): Promise<Answer> {
  const unit = query.get('unitName') ?? '';
  const machine = query.get('machineID') ?? '';
  const rows = (await seen(cluster)).filter(
    (row) => (unit === '' || row.unit === unit) && (machine === '' || row.machine.id === machine),
  );
  const page = pageOf(rows, query.get('nextPageToken'));
  return json(collection('states', { ...page, items: page.items.map(stateJson) }));
}

/** The state of a unit on the first machine that has it; clients of fleet ask it while they wait for a start. */
export async function getState(cluster: Cluster, name: string): Promise<Answer> {
  const row = (await seen(cluster)).find(({ unit }) => unit === name);
  if (row === undefined) throw noSuchUnit();
  return json(stateJson(row));
}

/** What is on no machine has no state. A unit of a machine that does not answer has: `unknown`, `unreachable`. */
async function seen(cluster: Cluster): Promise<readonly UnitRow[]> {
  const { rows } = await listUnits({ snapshot: () => cluster.snapshot() });
  return rows.filter(({ load }) => load !== 'not-found');
}

function stateJson({ unit, machine, hash, load, active, sub }: UnitRow): object {
  return {
    ...(hash !== '' && { hash }),
    ...(machine.id !== undefined && { machineID: machine.id }),
    name: unit,
    systemdActiveState: active,
    systemdLoadState: load,
    systemdSubState: sub,
  };
}
