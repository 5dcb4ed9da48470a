import { steadyClock } from '../../base/clock.ts';
import { isFleetError } from '../../base/errors.ts';
import { formatTime } from '../../base/time.ts';
import { loadConfig } from '../../config/load.ts';
import { Controller } from '../../controller/controller.ts';
import { type LogEntry, logEntry, logJson, logText } from '../../output/log.ts';
import { errorLines } from '../../output/report.ts';
import { writeLines } from '../command.ts';
import { withEdges } from '../context.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import type { Streams } from '../streams.ts';
import type { Flags } from './main.ts';
import { forController, paceOf } from './pace.ts';
import { handleSignals } from './signals.ts';

/** Keeps the cluster until it is told to end. */
export async function serve(flags: Flags, streams: Streams): Promise<ExitStatus> {
  const log = logTo(streams, flags.log);
  const signals = handleSignals(() => isUsable(flags, streams));
  try {
    while (!signals.ended.aborted) {
      const round = signals.nextRound();
      await withEdges(flags, streams, (edges) => keep(edges, round, log), { adapt: forController });
    }
    return EXIT.done;
  } finally {
    signals.release();
  }
}

async function keep(edges: Edges, signal: AbortSignal, log: (entry: LogEntry) => void): Promise<void> {
  const controller = new Controller({
    edges: { ...edges, clock: steadyClock() },
    ...paceOf(edges),
    leads: () => true,
    tell: (event) => {
      const entry = logEntry(event);
      if (entry !== undefined) log(entry);
    },
  });
  await controller.run(signal);
}

type Edges = Parameters<Parameters<typeof withEdges>[2]>[0];

function logTo({ err }: Streams, format: Flags['log']): (entry: LogEntry) => void {
  return (entry) => err(format === 'json' ? logJson(entry, formatTime(Date.now())) : logText(entry));
}

/** A configuration that cannot be read changes nothing: the old one stays in use. */
async function isUsable(flags: Flags, { env, cwd, home, err }: Streams): Promise<boolean> {
  try {
    await loadConfig({ flags, env, cwd, home });
    return true;
  } catch (error) {
    if (!isFleetError(error)) throw error;
    writeLines(err, errorLines(error));
    return false;
  }
}
