import { type ErrorCode, isFleetError } from '../base/errors.ts';
import type { Failure } from '../cluster/failure.ts';
import { isActive } from '../cluster/unit-state.ts';
import type { DrainResult } from '../operations/drain.ts';
import type { JournalResult } from '../operations/journal.ts';
import type { PassResult } from '../operations/reconcile-everything.ts';
import type { RecoverResult } from '../operations/recover.ts';
import type { SetPlan } from '../operations/sets/plan.ts';
import type { StatusResult } from '../operations/status.ts';
import type { RequestResult } from '../operations/unit-result.ts';
import { isUnschedulable } from '../operations/unschedulable.ts';

/** Exit statuses. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  notActive: 3,
  notFound: 4,
  unreachable: 5,
  changes: 6,
  hungUp: 129,
  interrupted: 130,
  terminated: 143,
} as const;

/** The text of the manual about each, in Markdown. The build leaves it out, because only the manual uses it. */
export const EXIT_MEANINGS: Readonly<Record<keyof typeof EXIT, string>> = {
  done: 'Everything that was asked for holds. Lists exit with 0 even if a machine did not answer.',
  failed: 'Something failed.',
  usage: 'The command line or the configuration is wrong. Nothing was done.',
  notActive: 'A unit is not active (`status`).',
  notFound: 'There is no such unit or machine.',
  unreachable: 'A required machine did not answer.',
  changes: 'A plan has changes, or files differ from the registry (`plan`, `apply --dry-run`, `diff`).',
  hungUp: 'The terminal was closed (SIGHUP).',
  interrupted: 'The command was interrupted (Ctrl-C).',
  terminated: 'The command was terminated (SIGTERM).',
};

export type ExitStatus = (typeof EXIT)[keyof typeof EXIT];

/** The status of each error that is not just a failure; `test/cli/exit-status.test.ts` has all errors. */
const BY_CODE: Readonly<Partial<Record<ErrorCode, ExitStatus>>> = {
  usage: EXIT.usage,
  config: EXIT.usage,
  'unit-name': EXIT.usage,
  'unit-not-found': EXIT.notFound,
  'machine-not-found': EXIT.notFound,
  'registry-no-majority': EXIT.unreachable,
  'ssh-name': EXIT.unreachable,
  'ssh-refused': EXIT.unreachable,
  'ssh-timeout': EXIT.unreachable,
  'ssh-host-key': EXIT.unreachable,
  'ssh-authentication': EXIT.unreachable,
  'ssh-lost': EXIT.unreachable,
  'ssh-turned-away': EXIT.unreachable,
  'ssh-local': EXIT.unreachable,
  interrupted: EXIT.interrupted,
};

export function exitStatusOf(error: unknown): ExitStatus {
  return (isFleetError(error) ? BY_CODE[error.code] : undefined) ?? EXIT.failed;
}

/** The status of a request: a failure takes precedence over a missing unit, and that over an unreachable machine. */
export function requestStatus({
  results,
  problems,
}: Pick<RequestResult, 'results' | 'problems'>): ExitStatus {
  const statuses = new Set<ExitStatus>(problems.map(({ error }) => exitStatusOf(error)));
  for (const result of results) {
    const { failures, rejected } = result;
    if (isUnschedulable(result)) {
      const unreachable =
        rejected.length > 0 && rejected.every(({ reason }) => reason.code === 'machine-silent');
      statuses.add(unreachable ? EXIT.unreachable : EXIT.failed);
    }
    // It is assigned to a machine that has left fleet.conf: its state is unknown.
    if (result.violation?.code === 'machine-removed') statuses.add(EXIT.unreachable);
    for (const { failure } of failures) {
      statuses.add(isUnreachable(failure) ? EXIT.unreachable : EXIT.failed);
    }
  }
  const order = [EXIT.usage, EXIT.failed, EXIT.notFound, EXIT.unreachable];
  return order.find((status) => statuses.has(status)) ?? EXIT.done;
}

/** Whether machines that do not answer are the only cause; a copy may wait for its text because of others. */
function isUnreachable(failure: Failure): boolean {
  return (
    failure.code === 'unreachable' ||
    (failure.code === 'gated' && failure.down.every(({ isUnreachable }) => isUnreachable))
  );
}

/** The status of a plan: an error in the folder takes precedence over changes, and these over failures on machines. */
export function planStatus({ problems, changes, edits, expected }: SetPlan): ExitStatus {
  if (problems.length > 0) return requestStatus({ ...expected, problems });
  return changes.length + edits.joined.length > 0 ? EXIT.changes : requestStatus(expected);
}

/** The status of a drain: what is left on the machine is a failure. */
export function drainStatus(result: DrainResult): ExitStatus {
  const status = requestStatus(result);
  return status === EXIT.done && result.left.length > 0 ? EXIT.failed : status;
}

/**
 * The status of a pass over everything. An unreachable machine counts if a unit is stuck on it; that global units
 * lack it, or that nothing was wanted there, is not a failure.
 */
export function passStatus(pass: PassResult): ExitStatus {
  const status = requestStatus(pass);
  if (status !== EXIT.done && status !== EXIT.unreachable) return status;
  if (pass.otherCluster) return EXIT.failed;
  return pass.stranded.length > 0 ? EXIT.unreachable : status;
}

/** The status of a recovery: nothing was stored if a machine was unreachable, and a unit without a file is missing. */
export function recoverStatus(result: RecoverResult): ExitStatus {
  if (result.kind === 'unreachable') return EXIT.unreachable;
  if (result.kind === 'decided') return EXIT.done;
  return result.discrepancies.some(({ kind }) => kind === 'no-file') ? EXIT.failed : EXIT.done;
}

/** The status of `status`: a missing unit takes precedence over an unreachable machine, that over an inactive unit. */
export function statusStatus({ statuses, problems, unreachable }: StatusResult): ExitStatus {
  if (problems.some(({ error }) => error.code !== 'not-loaded')) return EXIT.notFound;
  if (unreachable.length > 0) return EXIT.unreachable;
  const areActive = statuses.every(({ state }) => state !== undefined && isActive(state));
  return problems.length === 0 && areActive ? EXIT.done : EXIT.notActive;
}

/** The status of `journal`: a read error takes precedence over a missing unit, and that over an unreachable machine. */
export function journalStatus({ problems, unreachable, failures }: JournalResult): ExitStatus {
  const statuses = new Set(problems.map(({ error }) => exitStatusOf(error)));
  if (failures.length > 0) return EXIT.failed;
  if (statuses.has(EXIT.notFound)) return EXIT.notFound;
  if (unreachable.length > 0) return EXIT.unreachable;
  return statuses.size > 0 ? EXIT.failed : EXIT.done;
}
