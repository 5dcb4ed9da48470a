import { sha256 } from '../../base/hash.ts';
import { compareText } from '../../base/text.ts';
import { observedEarly } from '../../reconcile/early.ts';
import type { ReconcileReport } from '../../reconcile/pass.ts';
import type { Ports } from '../../reconcile/ports.ts';
import { reconcile } from '../../reconcile/reconcile.ts';
import { clusterMachines } from '../../registry/inventory.ts';
import { previewRegistry } from '../../registry/registry.ts';
import type { RegistryView } from '../../registry/view.ts';
import { previewDriver } from '../../systemd/driver.ts';
import { isTemplateName } from '../../unit/unit-name.ts';
import { releaseEdits } from '../submit.ts';
import { type RequestResult, requestResult, type UnitProblem } from '../unit-result.ts';
import { changesOf, type PlannedUnit } from './changes.ts';
import { editsOf, missingUnits, type SetEdits, type SetOptions } from './edits.ts';
import type { WantedSet } from './wanted.ts';

/** What `apply` would do. */
export type SetPlan = {
  readonly set: string;
  /** Identifies the plan; see {@link planId}. */
  readonly id: string;
  readonly changes: readonly PlannedUnit[];
  /** The number of units of the folder that stay as they are. */
  readonly unchanged: number;
  readonly edits: SetEdits;
  readonly skipped: readonly string[];
  /** With any, nothing can be applied, and there are no changes. */
  readonly problems: readonly UnitProblem[];
  /** The registry that it was made from. */
  readonly before: RegistryView;
  /** The expected result of the pass: failures, and unreachable machines. */
  readonly expected: RequestResult;
};

/**
 * Plans a folder: makes the edits in a copy of the registry, and runs the pass that follows them without its changes.
 * Nothing is stored, and machines are only observed.
 */
export async function planSet(ports: Ports, wanted: WantedSet, options: SetOptions): Promise<SetPlan> {
  const before = await ports.registry.load();
  if (wanted.problems.length > 0) return planOn(ports, before, wanted, options);
  // The machines take as long to answer as the edits to be made.
  const missing = options.prune ? missingUnits(wanted, before) : [];
  const named = [...wanted.units.keys(), ...missing.map(({ name }) => name)];
  const names = named.filter((name) => !isTemplateName(name));
  const machines = clusterMachines(before, ports.machines);
  const driver = observedEarly(ports.driver, machines, { names, digests: true });
  try {
    return await planOn({ ...ports, driver }, before, wanted, options);
  } finally {
    await driver.close();
  }
}

async function planOn(
  ports: Ports,
  before: RegistryView,
  wanted: WantedSet,
  options: SetOptions,
): Promise<SetPlan> {
  const registry = previewRegistry(ports.registry, { clock: ports.clock, author: '' }, before);
  const edits = editsOf(wanted, before, options);
  const plan = (changes: readonly PlannedUnit[], report?: ReconcileReport): SetPlan => ({
    set: wanted.name,
    id: planId(wanted, options, { changes, edits, before }),
    changes,
    unchanged: [...wanted.units.keys()].filter((name) => !changes.some(({ unit }) => unit === name)).length,
    edits,
    skipped: wanted.skipped,
    problems: edits.problems,
    before,
    expected: { ...requestResult(report, edits.held), folder: wanted.folder },
  });
  if (edits.problems.length > 0 || edits.scope.size === 0) return plan([]);
  await registry.update(() => edits.units.map((unit) => ({ kind: 'put-unit', unit })));
  if (options.retry === true) await registry.update((view) => releaseEdits(edits.scope, view));
  const { controller: _, voters: _voters, ...local } = ports;
  const preview: Ports = {
    ...local,
    registry,
    driver: previewDriver(ports.driver),
    // The other events are about changes.
    emit: (event) => event.kind.startsWith('machine-') && ports.emit(event),
  };
  const report = await reconcile(preview, edits.scope, { limits: options.limits });
  return plan(changesOf({ wanted, edits, before, report }), report);
}

/**
 * The id of a plan: a hash of everything that its changes depend on, a hash of the request, and the revision of the
 * registry. A later `apply` compares the first, and tells from the others what has changed since. The first hash covers the
 * new texts and target states, the units that join, the revision of each affected unit in the registry, its machines, and
 * its steps, file and current run on each of them. It does not depend on other units, nor on any order. The second one
 * covers all files and options.
 */
function planId(
  { name, units }: WantedSet,
  { adopt, prune, pruneLimit, retry = false, limits = {} }: SetOptions,
  { changes, edits, before }: Pick<SetPlan, 'changes' | 'edits' | 'before'>,
): string {
  const parts = changes.map(({ basis }) => JSON.stringify(basis)).toSorted(compareText);
  const files = [...units].map(([unit, { local }]) => [unit, (local.own ?? local.template)?.content]);
  const options = [adopt, prune, pruneLimit ?? null, retry, limits];
  const hash = (value: unknown, length: number): string => sha256(JSON.stringify(value)).slice(0, length);
  return `${hash([name, edits.joined.toSorted(compareText), ...parts], 16)}${hash([name, files, options], 8)}-${before.token}`;
}

const ID = /^([0-9a-f]{16})([0-9a-f]{8})-(\d{1,16})$/;

/** Whether `id` is that of the plan. All that it does not depend on does not count. */
export function isSamePlan(id: string, plan: Pick<SetPlan, 'id'>): boolean {
  return ID.exec(id)?.[1] === ID.exec(plan.id)?.[1];
}

/** Whether `id` is that of a plan of the same files with the same options. */
export function isSameRequest(id: string, plan: Pick<SetPlan, 'id'>): boolean {
  return ID.exec(id)?.[2] === ID.exec(plan.id)?.[2];
}

/** The revision of the registry that a plan was made from; undefined for another text. */
export function revisionOf(id: string): number | undefined {
  const [, , , revision] = ID.exec(id) ?? [];
  return revision === undefined ? undefined : Number(revision);
}
