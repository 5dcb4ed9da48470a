import { FleetError } from '../base/errors.ts';
import { type ClusterSnapshot, type DesiredUnit, observedOn } from '../cluster/snapshot.ts';
import { fileOf, isForeign, isMasked } from '../cluster/unit-state.ts';
import type { Action } from '../plan/steps.ts';
import type { PassOptions, ReconcileReport } from '../reconcile/pass.ts';
import type { Ports } from '../reconcile/ports.ts';
import { reconcile } from '../reconcile/reconcile.ts';
import type { Edit } from '../registry/edit.ts';
import { parseUnitFile } from '../unit/unit-file.ts';
import { isTemplate, isTemplateName } from '../unit/unit-name.ts';
import { selectToLower } from './contradictions.ts';
import type { Aim } from './draft.ts';
import { machineRef } from './listing.ts';
import { namedUnitOf } from './local-file.ts';
import { awaitLease } from './observe-cluster.ts';
import { overrule, overruleAndDelete, requestedBy, requestedTarget } from './overruled.ts';
import { startedAlone, unitsApart } from './related-units.ts';
import { actionable, expandInstances } from './request-arguments.ts';
import { releaseEdits, type Submission, type SubmitRequest, submit } from './submit.ts';
import {
  type ForeignUnit,
  type RequestResult,
  requestResult,
  type UnitProblem,
  type UnitResult,
} from './unit-result.ts';
import { isUnschedulable } from './unschedulable.ts';

/**
 * `submit`: stores unit files in the registry. A replaced text is also written to its machines; with `replace`, so is one that the registry
 * has already, because an earlier command may have been interrupted, or may have failed on some of them.
 */
export async function submitUnits(
  ports: Ports,
  request: SubmitRequest,
): Promise<RequestResult & Pick<Submission, 'created'>> {
  const accepted = await actionable(ports, request, 'submit');
  const submission = await submit(ports.registry, accepted.request);
  const { units, created, replaced, companions, problems, differing, replacing, templates } = submission;
  // A new unit that a loaded or launched trigger needs gets a machine immediately.
  const needed = units.filter(({ name, target }) => created.has(name) && target !== 'inactive');
  const ended = endOfRuns(request, units);
  const placed = request.replace ? units.filter(({ target }) => target !== 'inactive') : needed;
  const following = templates.flatMap((template) => template.following);
  const named = placed.map(({ name }) => name);
  const names = new Set([...replaced, ...companions, ...named, ...following, ...ended.keys()]);
  const report = await pass(ports, names, { actions: ended, limits: request.limits });
  const result = requestResult(report, [...accepted.problems, ...problems], differing);
  return overrule(
    ports,
    requestedBy(submission, () => []),
    { ...result, created, replacing, templates, apart: unitsApart(names, report?.snapshot.units ?? []) },
    report?.settled,
  );
}

/**
 * `start`: submits new units, then brings every unit to `launched`. A unit with a loaded or launched trigger becomes
 * `loaded`, unless it has an `[Install]` section and so is also meant to run without its trigger. If it is named together
 * with its trigger, it becomes `loaded` even if it was launched; if it is named alone, it is also run once.
 */
export function start(ports: Ports, request: SubmitRequest): Promise<RequestResult> {
  return raise(ports, request, 'start', (unit, { all, areNamed }) => {
    if (isTemplateName(unit.name)) return 'loaded';
    const isLeft = all.length > 0 && !hasInstall(unit) && (areNamed || unit.target !== 'launched');
    return isLeft ? 'loaded' : 'launched';
  });
}

/** `load`: submits new units, then brings every unit to `loaded`. A launched unit stays launched. */
export function load(ports: Ports, request: SubmitRequest): Promise<RequestResult> {
  return raise(ports, request, 'load', (unit) => (unit.target === 'launched' ? 'launched' : 'loaded'));
}

/** `stop`: lowers `launched` to `loaded`, and stops the unit, also one that was loaded already. It stays on its machine. */
export function stop(ports: Ports, arguments_: readonly string[]): Promise<RequestResult> {
  return lower(ports, arguments_, 'stop');
}

/** `unload`: stops the unit and removes it from its machine; the registry keeps it. */
export function unload(ports: Ports, arguments_: readonly string[]): Promise<RequestResult> {
  return lower(ports, arguments_, 'unload');
}

async function raise(
  ports: Ports,
  given: SubmitRequest,
  verb: 'start' | 'load',
  aim: Aim,
): Promise<RequestResult> {
  const request = await expandInstances(ports.registry, given, (each) => isServed(each, given.units));
  for (const unit of request.units) if (!isServed(unit, request.units)) refuseTemplate(unit, verb);
  const accepted = await actionable(ports, request, verb);
  const submission = await submit(ports.registry, accepted.request, aim);
  const { units, replaced, companions, differing } = submission;
  const problems = [...submission.problems, ...accepted.problems];
  const names = new Set([...units.map(({ name }) => name), ...replaced, ...companions]);
  const known =
    request.retry === true
      ? await ports.registry.update((view) => releaseEdits(names, view))
      : submission.registry;
  await awaitLease(ports, units, request.leaseWaitMs ?? 0);
  const started = verb === 'start' ? units.map((unit) => [unit.name, actionOf(unit, units)] as const) : [];
  const actions = new Map([...started, ...endOfRuns(request, units)]);
  const report = await pass(ports, names, { actions, limits: request.limits, known });
  const requested = requestedBy(submission, (target) => [target, 'launched']);
  const after = report?.snapshot.units ?? [];
  const result = {
    ...requestResult(report, problems, differing),
    replacing: submission.replacing,
    templates: submission.templates,
    alone: startedAlone(names, after),
    apart: unitsApart(names, after),
  };
  return overrule(ports, requested, result, report?.settled);
}

/** A loaded unit is run once, unless it is named together with its trigger. */
function actionOf({ name, target }: DesiredUnit, named: readonly DesiredUnit[]): Action | undefined {
  if (target === 'launched') return 'start';
  return named.some(({ triggers }) => triggers === name) || isTemplateName(name) ? undefined : 'run';
}

/** With `now`, the present runs of loaded units are stopped, because they may have an older text. */
function endOfRuns({ now }: SubmitRequest, units: readonly DesiredUnit[]): ReadonlyMap<string, Action> {
  const loaded = now === true ? units.filter(({ target }) => target === 'loaded') : [];
  return new Map(loaded.map(({ name }) => [name, 'stop']));
}

/** Whether a template is named together with its socket. */
function isServed(argument: string, others: readonly string[]): boolean {
  const served = namedUnitOf(argument);
  return (
    served?.type === 'service' &&
    isTemplate(served) &&
    others.some((other) => {
      const name = namedUnitOf(other);
      return name?.type === 'socket' && name.prefix === served.prefix;
    })
  );
}

/** Whether a unit has an `[Install]` section. */
export function hasInstall({ text }: DesiredUnit): boolean {
  return parseUnitFile(text).options.some(({ section }) => section === 'Install');
}

async function lower(
  ports: Ports,
  arguments_: readonly string[],
  verb: 'stop' | 'unload',
): Promise<RequestResult> {
  const target = verb === 'stop' ? 'loaded' : 'inactive';
  let problems: UnitProblem[] = [];
  let names = new Set<string>();
  const known = await ports.registry.update((view) => {
    const selected = selectToLower(arguments_, verb, view);
    const lowered = selected.units.filter((unit) => verb === 'unload' || unit.target !== 'inactive');
    const idle = selected.units.filter((unit) => !lowered.includes(unit)).map(notLoaded);
    problems = [...selected.problems, ...idle];
    names = new Set(lowered.map(({ name }) => name));
    return lowered
      .filter((unit) => unit.target !== target)
      .map((unit): Edit => ({ kind: 'put-unit', unit: { ...unit, target } }));
  });
  const actions = new Map([...names].map((name) => [name, 'stop'] as const));
  const report = await pass(ports, names, { actions, known });
  const result = requestResult(report, problems);
  // A unit without a machine does not run, so the request holds even if no machine fits.
  const results = result.results.map((each) =>
    isUnschedulable(each) || isKeptAway(each, report) ? { ...each, idle: true as const } : each,
  );
  return overrule(ports, requestedTarget(names, target), { ...result, results }, report?.settled);
}

/** Whether the unit was on no machine, and stays on none, because its text is held. */
function isKeptAway({ unit, failures }: UnitResult, report: ReconcileReport | undefined): boolean {
  if (report === undefined || failures.length > 0) return false;
  const { snapshot, plans } = report;
  const isHeld = snapshot.units.some(({ name, held }) => name === unit && held !== undefined);
  const isThere = snapshot.machines.some((view) => observedOn(view, unit)?.record !== undefined);
  return isHeld && !isThere && plans.every(({ changes }) => changes.every((change) => change.unit !== unit));
}

function notLoaded({ name, machine }: DesiredUnit): UnitProblem {
  // A unit keeps its assignment until it is known to be removed.
  const [why, hint] =
    machine === undefined
      ? ['it is not loaded', 'To see its state: fleetctl list-unit-files']
      : [
          'it is inactive in the registry, but may still be on its machine',
          `Remove it there: fleetctl unload ${name}; or load it again: fleetctl load ${name}`,
        ];
  return { unit: name, error: new FleetError('not-loaded', `Cannot stop unit "${name}": ${why}`, { hint }) };
}

async function pass(
  ports: Ports,
  names: ReadonlySet<string>,
  options: PassOptions,
): Promise<ReconcileReport | undefined> {
  return names.size === 0 ? undefined : reconcile(ports, names, options);
}

/** Throws FleetError `usage` for a named template: only its instances run. */
export function refuseTemplate(argument: string, verb: string): void {
  const name = namedUnitOf(argument);
  if (name === undefined || !isTemplate(name)) return;
  const replace =
    verb === 'start' || verb === 'load' ? `; a new text of it: fleetctl submit --replace ${name.text}` : '';
  throw new FleetError(
    'usage',
    `Cannot ${verb} template "${name.text}": it is a pattern for units, not a unit`,
    {
      hint: `Name an instance of it: fleetctl ${verb} ${name.prefix}@1.${name.type}${replace}`,
    },
  );
}

/**
 * Stops units, waits, and removes them from their machines and then from the registry. A unit that could not be removed
 * from a machine stays in the registry as inactive, so that a later pass removes it.
 */
export async function destroy(ports: Ports, arguments_: readonly string[]): Promise<RequestResult> {
  let problems: readonly UnitProblem[] = [];
  let kept: readonly string[] = [];
  let scope: ReadonlySet<string> = new Set();
  const known = await ports.registry.update((view) => {
    const selected = selectToLower(arguments_, 'destroy', view);
    ({ problems, templates: kept } = selected);
    scope = new Set(selected.units.map(({ name }) => name));
    return selected.units
      .filter(({ target }) => target !== 'inactive')
      .map((unit) => ({ kind: 'put-unit', unit: { ...unit, target: 'inactive' } }) as const);
  });
  if (scope.size === 0) return requestResult(undefined, problems);
  const report = await reconcile(ports, scope, { known });
  const foreign = [...scope].flatMap((unit) => foreignCopies(unit, report.snapshot));
  const result = { ...requestResult(report, problems), kept, foreign };
  return overruleAndDelete(ports, requestedTarget(scope, 'inactive'), result, scope);
}

function foreignCopies(unit: string, { machines }: ClusterSnapshot): readonly ForeignUnit[] {
  return machines.flatMap((view) => {
    const observed = observedOn(view, unit);
    if (observed === undefined || !isForeign(observed)) return [];
    return [{ unit, machine: machineRef(view), path: fileOf(observed), masked: isMasked(observed.state) }];
  });
}
