import type { FleetError } from '../base/errors.ts';
import type { UnreadableUnit } from '../cluster/snapshot.ts';
import { isUnschedulable, type RequestResult, type UnitResult } from '../operations/unit-result.ts';
import type { Listing, UnknownUnit, UnreachableMachine } from '../operations/unreachable.ts';
import { failureText } from './failure.ts';
import { machineLabel, machineTitle } from './machine.ts';
import { planLines } from './plan.ts';
import { howLong, reasonText } from './reason.ts';
import { reportedTemplates, templateLines, templateWarnings } from './templates.ts';

/** Lines for standard output and for standard error, each without its newline. */
export type ReportLines = { readonly out: readonly string[]; readonly err: readonly string[] };

/** The verbs that change units. */
export type UnitVerb =
  | 'submit'
  | 'load'
  | 'start'
  | 'stop'
  | 'unload'
  | 'destroy'
  | 'rollback'
  | 'reconcile'
  | 'restart'
  | 'drain';

/** How a request over several units went: fleet's own lines for what holds, sentences for what does not. */
export function requestReport(verb: UnitVerb, request: RequestResult, dryRun = false): ReportLines {
  const differing = request.differing.flatMap(({ unit, path }) => [
    `Warning: unit "${unit}" in the registry differs from file "${path}"; the registry's is used`,
    'hint: Add --replace to use the file',
  ]);
  const alone = (request.alone ?? []).flatMap(({ unit, also }) => [
    `Warning: unit "${unit}" has Also=${also.join(' ')} in [Install], which is not launched`,
    `hint: Start it too: fleetctl start ${also.join(' ')}`,
  ]);
  const apart = (request.apart ?? []).map(
    ({ unit, dependency }) =>
      `Warning: unit "${unit}" has ${dependency.source}, and ${dependency.unit} is on another machine, where systemd does not find it: add MachineOf=${dependency.unit} to [X-Fleet]`,
  );
  const templates = reportedTemplates(request);
  const created = [...(request.created ?? [])].filter((unit) => !templates.has(unit));
  const results = request.results.filter(({ unit, target }) => target !== 'inactive' || !templates.has(unit));
  return {
    out: [
      ...created.map((unit) => `Unit ${unit} inactive`),
      ...templateLines(request),
      ...results.flatMap((result) => successLine(verb, result)),
    ],
    err: [
      ...differing,
      ...alone,
      ...apart,
      ...templateWarnings(request),
      ...keptLines(request, dryRun),
      ...request.results.flatMap(leftLines),
      ...requestFailures(verb, request, dryRun),
    ],
  };
}

/** A template that stays would take precedence over a local file. */
function keptLines({ kept = [] }: RequestResult, dryRun: boolean): readonly string[] {
  return kept.flatMap((name) => [
    `Warning: template "${name}" ${dryRun ? 'would stay' : 'stays'} in the registry, for a glob stands for units that can run`,
    `hint: Destroy it too: fleetctl destroy ${name}`,
  ]);
}

/** The processes that KillMode= keeps from being ended along with their unit. */
function leftLines({ unit, left = [] }: UnitResult): readonly string[] {
  return left.map(({ machine, processes }) => {
    const what = processes === 1 ? '1 process of it goes on' : `${processes} processes of it go on`;
    return `Warning: unit "${unit}" was stopped on machine ${machineTitle(machine)}, and ${what}: see its KillMode=`;
  });
}

/** Everything that a request could not do, or in a dry run could not. */
export function requestFailures(verb: UnitVerb, request: RequestResult, dryRun = false): readonly string[] {
  return [
    ...request.results.flatMap((result) => failureLines(verb, result, dryRun)),
    ...request.problems.flatMap(({ error }) => errorLines(error)),
  ];
}

/** What a request would do: the steps of every machine in their order, and why the rest would not be done. */
export function dryRunReport(verb: UnitVerb, request: RequestResult): ReportLines {
  const { err } = requestReport(verb, request, true);
  const added = [...(request.created ?? [])].map((unit) => `registry: add ${unit}`);
  const steps = [...added, ...request.plans.flatMap(planLines)];
  return { out: workLines(steps, requestFailures(verb, request, true).length > 0), err };
}

/** The work; that there is none is said only where nothing is in its way. */
export function workLines(work: readonly string[], hasFailed: boolean): readonly string[] {
  return work.length === 0 && !hasFailed ? ['Nothing to do'] : work;
}

/** An error as people see it: what happened, and the hint on its own line. */
export function errorLines(error: FleetError): readonly string[] {
  return [`Error: ${upperFirst(error.message)}`, ...hintLines(error.hint)];
}

/** The words about machines that a listing could not ask. */
export function unreachableLines(unreachable: readonly UnreachableMachine[]): readonly string[] {
  const warnings = unreachable.map(({ message, silentMs }) => {
    const since = silentMs < 1000 ? '' : ` (unreachable for ${howLong(silentMs)})`;
    return `Warning: ${message}${since}; what it runs is unknown`;
  });
  const hints = new Set(unreachable.flatMap(({ hint }) => hint ?? []));
  return [...warnings, ...[...hints].flatMap((hint) => hintLines(hint))];
}

/** Units whose state is not known although their machines answered. */
function unknownLines(units: readonly UnknownUnit[]): readonly string[] {
  const hints = new Set(units.flatMap(({ hint }) => hint ?? []));
  return [
    ...units.map(
      ({ unit, machine, why }) =>
        `Warning: The state of unit "${unit}" on machine "${machine.name}" is unknown: ${why}`,
    ),
    ...[...hints].flatMap((hint) => hintLines(hint)),
  ];
}

/** The words about units of the registry that cannot be read. */
function unreadableLines(unreadable: readonly UnreadableUnit[]): readonly string[] {
  const hints = new Set(unreadable.flatMap(({ hint }) => hint ?? []));
  return [
    ...unreadable.map(({ unit, message }) => `Warning: ${message}; unit "${unit}" is left as it is`),
    ...[...hints].flatMap((hint) => hintLines(hint)),
  ];
}

/** The words about everything that a listing says nothing about. */
export function missingLines({
  unreachable,
  unknown = [],
  unreadable,
}: Omit<Listing<unknown>, 'rows'>): readonly string[] {
  return [...unreachableLines(unreachable), ...unknownLines(unknown), ...unreadableLines(unreadable)];
}

function successLine(verb: UnitVerb, result: UnitResult): readonly string[] {
  const { unit, target, failures } = result;
  if (isUnschedulable(result)) return [];
  if (result.idle) return [`Unit ${unit} ${target}; it is on no machine`];
  if (target === 'inactive') {
    if (failures.length > 0) return [];
    return [verb === 'destroy' ? `Destroyed ${unit}` : `Unit ${unit} inactive`];
  }
  return [
    ...triggeredLines(verb, result),
    ...placesOf(result).map((place) => `Unit ${unit} ${target} on ${place}`),
    ...runLines(result),
    ...companionLines(result),
  ];
}

/** Where its target state holds: a count for a unit with several copies. A machine that it was run on has a line of its own. */
function placesOf({ global, machines, eligible, ran }: UnitResult): readonly string[] {
  if (machines.length === 0) return [];
  if (global || machines.length > 1) return [`${machines.length} of ${eligible} machines`];
  const names = new Set(ran.map(({ machine }) => machine.name));
  return machines.filter(({ name }) => !names.has(name)).map((machine) => machineLabel(machine));
}

/** What came of a unit that was run because a person asked for it. */
function runLines({ unit, ran }: UnitResult): readonly string[] {
  return ran.map(
    ({ machine, isOver }) =>
      `Unit ${unit} ${isOver ? 'ran to success' : 'started'} on ${machineLabel(machine)}`,
  );
}

/** What starts a unit that is not launched itself, and which text a run that goes on has. */
function companionLines({ unit, triggers, outdated }: UnitResult): readonly string[] {
  return [
    ...triggers.map(
      (trigger) => `${trigger} starts ${unit} ${OCCASIONS[trigger.slice(trigger.lastIndexOf('.'))]}`,
    ),
    ...outdated.map(
      (machine) =>
        `${unit} goes on with its previous text on ${machineLabel(machine)}; the new one counts from its next start on`,
    ),
  ];
}

const OCCASIONS: Readonly<Record<string, string>> = {
  '.timer': 'when it elapses',
  '.socket': 'when a connection comes in',
  '.path': 'when its path changes',
  '.automount': 'when it is accessed',
};

/** fleet's words for what --no-block did not wait for. */
function triggeredLines(
  verb: UnitVerb,
  { unit, target, global, triggered, eligible }: UnitResult,
): readonly string[] {
  const job = target === 'launched' || verb === 'start' ? 'start' : 'stop';
  if (triggered.length === 0) return [];
  if (global) return [`Triggered global unit ${unit} ${job} on ${triggered.length} of ${eligible} machines`];
  return triggered.map((machine) => `Triggered unit ${unit} ${job} on ${machineLabel(machine)}`);
}

function failureLines(verb: UnitVerb, result: UnitResult, dryRun: boolean): readonly string[] {
  return [
    ...unschedulableLines(result, dryRun),
    ...result.failures.flatMap((entry) => machineLines(verb, result, entry)),
    ...storedLines(verb, result, dryRun),
    ...violationLines(result),
  ];
}

function unschedulableLines(result: UnitResult, dryRun: boolean): readonly string[] {
  if (!isUnschedulable(result)) return [];
  const { unit, target, rejected } = result;
  // What makes a silent machine answer, each way once.
  const ways = new Set(
    rejected.flatMap(({ reason }) => (reason.code === 'machine-silent' ? reason.hint : [])),
  );
  return [
    `Error: Cannot place unit "${unit}": no machine fits`,
    ...rejected.map(({ machine, reason }) => `  ${machine}: ${reasonText(reason)}`),
    ...[...ways].flatMap(hintLines),
    dryRun
      ? `hint: It would be ${target} in the registry, and on no machine`
      : `hint: It stays ${target} in the registry; run the command again when a machine fits`,
  ];
}

/** Why a unit is where it should not be, or when it will leave a machine that is silent. */
function violationLines({ unit, violation, global }: UnitResult): readonly string[] {
  if (violation === undefined || global) return [];
  if (violation.code === 'machine-removed') {
    return [
      `Warning: unit "${unit}" stays assigned to a machine that is not in fleet.conf, for no other one fits`,
    ];
  }
  if (violation.code === 'lease-may-hold') return [`hint: It is fenced: ${reasonText(violation)}`];
  if (violation.code !== 'machine-silent') {
    return [
      `Warning: unit "${unit}" stays on a machine it does not fit, for no other one fits: ${reasonText(violation)}`,
    ];
  }
  const so = howLong(violation.silentMs);
  return violation.mayBeDown
    ? [`hint: It moves when its machine has been unreachable for agent_ttl (${so} so far)`]
    : [];
}

function machineLines(
  verb: UnitVerb,
  { unit }: UnitResult,
  { machine, failure }: UnitResult['failures'][number],
): readonly string[] {
  const { summary, lines, hint } = failureText(failure);
  // A machine that cannot be reached is named in the summary already.
  const where = failure.code === 'unreachable' ? '' : ` on machine ${machineTitle(machine)}`;
  return [
    `Error: Cannot ${verb} unit "${unit}"${where}: ${summary}`,
    ...lines.map((line) => `  ${line}`),
    ...hintLines(hint),
  ];
}

/** What becomes of a request that did not reach a machine of the unit. */
function storedLines(
  verb: UnitVerb,
  { failures, target, triggers }: UnitResult,
  dryRun: boolean,
): readonly string[] {
  const unreached = failures.flatMap(({ machine, failure }) =>
    failure.code === 'unreachable' ? { machine: machine.name, mayBeDown: failure.mayBeDown } : [],
  );
  if (unreached.length === 0 || verb === 'reconcile' || verb === 'drain') return [];
  const unreachable = unreached.flatMap(({ machine, mayBeDown }) => (mayBeDown ? machine : []));
  const when = unreachable.length === 0 ? 'when the machine can be used' : 'when the machine answers';
  // A restart, and a run or a stop of a unit that its trigger starts, change no target state.
  if (verb === 'restart' || ((verb === 'start' || verb === 'stop') && triggers.length > 0))
    return hintLines(`Run the command again ${when}`);
  return [
    ...hintLines(
      `Its target state ${target} ${dryRun ? 'would be' : 'is'} stored: fleetd or "fleetctl reconcile" applies it ${when}`,
    ),
    ...(target === 'inactive' ? unreachable.flatMap((machine) => hintLines(goneForGood(machine))) : []),
  ];
}

function goneForGood(machine: string): string {
  return `If the machine is gone for good, take it out of fleet.conf, run "fleetctl machines remove ${machine}", and try again`;
}

/** The name of a setting (`etcd_ca_file`) is written in one way only. */
function upperFirst(text: string): string {
  return /^\w+_/.test(text) ? text : `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
}

function hintLines(hint: string | undefined): readonly string[] {
  return hint === undefined ? [] : `hint: ${hint}`.split('\n');
}
