import { isUnschedulable, type RequestResult, type UnitResult } from '../operations/unit-result.ts';
import { failureText } from './failure.ts';
import { formatAge, machineTitle } from './format.ts';
import { reasonText } from './reason.ts';
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
    ...request.results.flatMap((result) => failureLines(verb, result, dryRun)),
    ...request.problems.flatMap(({ error }) => errorLines(error)),
  ];
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

/** A warning about a unit on a machine that does not fit, or a hint when it will leave an unreachable one. */
function violationLines({ unit, violation, global }: UnitResult): readonly string[] {
  if (violation === undefined || global) return [];
  if (violation.code === 'machine-removed') {
    return [
      `Warning: unit "${unit}" stays assigned to a machine that is not in fleet.conf, because no other machine fits`,
    ];
  }
  if (violation.code === 'lease-may-hold') return [`hint: It is fenced: ${reasonText(violation)}`];
  if (violation.code !== 'machine-silent') {
    return [
      `Warning: unit "${unit}" stays on a machine it does not fit, because no other machine fits: ${reasonText(violation)}`,
    ];
  }
  const so = formatAge(violation.silentMs);
  return violation.mayBeDown
    ? [`hint: It moves when its machine has been unreachable for agent_ttl (${so} so far)`]
    : [];
}

function machineLines(
  verb: UnitVerb,
  { unit }: UnitResult,
  { machine, failure }: UnitResult['failures'][number],
): readonly string[] {
  const { summary, lines, hint } = failureText(failure, verb === 'apply' ? 'apply' : 'start', unit);
  // The summary names an unreachable machine.
  const where = failure.code === 'unreachable' ? '' : ` on machine ${machineTitle(machine)}`;
  return [
    `Error: Cannot ${verb} unit "${unit}"${where}: ${summary}`,
    ...lines.map((line) => `  ${line}`),
    ...hintLines(hint),
  ];
}

/** The hints how a request that did not reach a machine takes effect later. */
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
