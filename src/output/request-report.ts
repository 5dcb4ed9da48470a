import type { Reason } from '../cluster/reason.ts';
import { originText } from '../cluster/unit-state.ts';
import type { RestartResult } from '../operations/restart.ts';
import type { ForeignUnit, RequestResult, UnitResult } from '../operations/unit-result.ts';
import { isUnschedulable } from '../operations/unschedulable.ts';
import { machineLabel, machineTitle } from './format.ts';
import { heldLines, planLines, type ReportLines, workLines } from './report.ts';
import { requestFailures, type UnitVerb } from './request-failures.ts';

/** The result of a request for several units: lines in the format of CoreOS fleet for success, sentences for failures. */
export function requestReport(verb: UnitVerb, request: RequestResult, dryRun = false): ReportLines {
  // Templates with instances are reported together with these.
  const templates = new Set(templatesOf(request).map(({ template }) => template));
  const raised = request.results.filter(({ target }) => target !== 'inactive').map(({ unit }) => unit);
  const reported = new Set([...templates, ...raised]);
  const created = [...(request.created ?? [])].filter((unit) => !reported.has(unit));
  const restored = new Set(request.restored?.map(({ unit }) => unit));
  const results = request.results.filter(
    ({ unit, target }) => !restored.has(unit) && (target !== 'inactive' || !templates.has(unit)),
  );
  return {
    out: [
      ...created.map((unit) => `Unit ${unit} inactive`),
      ...templateLines(request),
      ...results.flatMap((result) => successLines(verb, result)),
    ],
    err: [...warnings(request, dryRun), ...requestFailures(verb, request, dryRun)],
  };
}

/** The steps of a request, machine by machine, and what could not be done. */
export function dryRunReport(verb: UnitVerb, request: RequestResult): ReportLines {
  const { err } = requestReport(verb, request, true);
  const added = [...(request.created ?? [])].map((unit) => `registry: add ${unit}`);
  const removed = request.results.filter(({ failures }) => verb === 'destroy' && failures.length === 0);
  const steps = [
    ...added,
    ...request.plans.flatMap(planLines),
    ...removed.map(({ unit }) => `registry: remove ${unit}`),
  ];
  return { out: workLines(steps, requestFailures(verb, request, true).length > 0), err };
}

/** The copies that were restarted, and those that were not, with the failures. */
export function restartReport(result: RestartResult): ReportLines {
  const { restarted, left } = result;
  const units = [...new Set(left.map(({ unit }) => unit))].join(' ');
  return {
    out: restarted.map(({ unit, machine }) => `Unit ${unit} restarted on ${machineLabel(machine)}`),
    err: [
      ...heldLines(result.held),
      ...requestFailures('restart', result),
      ...left.map(
        ({ unit, machine }) =>
          `Warning: unit "${unit}" on machine ${machineTitle(machine)} was not restarted`,
      ),
      ...(units === '' ? [] : [`hint: When the failure is repaired, continue: fleetctl restart ${units}`]),
    ],
  };
}

/** The batches of a restart. */
export function restartPreview(result: RestartResult): ReportLines {
  const batches = result.waves.flatMap((plans, index) => [
    `Batch ${index + 1} of ${result.waves.length}`,
    ...plans.flatMap(planLines),
  ]);
  const failures = requestFailures('restart', result, true);
  return { out: workLines(batches, failures.length > 0), err: [...heldLines(result.held), ...failures] };
}

function warnings(request: RequestResult, dryRun: boolean): readonly string[] {
  const { differing, alone = [], apart = [], templates = [], kept = [], restored = [], results } = request;
  const { foreign = [] } = request;
  return [
    ...differing.flatMap(({ unit, path }) => [
      `Warning: unit "${unit}" in the registry differs from file "${path}"; the text of the registry is used`,
      'hint: Add --replace to use the file',
    ]),
    ...alone.flatMap(({ unit, also }) => [
      `Warning: unit "${unit}" has Also=${also.join(' ')} in [Install], which is not launched`,
      `hint: Start it too: fleetctl start ${also.join(' ')}`,
    ]),
    ...apart.map(
      ({ unit, dependency }) =>
        `Warning: unit "${unit}" has ${dependency.source}, but ${dependency.unit} is on another machine: add MachineOf=${dependency.unit} to [X-Fleet]`,
    ),
    ...templates.flatMap(({ template, own, behind }) => [
      ...own.map((name) => `Warning: unit "${name}" keeps its own text, not that of template "${template}"`),
      ...behind.map((name) => `Warning: unit "${name}" keeps its old text of template "${template}"`),
      ...(behind.length > 0 ? [`hint: Update all instances: fleetctl submit --replace ${template}`] : []),
    ]),
    // A template that stays takes precedence over a local file.
    ...kept.flatMap((name) => [
      `Warning: template "${name}" ${dryRun ? 'would stay' : 'stays'} in the registry, because a glob matches only units that can run`,
      `hint: Destroy it too: fleetctl destroy ${name}`,
    ]),
    ...restored.map(
      ({ unit, hash, isBack }) =>
        `Warning: unit "${unit}" ${isBack ? 'has' : 'is to have'} its old text ${hash.slice(0, 7)} again, because the new one failed`,
    ),
    ...results.flatMap(leftProcesses),
    ...(dryRun ? foreign : []).map(foreignLine),
  ];
}

function foreignLine({ unit, machine, path, masked }: ForeignUnit): string {
  const origin = originText(unit, path, masked);
  return `Warning: unit "${unit}" stays on machine ${machineTitle(machine)}, because fleet did not install it${origin === '' ? '' : `: ${origin}`}`;
}

/** The processes that KillMode= kept when their unit was stopped. */
function leftProcesses({ unit, left = [] }: UnitResult): readonly string[] {
  return left.map(({ machine, processes }) => {
    const what = processes === 1 ? '1 process of it still runs' : `${processes} processes of it still run`;
    return `Warning: unit "${unit}" was stopped on machine ${machineTitle(machine)}, and ${what}: see its KillMode=`;
  });
}

/** `Template web@.service stored; 3 of 3 instances updated` */
function templateLines(request: RequestResult): readonly string[] {
  const failed = new Set(request.results.flatMap(({ unit, failures }) => (failures.length > 0 ? unit : [])));
  return templatesOf(request).map(({ template, following, own }) => {
    const updated = following.filter((name) => !failed.has(name)).length;
    return `Template ${template} stored; ${updated} of ${following.length + own.length} instances updated`;
  });
}

/** The templates that have instances. */
function templatesOf({ templates = [] }: RequestResult): NonNullable<RequestResult['templates']> {
  return templates.filter(({ following, own }) => following.length + own.length > 0);
}

function successLines(verb: UnitVerb, result: UnitResult): readonly string[] {
  const { unit, target, failures, triggers, ran, outdated } = result;
  if (isUnschedulable(result)) return [];
  if (result.idle) return [`Unit ${unit} ${target}; it is on no machine`];
  if (target === 'inactive') {
    if (failures.length > 0) return [];
    return [verb === 'destroy' ? `Destroyed ${unit}` : `Unit ${unit} inactive`];
  }
  return [
    ...queuedLines(verb, result),
    ...placesOf(result).map((place) => `Unit ${unit} ${target} on ${place}`),
    ...ran.map(
      ({ machine, isOver }) =>
        `Unit ${unit} ${isOver ? 'ran to success' : 'started'} on ${machineLabel(machine)}`,
    ),
    ...triggers.map(
      (trigger) => `${trigger} starts ${unit} ${OCCASIONS[trigger.slice(trigger.lastIndexOf('.'))]}`,
    ),
    ...outdated.map(
      (machine) =>
        `${unit} keeps running with its previous text on ${machineLabel(machine)}; the new one takes effect at its next start`,
    ),
  ];
}

/** The machines on which the target state holds; a count if there are several. A run has its own line. */
function placesOf(result: UnitResult): readonly string[] {
  const { global, machines, ran } = result;
  if (machines.length === 0) return [];
  if (global || machines.length > 1) return [countText(machines.length, result)];
  const names = new Set(ran.map(({ machine }) => machine.name));
  return machines.filter(({ name }) => !names.has(name)).map((machine) => machineLabel(machine));
}

/** `1 of 3 machines; 2 refused it`: machines that do not fit by the rules of its file do not count. */
function countText(count: number, { eligible, rejected }: UnitResult): string {
  const { length } = rejected.filter(({ reason }) => REFUSALS.has(reason.code));
  return `${count} of ${eligible + length} machines${length === 0 ? '' : `; ${length} refused it`}`;
}

const REFUSALS: ReadonlySet<Reason['code']> = new Set(['foreign-unit', 'other-cluster']);

const OCCASIONS: Readonly<Record<string, string>> = {
  '.timer': 'when it elapses',
  '.socket': 'when a connection comes in',
  '.path': 'when its path changes',
  '.automount': 'when it is accessed',
};

/** The lines of CoreOS fleet for jobs that --no-block did not wait for. */
function queuedLines(verb: UnitVerb, result: UnitResult): readonly string[] {
  const { unit, target, global, triggered } = result;
  const job = target === 'launched' || verb === 'start' ? 'start' : 'stop';
  if (triggered.length === 0) return [];
  if (global) return [`Triggered global unit ${unit} ${job} on ${countText(triggered.length, result)}`];
  return triggered.map((machine) => `Triggered unit ${unit} ${job} on ${machineLabel(machine)}`);
}
