import { EventStream } from '../../api/events.ts';
import { InheritedSockets } from '../../api/listen.ts';
import { serveApi } from '../../api/serve.ts';
import { isFleetError } from '../../base/errors.ts';
import { formatTime, steadyClock } from '../../base/time.ts';
import { type Config, originOf } from '../../config/config.ts';
import { loadConfig } from '../../config/load.ts';
import { Controller } from '../../controller/controller.ts';
import { Election } from '../../controller/election.ts';
import { countedDriver } from '../../metrics/counted-driver.ts';
import { Metrics } from '../../metrics/metrics.ts';
import { differenceEntry } from '../../output/inventory.ts';
import { bugEntry, type LogEntry, logEntry, logJson, logText } from '../../output/log.ts';
import { errorLines } from '../../output/report.ts';
import type { ControllerEvent } from '../../reconcile/events.ts';
import type { Ports, Voters } from '../../reconcile/ports.ts';
import type { InventoryDifference } from '../../registry/inventory.ts';
import { withConfig } from '../context.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { openLeaderLock } from '../leader-lock.ts';
import { relocating } from '../registry.ts';
import { handleSignals } from '../signals.ts';
import { sshTargets } from '../ssh-targets.ts';
import { type Streams, writeLines } from '../streams.ts';
import { type Flags, forController, paceOf } from './options.ts';
import { type Supervisor, superviseBy } from './supervisor.ts';

/** The minimum time after which a leader that cannot work resigns, in ms. */
const MIN_PATIENCE_MS = 5_000;

/** Keeps the cluster until a signal ends it. */
export async function serve(flags: Flags, streams: Streams): Promise<ExitStatus> {
  const supervisor = superviseBy(streams.env);
  const log = logTo(streams, flags.log);
  const emit = (event: ControllerEvent): void => {
    const entry = logEntry(event);
    if (entry === undefined) return;
    log(entry);
    if (event.kind === 'leads' || event.kind === 'stands-by') supervisor.status(entry.message);
  };
  const inherited = new InheritedSockets(streams.env, process.pid);
  const onBug = (error: unknown): void => log(bugEntry(error));
  const load = async (): Promise<Config> => forController(await loadConfig({ flags, ...streams }));
  const signals = handleSignals(() => isUsable(load, streams));
  signals.ended.addEventListener('abort', () => supervisor.stopping());
  try {
    while (!signals.ended.aborted) {
      const round = signals.nextRound();
      const config = await load();
      const given = { streams, signal: round, emit, supervisor, inherited, onBug };
      // The controller compares with what it sees, and waits for no other process.
      const onDifference = (difference: InventoryDifference): void => log(differenceEntry(difference));
      const options = { guard: false, changes: true, onDifference };
      await withConfig(config, streams, (ports) => keep(ports, config, given), options);
      if (!signals.ended.aborted) supervisor.reloading();
    }
    return EXIT.done;
  } finally {
    signals.release();
  }
}

type Round = {
  readonly streams: Streams;
  readonly signal: AbortSignal;
  readonly emit: (event: ControllerEvent) => void;
  readonly supervisor: Supervisor;
  readonly inherited: InheritedSockets;
  readonly onBug: (error: unknown) => void;
};

/** One configuration's time: from the first look at the machines to the end of the last step. */
async function keep(ports: Ports, config: Config, round: Round): Promise<void> {
  const { signal, supervisor, streams } = round;
  const metrics = new Metrics();
  const events = new EventStream(Date.now().toString(36));
  const emit = (event: ControllerEvent): void => {
    for (const listener of [metrics, events]) listener.handle(event);
    round.emit(event);
  };
  const clock = steadyClock();
  const leads = (): boolean => election.isWon;
  const lock = await openLeaderLock(config, streams, ports.registry);
  const registry = relocating(ports.registry, lock, config);
  const election = new Election({
    lock,
    onChange: () => controller.wake(),
    onFailure: (error) => emit({ kind: 'election-failed', error }),
    trouble: () => controller.troubles.find(({ isOwn }) => isOwn)?.message,
    patienceMs: Math.max(MIN_PATIENCE_MS, config.agent_ttl),
    onYield: (trouble) => emit({ kind: 'leadership-given-up', trouble }),
  });
  const controller = new Controller({
    ports: {
      ...ports,
      registry,
      voters: ports.voters && withLock(ports.voters, lock),
      driver: countedDriver(ports.driver, (failure) => metrics.countSession(failure)),
      clock,
    },
    ...paceOf(config),
    leads,
    emit,
  });
  const api = await serveApi({
    ...round,
    settings: config,
    registry: controller.registry,
    watcher: controller,
    origin: originOf(config),
    electionError: () => election.failure,
    ...{ clock, leads, metrics, events },
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
    await api.close();
  }
}

/** The voters of the registry, together with those of the leader lock. Only changes of the former are reported. */
function withLock(voters: Voters, { tend }: Partial<Pick<Voters, 'tend'>>): Voters {
  return {
    ...voters,
    async tend(candidates) {
      const [changes] = await Promise.all([voters.tend(candidates), tend?.(candidates)]);
      return changes;
    },
  };
}

function logTo({ err }: Streams, format: Flags['log']): (entry: LogEntry) => void {
  return (entry) => err(format === 'json' ? logJson(entry, formatTime(Date.now())) : logText(entry));
}

/** An error in fleet.conf or ssh_config changes nothing: the old configuration stays in use. */
async function isUsable(load: () => Promise<Config>, streams: Streams): Promise<boolean> {
  try {
    sshTargets(await load(), streams);
    return true;
  } catch (error) {
    if (!isFleetError(error)) throw error;
    writeLines(streams.err, errorLines(error));
    return false;
  }
}
