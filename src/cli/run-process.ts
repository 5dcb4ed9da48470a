import { type ExitStatus, exitStatusOf } from './exit-status.ts';
import { type Streams, standardError, writeLines } from './streams.ts';
import { traceOf, unexpected } from './unexpected.ts';

type Main = (argv: readonly string[], streams: Streams) => Promise<number>;

/** Runs a program with the words and the streams of this process, and sets the exit status. No error escapes. */
export async function runProcess(main: Main, streamsOf: () => Streams): Promise<void> {
  const report = { err: standardError, env: process.env };
  // What a callback throws reaches no caller.
  process.on('uncaughtException', (error) => tellError(error, report).then((status) => process.exit(status)));
  try {
    process.exitCode = await main(process.argv.slice(2), streamsOf());
  } catch (error) {
    process.exitCode = await tellError(error, report);
  }
}

/** Tells an error, expected or not, and resolves with the exit status that goes with it. */
export async function tellError(error: unknown, streams: Pick<Streams, 'err' | 'env'>): Promise<ExitStatus> {
  const { errorLines } = await import('../output/report.ts');
  const known = unexpected(error);
  writeLines(streams.err, [...errorLines(known), ...traceOf(error, streams)]);
  return exitStatusOf(known);
}
