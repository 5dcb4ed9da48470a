import { steadyClock } from '../../base/clock.ts';
import { isFleetError } from '../../base/errors.ts';
import { formatTime } from '../../base/time.ts';
import type { Config } from '../../config/config.ts';
import { loadConfig } from '../../config/load.ts';
import { Controller } from '../../controller/controller.ts';
import { Election } from '../../controller/election.ts';
import { type LogEntry, logEntry, logJson, logText } from '../../output/log.ts';
import { errorLines } from '../../output/report.ts';
import type { ControllerEvent } from '../../reconcile/notice.ts';
import type { Edges } from '../../reconcile/reconcile.ts';
import { writeLines } from '../command.ts';
import { openSeat, withConfig } from '../context.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import type { Streams } from '../streams.ts';
import type { Flags } from './flags.ts';
import { forController, leaderTtlOf, paceOf } from './pace.ts';
import { handleSignals } from './signals.ts';
import { type Supervisor, superviseBy } from './supervisor.ts';

/** Keeps the cluster until it is told to end. */
export async function serve(flags: Flags, streams: Streams): Promise<ExitStatus> {
  const supervisor = superviseBy(streams.env);
  const log = logTo(streams, flags.log);
  const tell = (event: ControllerEvent): void => {
    const entry = logEntry(event);
    if (entry === undefined) return;
    log(entry);
    if (event.kind === 'leads' || event.kind === 'stands-by') supervisor.status(entry.message);
  };
  const load = (): Promise<Config> => configOf(flags, streams);
  const signals = handleSignals(() => isUsable(load, streams));
  signals.ended.addEventListener('abort', () => supervisor.stopping());
  try {
    while (!signals.ended.aborted) {
      const round = signals.nextRound();
      const config = await load();
      await withConfig(config, streams, (edges) => keep(edges, config, { signal: round, tell, supervisor }));
      if (!signals.ended.aborted) supervisor.reloading();
    }
    return EXIT.done;
  } finally {
    signals.release();
  }
}

type Round = {
  readonly signal: AbortSignal;
  readonly tell: (event: ControllerEvent) => void;
  readonly supervisor: Supervisor;
};

/** One configuration's time: from the first look at the machines to the end of the last step. */
async function keep(edges: Edges, config: Config, { signal, tell, supervisor }: Round): Promise<void> {
  const election = new Election({
    seat: await openSeat(config, leaderTtlOf(config)),
    onChange: () => controller.wake(),
    onFailure: (error) => tell({ kind: 'election-failed', error }),
  });
  const controller = new Controller({
    edges: { ...edges, clock: steadyClock() },
    ...paceOf(config),
    leads: () => election.isWon,
    tell,
  });
  const endWatch = supervisor.watch(() => controller.isAwake);
  void controller.whenReady.then(() => supervisor.ready());
  try {
    const over = new AbortController();
    const standing = election.run(over.signal);
    // It leads until the passes in hand are over.
    await controller.run(signal);
    over.abort();
    await standing;
  } finally {
    endWatch();
  }
}

async function configOf(flags: Flags, { env, cwd, home }: Streams): Promise<Config> {
  return forController(await loadConfig({ flags, env, cwd, home }));
}

function logTo({ err }: Streams, format: Flags['log']): (entry: LogEntry) => void {
  return (entry) => err(format === 'json' ? logJson(entry, formatTime(Date.now())) : logText(entry));
}

/** A configuration that cannot be read changes nothing: the old one stays in use. */
async function isUsable(load: () => Promise<Config>, { err }: Streams): Promise<boolean> {
  try {
    await load();
    return true;
  } catch (error) {
    if (!isFleetError(error)) throw error;
    writeLines(err, errorLines(error));
    return false;
  }
}
