import { basename } from 'node:path';
import { isGlob } from '../base/glob.ts';
import type { SubmitRequest } from '../operations/submit.ts';
import type { DifferingFile, RequestResult } from '../operations/unit-result.ts';
import type { ReportLines } from '../output/report.ts';
import type { UnitVerb } from '../output/request-failures.ts';
import type { Ports } from '../reconcile/ports.ts';
import { isTemplate, parseUnitName, unitNameProblem } from '../unit/unit-name.ts';
import { type Call, printAnswer } from './command.ts';
import { type ExitStatus, requestStatus } from './exit-status.ts';
import { rolloutLimitsOf, waitPolicyOf } from './options.ts';
import { writeLines } from './streams.ts';

/** The answer of a command: lines, the object of `-o json`, and the exit status. */
type CommandResult = {
  readonly report: ReportLines;
  readonly json: () => object;
  readonly status: ExitStatus;
};

/**
 * Runs an operation that changes something unless `--dry-run` is given, and prints its answer. With `controller` a fleetd
 * of this computer runs its pass, if there is one.
 */
export async function runChange<Result>(
  call: Call,
  operation: (ports: Ports) => Promise<Result>,
  toAnswer: (result: Result, dryRun: boolean) => CommandResult,
  controller = false,
): Promise<ExitStatus> {
  const { withPorts } = await import('./context.ts');
  const dryRun = call.options.dryRun === true;
  const wait = waitPolicyOf(call.options);
  const units = controller ? namedUnits(call.arguments) : [];
  const options = { dryRun, controller, wait, units, changes: true };
  const result = await withPorts(call, operation, options);
  const { report, json, status } = toAnswer(result, dryRun);
  await printAnswer(call, report, json, !dryRun);
  return status;
}

/** Runs a command over several units. With `-v` it also prints how local files differ from the registry. */
export async function runUnitVerb<Result extends RequestResult>(
  verb: UnitVerb,
  call: Call,
  operation: (ports: Ports) => Promise<Result>,
  toJson?: (result: Result, dryRun: boolean) => object,
): Promise<ExitStatus> {
  const { dryRunReport, requestReport } = await import('../output/request-report.ts');
  const { requestJson } = await import('../output/request-json.ts');
  let differing: readonly DifferingFile[] = [];
  const toAnswer = (result: Result, dryRun: boolean): CommandResult => {
    differing = [...result.differing, ...(result.replacing ?? [])];
    return {
      report: dryRun ? dryRunReport(verb, result) : requestReport(verb, result),
      json: () => (toJson ?? requestJson)(result, dryRun),
      status: requestStatus(result),
    };
  };
  const status = await runChange(call, operation, toAnswer, true);
  if (call.flags.verbose === true && differing.length > 0) {
    const { differenceLines } = await import('../output/difference.ts');
    writeLines(call.streams.err, differing.flatMap(differenceLines));
  }
  return status;
}

/** The request of the commands that submit. */
export function submitRequest({ arguments: units, options, streams }: Call): SubmitRequest {
  return {
    units,
    cwd: streams.cwd,
    replace: options.replace === true,
    now: options.now === true,
    retry: options.retry === true,
    limits: rolloutLimitsOf(options),
    leaseWaitMs: leaseWaitOf(options),
  };
}

/** The limit of the wait for leases of fenced units, in ms; 0 for a dry run. */
export function leaseWaitOf(options: Call['options']): number {
  const { timeoutMs = LEASE_WAIT_MS } = waitPolicyOf(options);
  return options.dryRun === true ? 0 : timeoutMs;
}

/** The time limit for the first lease of a controller, in ms, without `--timeout`. */
const LEASE_WAIT_MS = 10_000;

/** The names of units in arguments; globs, templates and invalid names have none. */
function namedUnits(arguments_: readonly string[]): readonly string[] {
  return arguments_.flatMap((argument) => {
    const name = basename(argument);
    if (isGlob(name) || unitNameProblem(name) !== undefined) return [];
    const unit = parseUnitName(name);
    return isTemplate(unit) ? [] : [unit.text];
  });
}
