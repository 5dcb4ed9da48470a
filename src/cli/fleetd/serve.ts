import { execFile } from 'node:child_process';
import { EventStream } from '../../api/events.ts';
import { InheritedSockets } from '../../api/listen.ts';
import { serveApi } from '../../api/serve.ts';
import { isFleetError } from '../../base/errors.ts';
import { formatTime, steadyClock } from '../../base/time.ts';
import { oneLine } from '../../base/visible.ts';
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

/** The options of fleetd's command line. */
export type Flags = {
  readonly config?: string;
  readonly check?: true;
  readonly log: 'text' | 'json';
};

/**
 * The interval and the time limit of the observations of a machine, in ms: three within agent_ttl. Machines that are lost
 * together are all known to be unreachable before units leave the first one, because two intervals and one limit are shorter
 * than agent_ttl: the time of one counts from up to an interval before the loss, and another may have been observed just then.
 */
export function paceOf({ agent_ttl: ttlMs }: Pick<Config, 'agent_ttl'>): {
  intervalMs: number;
  deadlineMs: number;
} {
  return { intervalMs: ttlMs / 3, deadlineMs: Math.max(1_000, ttlMs / 4) };
}

/**
 * The configuration for a controller. It observes units itself, so no start has to settle. Its keepalive timeout is longer
 * than the interval of observations, because the end of a session between two of them proves that the machine was up.
 */
export function forController(config: Config): Config {
  return { ...config, settle: 0, timeoutMs: Math.max(1_000, 1.2 * paceOf(config).intervalMs) };
}

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
  let formerTtlMs = 0;
  try {
    while (!signals.ended.aborted) {
      const round = signals.nextRound();
      const config = await load();
      formerTtlMs = Math.max(formerTtlMs, config.agent_ttl);
      const given = { streams, signal: round, emit, supervisor, inherited, onBug, formerTtlMs };
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
  readonly formerTtlMs: number;
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
    formerTtlMs: round.formerTtlMs,
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

/** The messages that systemd expects from a unit of `Type=notify`; none without NOTIFY_SOCKET. */
type Supervisor = {
  /** Everything is in place. */
  ready(): void;
  /** One line for `systemctl status`. */
  status(line: string): void;
  reloading(): void;
  stopping(): void;
  /** Notifies the watchdog while `isAwake` returns true; the returned function stops it. */
  watch(isAwake: () => boolean): () => void;
};

/**
 * Sends the notifications of sd_notify(3) with the program `systemd-notify`, because Node has no Unix datagram sockets.
 * The unit needs `NotifyAccess=all`.
 */
function superviseBy(env: Readonly<Record<string, string | undefined>>): Supervisor {
  const isSupervised = env.NOTIFY_SOCKET !== undefined;
  const notify = (...words: readonly string[]): void => {
    // A failed notification is logged, and must not end the process.
    if (isSupervised) execFile('systemd-notify', [...words], () => undefined);
  };
  return {
    ready: () => notify('READY=1'),
    // A newline would start another assignment.
    status: (line) => notify(`STATUS=${oneLine(line)}`),
    reloading: () => notify('RELOADING=1'),
    stopping: () => notify('STOPPING=1'),
    watch(isAwake) {
      const intervalMs = Number(env.WATCHDOG_USEC ?? 0) / 1000 / 2;
      if (!isSupervised || !(intervalMs > 0)) return () => undefined;
      const timer = setInterval(() => isAwake() && notify('WATCHDOG=1'), intervalMs);
      return () => clearInterval(timer);
    },
  };
}
