import { type ErrorCode, FleetError } from '../base/errors.ts';
import type { ClusterSnapshot, MachineView } from '../cluster/snapshot.ts';
import type { RolloutLimits } from '../plan/rollout.ts';
import type { Action } from '../plan/steps.ts';
import type { PassEvent } from '../reconcile/events.ts';
import { highestToken } from '../reconcile/outdated.ts';
import type { PassRequest, ReconcileReport } from '../reconcile/pass.ts';
import { storedNameProblem } from '../unit/unit-name.ts';
import { ApiError, isObject } from './call.ts';

/** The version of everything in this file. A client and a controller of other versions do not use each other. */
const VERSION = 3;

/** A line of the answer of a controller that runs a pass for a client. */
export type PassAnswer =
  /** The first line: the pass that the client asks for now is run. */
  | {
      readonly kind: 'ready';
      /** Names the registry and the machines. */
      readonly origin: string;
      /** The id of the cluster in its registry; undefined from an older fleetd, and for an empty registry. */
      readonly clusterId?: string | undefined;
      /** The machines as they were seen last, without units, and with the highest token that each has seen. */
      readonly machines: readonly MachineView[];
    }
  | { readonly kind: 'event'; readonly event: PassEvent }
  /** Nothing has happened for a while. */
  | { readonly kind: 'working' }
  | { readonly kind: 'report'; readonly report: ReconcileReport }
  /** The pass ended with an error. */
  | { readonly kind: 'error'; readonly error: FleetError };

/** The first line of an answer. */
export type Ready = Extract<PassAnswer, { kind: 'ready' }>;

export function readyAnswer(origin: string, { clusterId, machines }: ClusterSnapshot): Ready {
  return {
    kind: 'ready',
    origin,
    clusterId,
    machines: machines.map((view) => {
      if (view.observation === undefined) return view;
      const { id, cluster, bootId, uptimeSeconds } = view.observation;
      const token = highestToken(view.observation);
      return { ...view, observation: { id, cluster, bootId, uptimeSeconds, units: [], token } };
    }),
  };
}

export function answerLine(answer: PassAnswer): string {
  const sent =
    answer.kind === 'error'
      ? { kind: 'error', code: answer.error.code, message: answer.error.message, hint: answer.error.hint }
      : answer.kind === 'report'
        ? { kind: 'report', report: shortened(answer.report) }
        : answer;
  return `${JSON.stringify(answer.kind === 'ready' ? { version: VERSION, ...sent } : sent, withCollections)}\n`;
}

/** Undefined for a line of something else than a fleetd of this version. */
export function readAnswer(line: string): PassAnswer | undefined {
  const value = parsed(line);
  if (!isObject(value)) return undefined;
  switch (value.kind) {
    case 'ready':
      return value.version === VERSION ? (value as Ready) : undefined;
    case 'report': {
      const report = value.report as Omit<ReconcileReport, 'plans'>;
      return { kind: 'report', report: { ...report, plans: report.waves.flat() } };
    }
    case 'error': {
      const { code, message, hint } = value as { code: ErrorCode; message: string; hint?: string };
      return { kind: 'error', error: new FleetError(code, message, { hint }) };
    }
    case 'event':
    case 'working':
      return value as PassAnswer;
    default:
      return undefined;
  }
}

/** The report without what its readers do not use: the texts and observations of units that it is not about. */
function shortened({ plans: _, settled: __, ...report }: ReconcileReport): object {
  const { snapshot, decisions, outcomes, waves } = report;
  const named = new Set([
    ...[...decisions, ...outcomes].map(({ unit }) => unit),
    ...waves.flat().flatMap(({ changes }) => changes.map(({ unit }) => unit)),
  ]);
  const units = snapshot.units.map((unit) => (named.has(unit.name) ? unit : { ...unit, text: '' }));
  const machines = snapshot.machines.map(({ observation, ...view }) =>
    observation === undefined
      ? view
      : {
          ...view,
          observation: { ...observation, units: observation.units.filter(({ name }) => named.has(name)) },
        },
  );
  return {
    ...report,
    snapshot: { ...snapshot, units, machines, olderTexts: [], keptTexts: [], leases: undefined },
  };
}

export function requestText({ actions, units, ...rest }: PassRequest): string {
  const kinds = [...(actions ?? [])].flatMap(([unit, kind]) => (kind === undefined ? [] : [[unit, kind]]));
  return JSON.stringify({ version: VERSION, ...rest, units: [...units], actions: kinds });
}

/** Reads a request. Throws {@link ApiError} 400 for anything else. */
export function readRequest(text: string): PassRequest {
  const value = parsed(text);
  if (!isObject(value) || value.version !== VERSION) throw invalid('it is not a pass of this version');
  const { units, actions, maxParallel, limits, waits, author, clusterId, revision, token } = value;
  if (!Array.isArray(units) || !units.every((unit) => isText(unit) && storedNameProblem(unit) === undefined))
    throw invalid('units');
  if (!Array.isArray(actions) || !actions.every(isAction)) throw invalid('actions');
  if (maxParallel !== undefined && !(isWhole(maxParallel) && maxParallel > 0)) throw invalid('maxParallel');
  if (limits !== undefined && !isLimits(limits)) throw invalid('limits');
  if (!isObject(waits) || typeof waits.blocks !== 'boolean' || !isWait(waits.settleMs))
    throw invalid('waits');
  if (waits.ms !== undefined && !isWait(waits.ms)) throw invalid('waits');
  if (!isText(author) || (clusterId !== undefined && !isText(clusterId)) || !isWhole(revision))
    throw invalid('registry');
  if (token !== undefined && !isWhole(token)) throw invalid('registry');
  return {
    units: new Set(units),
    actions: new Map(actions),
    maxParallel,
    limits,
    waits: { blocks: waits.blocks, ms: waits.ms, settleMs: waits.settleMs },
    author,
    clusterId,
    revision,
    token,
  };
}

const ACTIONS: ReadonlySet<unknown> = new Set<Action>(['start', 'run', 'stop', 'restart']);
/** The limit of a wait, in ms: a day. */
const LONGEST_WAIT_MS = 86_400_000;
/** The limit of a text, in UTF-16 units. */
const LONGEST_TEXT = 1_000;

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= LONGEST_TEXT;
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function isWait(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= LONGEST_WAIT_MS;
}

function isLimits(value: unknown): value is RolloutLimits {
  if (!isObject(value)) return false;
  const { maxParallel, onFailure } = value;
  if (onFailure !== undefined && onFailure !== 'stop' && onFailure !== 'revert') return false;
  if (maxParallel === undefined) return true;
  if (!isObject(maxParallel)) return false;
  const { count, percent } = maxParallel;
  return percent === undefined
    ? isWhole(count) && count > 0
    : count === undefined && isWhole(percent) && percent > 0 && percent <= 100;
}

function isAction(entry: unknown): entry is readonly [string, Action] {
  return Array.isArray(entry) && entry.length === 2 && isText(entry[0]) && ACTIONS.has(entry[1]);
}

function invalid(what: string): ApiError {
  return new ApiError(400, `unable to decode the pass: ${what}`);
}

/** Maps and sets, which JSON lacks, as objects with one key. No object of this protocol has a list under that key. */
function withCollections(_key: string, value: unknown): unknown {
  if (value instanceof Map) return { $map: [...value] };
  return value instanceof Set ? { $set: [...value] } : value;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text, (_key, value: unknown) => {
      if (!isObject(value)) return value;
      if (Array.isArray(value.$map)) return new Map(value.$map);
      return Array.isArray(value.$set) ? new Set(value.$set) : value;
    });
  } catch {
    return undefined;
  }
}
