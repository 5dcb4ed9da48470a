import type { ClusterSnapshot, DesiredUnit } from '../../cluster/snapshot.ts';
import { TARGET_STATES, type TargetState } from '../../cluster/unit-state.ts';
import { placesOf } from '../../operations/list-unit-files.ts';
import { listUnits as listStateRows, type UnitRow } from '../../operations/list-units.ts';
import { forgetUnit, requestUnit } from '../../operations/submit.ts';
import { hashUnitFile, parseUnitFile, serialise } from '../../unit/unit-file.ts';
import { isTemplate, parseUnitName, type UnitName, unitNameProblem } from '../../unit/unit-name.ts';
import { ApiError, type ApiResponse, type Call, isObject, json, parseJson } from '../call.ts';
import type { Cluster } from '../cluster.ts';
import { collection, pageOf } from './page.ts';

type Option = { readonly name: string; readonly section: string; readonly value: string };

/** The requested options and state of a unit. */
type Wanted = { readonly options: readonly Option[]; readonly target: TargetState | undefined };

export async function listUnits(cluster: Cluster, { query }: Call): Promise<ApiResponse> {
  const snapshot = await cluster.snapshot();
  const page = pageOf(snapshot.units, query.get('nextPageToken'));
  const items = page.items.map((unit) => unitJson(unit, snapshot, 'in a list'));
  return json(collection('units', { ...page, items }));
}

export async function getUnit(cluster: Cluster, name: string): Promise<ApiResponse> {
  const snapshot = await cluster.snapshot();
  const unit = snapshot.units.find((each) => each.name === name);
  if (unit === undefined) throw noSuchUnit();
  return json(unitJson(unit, snapshot, 'alone'));
}

/** Answers as soon as the request is stored. A new text without a state makes the unit inactive. */
export async function putUnit(cluster: Cluster, text: string, call: Call): Promise<ApiResponse> {
  const name = readName(text);
  const { options, target } = readWanted(await bodyOf(call), name);
  const known = (await cluster.registry.load()).units.get(name.text);
  if (known === undefined && options.length === 0)
    throw new ApiError(409, 'unit does not exist and options field empty');
  if (isTemplate(name) && target !== undefined && target !== 'inactive')
    throw new ApiError(400, `cannot activate template "${name.text}"`);
  const file = options.length === 0 ? undefined : readOptions(options);
  const isNew = file !== undefined && hashUnitFile(file) !== known?.hash;
  if (!isNew && target === undefined)
    throw new ApiError(409, 'must provide DesiredState to update existing unit');
  const { problems } = await requestUnit(cluster.registry, {
    name,
    text: isNew ? file.text : undefined,
    target: target ?? 'inactive',
    source: name.text,
  });
  const [problem] = problems;
  if (problem !== undefined) throw new ApiError(400, problem.error.message, { cause: problem.error });
  return { status: isNew ? 201 : 204 };
}

export async function deleteUnit(cluster: Cluster, name: string): Promise<ApiResponse> {
  if (!(await forgetUnit(cluster.registry, name))) throw noSuchUnit();
  return { status: 204 };
}

function noSuchUnit(): ApiError {
  return new ApiError(404, 'unit does not exist');
}

/** The original fleet lists a global unit as inactive, and omits its state in the answer for the unit. An unknown state is omitted. */
function unitJson(unit: DesiredUnit, snapshot: ClusterSnapshot, where: 'in a list' | 'alone'): object {
  const { machine, state } = placesOf(unit, undefined, snapshot);
  const isGlobal = unit.placement.global;
  const currentState = isGlobal ? (where === 'alone' ? undefined : 'inactive') : state;
  return {
    ...(currentState !== undefined && currentState !== 'unknown' && { currentState }),
    desiredState: unit.target,
    ...(machine?.id !== undefined && { machineID: machine.id }),
    name: unit.name,
    options: parseUnitFile(unit.text, unit.name).options.map(({ name, section, value }) => ({
      name,
      section,
      value,
    })),
  };
}

function readName(text: string): UnitName {
  const stray = /[^A-Za-z0-9:_.\\@-]/u.exec(text);
  if (stray !== null) throw new ApiError(400, `invalid character '${stray[0]}' in unit name`);
  const problem = unitNameProblem(text);
  if (problem !== undefined) throw new ApiError(400, `invalid unit name "${text}": ${problem}`);
  const name = parseUnitName(text);
  if (name.text !== text) throw new ApiError(400, `invalid unit name "${text}": it has no known suffix`);
  return name;
}

async function bodyOf({ headers, body }: Call): Promise<unknown> {
  if (headers['content-type']?.split(';')[0]?.trim() !== 'application/json')
    throw new ApiError(415, 'only acceptable Content-Type is application/json');
  return parseJson(await body());
}

function readWanted(body: unknown, { text: url }: UnitName): Wanted {
  if (!isObject(body)) throw new ApiError(400, 'unable to decode body: it is not an object');
  const { name = '', desiredState = '', options = [] } = body;
  if (name !== '' && name !== url) {
    const message = `name in URL "${url}" differs from unit name in request body "${name}"`;
    throw new ApiError(400, message);
  }
  const target = TARGET_STATES.find((state) => state === desiredState);
  if (target === undefined && desiredState !== '')
    throw new ApiError(400, `invalid desiredState "${desiredState}": ${TARGET_STATES.join(', ')}`);
  if (!Array.isArray(options) || !options.every(isOption))
    throw new ApiError(400, 'invalid options: each has a section, a name and a value');
  return { options, target };
}

function isOption(value: unknown): value is Option {
  return isObject(value) && ['section', 'name', 'value'].every((key) => typeof value[key] === 'string');
}

/** The unit file of these options; it must parse to exactly the same options, so that none can hide in a value. */
function readOptions(options: readonly Option[]) {
  const text = serialise(options);
  const file = parseUnitFile(text);
  if (file.options.length === options.length && serialise(file.options) === text) return file;
  throw new ApiError(400, 'invalid options: a value has a line break, or blanks around it');
}

/** The states of units on machines, filtered by unit or machine. */
export async function listStates(cluster: Cluster, { query }: Call): Promise<ApiResponse> {
  const unit = query.get('unitName') ?? '';
  const machine = query.get('machineID') ?? '';
  const rows = (await seen(cluster)).filter(
    (row) => (unit === '' || row.unit === unit) && (machine === '' || row.machine.id === machine),
  );
  const page = pageOf(rows, query.get('nextPageToken'));
  return json(collection('states', { ...page, items: page.items.map(stateJson) }));
}

/** The state of a unit on the first machine that has it; clients poll it while they wait for a start. */
export async function getState(cluster: Cluster, name: string): Promise<ApiResponse> {
  const row = (await seen(cluster)).find(({ unit }) => unit === name);
  if (row === undefined) throw noSuchUnit();
  return json(stateJson(row));
}

/** A unit that is on no machine has no state. On an unreachable machine its state is `unknown`, `unreachable`. */
async function seen(cluster: Cluster): Promise<readonly UnitRow[]> {
  const { rows } = await listStateRows(cluster.snapshot);
  return rows.filter(({ state }) => state.load !== 'not-found');
}

function stateJson({ unit, machine, hash, state: { load, active, sub } }: UnitRow): object {
  return {
    ...(hash !== '' && { hash }),
    ...(machine.id !== undefined && { machineID: machine.id }),
    name: unit,
    systemdActiveState: active,
    systemdLoadState: load,
    systemdSubState: sub,
  };
}
