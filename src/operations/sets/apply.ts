import { FleetError } from '../../base/errors.ts';
import type { LoggedEvent } from '../../cluster/logged-event.ts';
import type { Observation } from '../../cluster/snapshot.ts';
import { covers } from '../../reconcile/early.ts';
import type { Ports } from '../../reconcile/ports.ts';
import { reconcile } from '../../reconcile/reconcile.ts';
import type { RegistryView } from '../../registry/view.ts';
import { keepSessions, type SystemdDriver } from '../../systemd/driver.ts';
import { type ObserveRequest, observedBy } from '../../systemd/observation.ts';
import type { EventRow } from '../list-events.ts';
import { awaitLease } from '../observe-cluster.ts';
import { overruleAndDelete, type Requested } from '../overruled.ts';
import { startedAlone, unitsApart } from '../related-units.ts';
import { releaseEdits } from '../submit.ts';
import { type RequestResult, requestResult } from '../unit-result.ts';
import { editsOf, type SetEdits, type SetOptions } from './edits.ts';
import { isSamePlan, isSameRequest, planSet, revisionOf, type SetPlan } from './plan.ts';
import type { WantedSet } from './wanted.ts';

export type ApplyRequest = SetOptions & {
  /** The id of the only plan to execute; undefined for the present one. */
  readonly id: string | undefined;
  /** Shows a plan, and resolves with whether to execute it. With `asks` a person decides, which takes time. */
  readonly approve: (plan: SetPlan) => Promise<boolean>;
  readonly asks: boolean;
  /** The limit of the wait for leases for fenced units, in ms. */
  readonly leaseWaitMs: number;
};

/** The result of `apply`. `refused`: the folder cannot be applied. */
export type Applied =
  | { readonly kind: 'unchanged' | 'refused' | 'declined'; readonly plan: SetPlan }
  | Stale
  | { readonly kind: 'applied'; readonly plan: SetPlan; readonly result: RequestResult };

/** The plan is not that of the given id any more. */
export type Stale = {
  readonly kind: 'stale';
  readonly plan: SetPlan;
  /** The changes of its units since then. */
  readonly events: readonly EventRow[];
  /** The files or the options are not those of the plan with that id. */
  readonly isOtherRequest: boolean;
  /** The present plan has work. */
  readonly hasWork: boolean;
};

/** The limit of plans that were made again because another process was faster. */
const ATTEMPTS = 10;

/**
 * Brings a folder to the registry and the machines: plans it, asks for approval, stores its edits in one change, and runs
 * one pass over its units. The pass uses the observation of the plan. If the plan changes before its edits are stored, it is
 * made and approved again; with `id` it is refused instead.
 */
export async function applySet(ports: Ports, wanted: WantedSet, request: ApplyRequest): Promise<Applied> {
  let approved: string | undefined;
  for (let count = 0; count < ATTEMPTS; count++) {
    const done = await attempt(ports, wanted, request, approved);
    if (done.kind === 'overtaken') continue;
    if (done.kind !== 'open') return done;
    // No connection is open, because a person may take long.
    if (!(await request.approve(done.plan))) return { kind: 'declined', plan: done.plan };
    approved = done.plan.id;
  }
  throw new FleetError(
    'registry-conflict',
    `Cannot apply set "${wanted.name}": other processes were faster ${ATTEMPTS} times`,
    { hint: 'Try again when fewer commands run at the same time' },
  );
}

/** `open`: a person has to approve the plan first. `overtaken`: another process has changed the registry; nothing was stored. */
type Attempt = Applied | { readonly kind: 'open'; readonly plan: SetPlan } | { readonly kind: 'overtaken' };

async function attempt(
  ports: Ports,
  wanted: WantedSet,
  request: ApplyRequest,
  approved: string | undefined,
): Promise<Attempt> {
  const driver = keepObservations(ports.driver);
  const here = { ...ports, driver };
  try {
    const plan = await planSet(here, wanted, request);
    const { id } = request;
    if (plan.problems.length > 0) return { kind: 'refused', plan };
    const stale = id === undefined ? undefined : staleness(id, plan, wanted);
    if (stale !== undefined) return stale;
    if (isEmpty(plan)) return { kind: 'unchanged', plan };
    const isApproved = approved !== undefined && isSamePlan(approved, plan);
    if (plan.changes.length > 0 && !isApproved) {
      if (request.asks) return { kind: 'open', plan };
      if (!(await request.approve(plan))) return { kind: 'declined', plan };
    }
    const result = await execute(here, wanted, plan, request);
    return result === undefined ? { kind: 'overtaken' } : { kind: 'applied', plan, result };
  } finally {
    await driver.close();
  }
}

/** A driver that answers a repeated observation with the first one, until the machine is changed. */
type KeptObservations = SystemdDriver & { readonly forget: () => void };

/**
 * A driver for a plan and the pass that executes it, over one session with each machine. The pass gets the observation that
 * the plan was made from, so it takes exactly the planned steps. `close` ends the sessions and leaves `driver` open.
 */
function keepObservations(driver: SystemdDriver): KeptObservations {
  const kept = keepSessions(driver);
  const answers = new Map<
    string,
    { readonly request: ObserveRequest; readonly answer: Promise<Observation> }
  >();
  return {
    ...kept,
    connect(machine) {
      const session = kept.connect(machine);
      const observed = observedBy(session, (query) => {
        const known = answers.get(machine.name);
        if (known !== undefined && covers(known.request, query.request)) return known.answer;
        const answer = session.ask(query);
        answers.set(machine.name, { request: query.request, answer });
        return answer;
      });
      return {
        ...observed,
        change(...words) {
          answers.delete(machine.name);
          return session.change(...words);
        },
      };
    },
    forget: () => answers.clear(),
  };
}

/** Undefined if the plan has that id, or if the one with that id has been executed: no part of it is left to do. */
export function staleness(id: string, plan: SetPlan, wanted: WantedSet): Stale | undefined {
  const isOtherRequest = !isSameRequest(id, plan);
  const hasWork = !isEmpty(plan);
  if (isSamePlan(id, plan) || !(hasWork || isOtherRequest)) return undefined;
  return { kind: 'stale', plan, events: laterEvents(id, plan, wanted), isOtherRequest, hasWork };
}

function isEmpty({ changes, edits }: SetPlan): boolean {
  return changes.length === 0 && edits.units.length === 0;
}

/** Undefined, without any change, if the registry has changed since the plan was made. */
async function execute(
  ports: Ports & { readonly driver: KeptObservations },
  wanted: WantedSet,
  plan: SetPlan,
  request: ApplyRequest,
): Promise<RequestResult | undefined> {
  let isStale = false;
  await ports.registry.update((view) => {
    isStale = !stillHolds(plan, wanted, view, request);
    return isStale ? [] : plan.edits.units.map((unit) => ({ kind: 'put-unit', unit }));
  });
  if (isStale) return undefined;
  const { scope, units } = plan.edits;
  if (request.retry === true) await ports.registry.update((view) => releaseEdits(scope, view));
  const isFenced = units.some(
    ({ placement, target }) => placement.fence !== undefined && target !== 'inactive',
  );
  if (isFenced) {
    await awaitLease(ports, units, request.leaseWaitMs);
    ports.driver.forget();
  }
  const report = await reconcile(ports, scope, { limits: request.limits });
  const changed = new Set(plan.changes.map(({ unit }) => unit));
  const { snapshot } = report;
  const result = {
    ...requestResult(report, plan.edits.held),
    folder: wanted.folder,
    alone: startedAlone(changed, snapshot.units),
    apart: unitsApart(changed, snapshot.units),
  };
  return overruleAndDelete(ports, requestedBy(plan), result, new Set(plan.edits.pruned));
}

function requestedBy({ edits, changes }: SetPlan): readonly Requested[] {
  return edits.units.map(({ name, target, digest }) => ({
    unit: name,
    targets: [target],
    text: { digest, isNew: changes.some(({ unit, text }) => unit === name && text !== undefined) },
  }));
}

/** Whether the registry still leads to the edits of the plan, and has the affected units unchanged. */
function stillHolds(plan: SetPlan, wanted: WantedSet, view: RegistryView, options: SetOptions): boolean {
  const { before, edits, changes } = plan;
  if (view.revision === before.revision) return true;
  const names = [...edits.units.map(({ name }) => name), ...changes.map(({ unit }) => unit)];
  const isSame = (name: string): boolean =>
    view.revisionOf(`units/${name}`) === before.revisionOf(`units/${name}`);
  return names.every(isSame) && textOf(editsOf(wanted, view, options)) === textOf(edits);
}

function textOf({ units, scope, pruned, problems }: SetEdits): string {
  const stored = units.map(({ name, digest, target, set }) => [name, digest, target, set]);
  return JSON.stringify([stored, [...scope], pruned, problems.map(({ unit }) => unit)]);
}

/** The events by which a plan is executed. */
const EXECUTED: ReadonlySet<LoggedEvent['kind']> = new Set(['text', 'target', 'place', 'destroy']);

/**
 * The last change of each unit since the plan with that id was made: any change of a unit of the present plan, and of the other
 * units of the folder and the set those by which that plan may have been executed.
 */
function laterEvents(
  id: string,
  { before, changes }: SetPlan,
  { name, units }: WantedSet,
): readonly EventRow[] {
  const since = revisionOf(id);
  if (since === undefined) return [];
  const isOurs = (unit: string, kind: LoggedEvent['kind']): boolean =>
    changes.some((change) => change.unit === unit) ||
    (EXECUTED.has(kind) && (units.has(unit) || before.units.get(unit)?.set === name));
  const last = new Map<string, EventRow>();
  for (const { key, at, by, events } of before.events) {
    if (Number(/\d+$/.exec(key)?.[0] ?? 0) < since) continue;
    for (const event of events)
      if ('unit' in event && isOurs(event.unit, event.kind)) last.set(event.unit, { at, by, event });
  }
  return [...last.values()];
}
