import type { Config } from '../../config/config.ts';

/** How often a controller asks each machine, and how long that may take: three times within agent_ttl, in ms. */
export function paceOf({ agent_ttl: ttlMs }: Pick<Config, 'agent_ttl'>): {
  intervalMs: number;
  deadlineMs: number;
} {
  return { intervalMs: ttlMs / 3, deadlineMs: Math.max(1_000, ttlMs / 3) };
}

/** How long a leader that is gone keeps its lock, in ms: half of what a machine is given. etcd takes no less than 2 s. */
export function leaderTtlOf({ agent_ttl: ttlMs }: Pick<Config, 'agent_ttl'>): number {
  return Math.max(2_000, ttlMs / 2);
}

/**
 * The configuration as a controller needs it: it watches units by itself, so that no start has to settle, and it has
 * no use for a connection that has been mute for longer than a machine may take to answer.
 */
export function forController(config: Config): Config {
  return { ...config, settle: 0, maxTimeoutMs: paceOf(config).deadlineMs };
}
