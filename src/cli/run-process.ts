import { causeText, FleetError, isFleetError, remedyOf, systemErrorText } from '../base/errors.ts';
import { type ExitStatus, exitStatusOf } from './exit-status.ts';
import { type Streams, standardError, writeLines } from './streams.ts';

type Main = (argv: readonly string[], streams: Streams) => Promise<number>;

/** Runs a program with the arguments and the streams of this process, and sets the exit status. Reports every error. */
export async function runProcess(main: Main, streamsOf: () => Streams): Promise<void> {
  const report = { err: standardError, env: process.env };
  // An error of a callback reaches no caller.
  process.on('uncaughtException', (error) =>
    reportError(error, report).then((status) => process.exit(status)),
  );
  try {
    process.exitCode = await main(process.argv.slice(2), streamsOf());
  } catch (error) {
    process.exitCode = await reportError(error, report);
  }
}

/** Reports an error, expected or not, and resolves with its exit status. */
export async function reportError(
  error: unknown,
  streams: Pick<Streams, 'err' | 'env'>,
): Promise<ExitStatus> {
  const { errorLines } = await import('../output/report.ts');
  const known = unexpected(error);
  writeLines(streams.err, [...errorLines(known), ...traceOf(error, streams)]);
  return exitStatusOf(known);
}

/**
 * An unexpected error as a FleetError: a failed system call of this computer, not enough memory, or a bug in fleet.
 */
function unexpected(error: unknown): FleetError {
  if (isFleetError(error)) return error;
  const { syscall = 'a system call', path } = error as NodeJS.ErrnoException;
  if (systemErrorText(error) !== undefined) {
    const what = path === undefined ? syscall : `${syscall} "${path}"`;
    return new FleetError(
      'local',
      `Cannot continue, because ${what} failed on this computer: ${causeText(error)}`,
      {
        hint: remedyOf(error) ?? TRACE,
        cause: error,
      },
    );
  }
  // V8 and WebAssembly reserve address space, which `ulimit -v` takes from them.
  if (/out of memory|memory allocation|cannot allocate/i.test(String(error))) {
    const message = `Cannot continue, because this computer has not enough free memory: ${causeText(error)}`;
    return new FleetError('local', message, { hint: 'Raise the limit: ulimit -v unlimited', cause: error });
  }
  return new FleetError('defect', `Fleet has a defect: ${String(error)}`, { hint: TRACE, cause: error });
}

const TRACE = 'FLEETCTL_DEBUG=1 in the environment shows where it happened';

/** The stack traces of an error and of its causes, with FLEETCTL_DEBUG=1. */
function traceOf(error: unknown, { env }: Pick<Streams, 'env'>): readonly string[] {
  if (env.FLEETCTL_DEBUG !== '1') return [];
  const traces: string[] = [];
  for (let each: unknown = error; each instanceof Error; each = each.cause)
    traces.push(...(each.stack ?? String(each)).split('\n'));
  return traces;
}
