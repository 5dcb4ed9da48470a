import type { Config } from '../../config/config.ts';

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
