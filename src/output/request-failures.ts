import type { RequestResult, UnitFailure, UnitResult } from '../operations/unit-result.ts';
import { isUnschedulable } from '../operations/unschedulable.ts';
import type { Stay } from '../schedule/decision.ts';
import { type About, entryText, holdHint } from './failure.ts';
import { formatAge, machineTitle } from './format.ts';
import { reasonText, stayText } from './reason.ts';
import { errorLines, hintLines } from './report.ts';

/** The verbs that change units. */
export type UnitVerb =
  | 'adopt'
  | 'apply'
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

/** The failures of a request, or the expected ones in a dry run. */
export function requestFailures(verb: UnitVerb, request: RequestResult, dryRun = false): readonly string[] {
  return [
    ...request.results.flatMap((result) => failureLines(verb, result, request.folder, dryRun)),
    ...request.problems.flatMap(({ error }) => errorLines(error)),
  ];
}

function failureLines(
  verb: UnitVerb,
  result: UnitResult,
  folder: string | undefined,
  dryRun: boolean,
): readonly string[] {
  return [
    ...unschedulableLines(result, dryRun),
    ...result.failures.flatMap((entry) => machineLines(verb, { unit: result.unit, folder }, entry)),
    ...storedLines(verb, result, dryRun),
    ...violationLines(result, folder),
  ];
}

function unschedulableLines(result: UnitResult, dryRun: boolean): readonly string[] {
  if (!isUnschedulable(result)) return [];
  const { unit, target, rejected } = result;
  // The hints about unreachable machines, each once.
  const hints = new Set(
    rejected.flatMap(({ reason }) => (reason.code === 'machine-silent' ? reason.hint : [])),
  );
  return [
    `Error: Cannot place unit "${unit}": no machine fits`,
    ...rejected.map(({ machine, reason }) => `  ${machine}: ${reasonText(reason)}`),
    ...[...hints].flatMap(hintLines),
    dryRun
      ? `hint: It would be ${target} in the registry, and on no machine`
      : `hint: It stays ${target} in the registry; run the command again when a machine fits`,
  ];
}

/** A warning about a unit on a machine that does not fit, or hints about one on an unreachable machine. */
function violationLines(
  { unit, target, violation, stays, global }: UnitResult,
  folder: string | undefined,
): readonly string[] {
  if (violation === undefined || stays === undefined || global) return [];
  if (violation.code === 'lease-may-hold') return [`hint: It is fenced: ${reasonText(violation)}`];
  if (violation.code === 'machine-silent') {
    // A stopped unit needs no other text.
    const isWanted = target === 'launched' || stays.code !== 'held';
    return isWanted ? stayHints(stays, violation.silentMs, [unit], folder) : [];
  }
  const because = `because ${stayText(stays)}`;
  if (violation.code !== 'machine-removed')
    return [
      `Warning: unit "${unit}" stays on a machine that does not fit, ${because}: ${reasonText(violation)}`,
    ];
  return [
    `Warning: unit "${unit}" stays assigned to a machine that is not in the cluster any more, ${because}`,
    ...(stays.code === 'held' ? hintLines(holdHint(true, { unit, folder })) : []),
  ];
}

/** Hints whether units leave their unreachable machine. */
export function stayHints(
  stays: Stay,
  silentMs: number,
  units: readonly string[],
  folder?: string,
): readonly string[] {
  const [move, stay] =
    units.length === 1 ? ['It moves', 'It does not move'] : ['They move', 'They do not move'];
  const why = `${stay}, because ${stayText(stays)}`;
  switch (stays.code) {
    case 'may-return':
      return hintLines(
        `${move} when the machine has been unreachable for agent_ttl (${formatAge(silentMs)} so far)`,
      );
    case 'is-up':
      return [];
    case 'cut-off':
    case 'no-other':
      return hintLines(why);
    case 'held':
      return [why, holdHint(true, { unit: units.join(' '), folder })].flatMap(hintLines);
  }
}

function machineLines(verb: UnitVerb, about: About, entry: UnitFailure): readonly string[] {
  const { machine, failure } = entry;
  const { summary, lines, hint } = entryText(entry, about);
  // The summary names an unreachable machine.
  const where = failure.code === 'unreachable' ? '' : ` on machine ${machineTitle(machine)}`;
  // A stop needs no new unit file, and one that has nothing else to do has found the unit stopped.
  const isStopped =
    failure.code === 'step' && (failure.step === 'rewrite' || (verb === 'stop' && failure.step === 'write'));
  return [
    `Error: Cannot ${isStopped ? 'update' : verb} unit "${about.unit}"${where}: ${summary}`,
    ...lines.map((line) => `  ${line}`),
    ...hintLines(hint),
  ];
}

/** The hints how a request that did not reach a machine takes effect later. */
function storedLines(
  verb: UnitVerb,
  { failures, target, triggers, stays }: UnitResult,
  dryRun: boolean,
): readonly string[] {
  const unreached = failures.flatMap(({ machine: { name: machine }, failure }) => {
    if (failure.code === 'unreachable') return { machine, mayBeDown: failure.mayBeDown };
    // Nothing can be changed on a machine whose folders cannot be written.
    return failure.code === 'step' && failure.step === 'prepare' ? { machine, mayBeDown: false } : [];
  });
  if (unreached.length === 0 || verb === 'reconcile' || verb === 'drain') return [];
  if (target === 'launched' && stays?.code === 'held') return [];
  const unreachable = unreached.flatMap(({ machine, mayBeDown }) => (mayBeDown ? machine : []));
  const when = unreachable.length === 0 ? 'when the machine can be used' : 'when the machine answers';
  // No target state changes by a restart, or by the start or stop of a unit that has a trigger.
  if (verb === 'restart' || ((verb === 'start' || verb === 'stop') && triggers.length > 0))
    return hintLines(`Run the command again ${when}`);
  return [
    ...hintLines(
      `Its target state ${target} ${dryRun ? 'would be' : 'is'} stored: fleetd or "fleetctl reconcile" applies it ${when}`,
    ),
    ...(target === 'inactive' ? unreachable.flatMap((machine) => hintLines(removalHint(machine))) : []),
  ];
}

function removalHint(machine: string): string {
  return `If the machine is permanently gone, run "fleetctl machines remove ${machine} --lost", and try again`;
}
