import { FleetError } from '../base/errors.ts';
import { formatDuration, parseDuration } from '../base/time.ts';
import type { WaitPolicy } from '../systemd/driver.ts';
import type { Call, CommandOption } from './command.ts';
import { numberOf } from './number-option.ts';

/** Hands jobs to systemd and comes back. Not where something has to follow: a file is never taken from a unit that runs. */
export const NO_BLOCK: CommandOption = {
  flags: '--no-block',
  description: 'queue the jobs in systemd on the machines, without waiting for them',
};

/** How long a verb waits at most. */
export const LIMITS: readonly CommandOption[] = [
  {
    flags: '--timeout <duration>',
    description:
      'maximum wait, such as 30s or 5m (default 2m for stops and 2m for starts); unfinished jobs continue and count as failed',
  },
  {
    flags: '--block-attempts <n>',
    description: "same as --timeout, in seconds (CoreOS fleet's name); 0: no limit",
  },
];

const LEAST_MS = 100;
/** A day: longer than anybody waits, and what timers can hold. */
const MOST_MS = 86_400_000;

/** What the options above say. Throws FleetError `usage` for what they cannot hold, and for two that exclude each other. */
export function waitPolicyOf({ block, timeout, blockAttempts }: Call['options']): WaitPolicy {
  const given = [
    block === false && '--no-block',
    timeout !== undefined && '--timeout',
    blockAttempts !== undefined && '--block-attempts',
  ].filter((flag) => flag !== false);
  if (given.length > 1) {
    throw new FleetError('usage', `Cannot use ${given.slice(0, 2).join(' and ')} together`, {
      hint: 'Each of them says how long to wait: leave one out',
    });
  }
  const attempts = numberOf('--block-attempts', blockAttempts);
  const attemptsMs = attempts === undefined ? undefined : Math.min(attempts * 1000 || MOST_MS, MOST_MS);
  return { blocks: block !== false, timeoutMs: readTimeout(timeout) ?? attemptsMs };
}

function readTimeout(option: string | boolean | undefined): number | undefined {
  if (typeof option !== 'string') return undefined;
  const ms = parseDuration(option);
  if (ms !== undefined && ms >= LEAST_MS && ms <= MOST_MS) return ms;
  const bounds = `from ${formatDuration(LEAST_MS)} to ${formatDuration(MOST_MS)}`;
  throw new FleetError('usage', `Cannot read --timeout: "${option}" is not a duration ${bounds}`, {
    hint: 'Give one: --timeout 30s',
  });
}
