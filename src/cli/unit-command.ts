import type { SubmitRequest } from '../operations/submit.ts';
import type { DifferingFile, RequestResult } from '../operations/unit-result.ts';
import type { UnitVerb } from '../output/request-failures.ts';
import type { Ports } from '../reconcile/reconcile.ts';
import { type Call, type CommandOption, printAnswer } from './command.ts';
import type { ExitStatus } from './exit-status.ts';
import { writeLines } from './streams.ts';
import { waitPolicyOf } from './wait-options.ts';

/** The option of the verbs that submit. */
export const REPLACE: CommandOption = {
  flags: '--replace',
  description: 'use local files that differ from the registry; running units are restarted with the new text',
};

/** The option of the verbs that submit, for units that something else starts. */
export const NOW: CommandOption = {
  flags: '--now',
  description:
    'with --replace, also stop runs of the old text that a timer, socket or path started; otherwise they finish',
};

/** Another option of the verbs that submit. */
export const VERBOSE: CommandOption = {
  flags: '-v, --verbose',
  description: 'show differences between local files and the registry as unified diffs',
};

/** The option of every verb that changes something. */
export const DRY_RUN: CommandOption = {
  flags: '--dry-run',
  description: 'show the planned steps and change nothing',
};

/** What the verbs that submit ask of the registry. */
export function submitRequest({ arguments: units, options, streams }: Call): SubmitRequest {
  const { timeoutMs = LEASE_WAIT_MS } = waitPolicyOf(options);
  const leaseWaitMs = options.dryRun === true ? 0 : timeoutMs;
  return {
    units,
    cwd: streams.cwd,
    replace: options.replace === true,
    now: options.now === true,
    leaseWaitMs,
  };
}

/** How long a controller has to give the first lease, in ms, unless `--timeout` says something else. */
const LEASE_WAIT_MS = 10_000;

/** What every verb over several units does around its operation: open, run, report, exit status. */
export async function runUnitVerb<Result extends RequestResult>(
  verb: UnitVerb,
  call: Call,
  operation: (ports: Ports) => Promise<Result>,
  toJson?: (result: Result, dryRun: boolean) => object,
): Promise<ExitStatus> {
  const [{ withPorts }, { dryRunReport, requestReport }, { requestJson }, { requestStatus }] =
    await Promise.all([
      import('./context.ts'),
      import('../output/request-report.ts'),
      import('../output/request-json.ts'),
      import('./exit-status.ts'),
    ]);
  const dryRun = call.options.dryRun === true;
  const wait = waitPolicyOf(call.options);
  const replaces = call.flags.verbose === true && call.options.replace === true;
  let replaced: readonly DifferingFile[] = [];
  const work = async (ports: Ports): Promise<Result> => {
    if (replaces) {
      const { differingFiles } = await import('../operations/differing-files.ts');
      replaced = await differingFiles(ports.registry, submitRequest(call));
    }
    return operation(ports);
  };
  const request = await withPorts(call.flags, call.streams, work, { dryRun, wait });
  const report = dryRun ? dryRunReport(verb, request) : requestReport(verb, request);
  await printAnswer(call, report, () => (toJson ?? requestJson)(request, dryRun), !dryRun);
  const differing = [...request.differing, ...replaced];
  if (call.flags.verbose === true && differing.length > 0) {
    const { differenceLines } = await import('../output/difference.ts');
    writeLines(call.streams.err, differing.flatMap(differenceLines));
  }
  return requestStatus(request);
}
