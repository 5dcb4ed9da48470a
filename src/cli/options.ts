import { FleetError } from '../base/errors.ts';
import { formatDuration, parseDuration } from '../base/time.ts';
import type { RolloutLimits } from '../plan/rollout.ts';
import type { WaitPolicy } from '../systemd/driver.ts';
import { parseCopyLimit, parseFailurePolicy } from '../unit/copy-limit.ts';
import type { Call, CommandOption } from './command.ts';

/** The option of commands that answer in lines. */
export const OUTPUT: CommandOption = {
  flags: '-o, --output <format>',
  description: 'output format',
  choices: ['text', 'json'],
};

/** The option of commands that answer with a table. */
export const TABLE_OUTPUT: CommandOption = { ...OUTPUT, choices: ['table', 'json'] };

/** The option of every command that changes something. */
export const DRY_RUN: CommandOption = {
  flags: '--dry-run',
  description: 'show the planned steps and change nothing',
};

/** The option of commands that show units, to select one machine. */
export const MACHINE: CommandOption = {
  flags: '--machine <machine>',
  description: 'only this machine: its name, its address or the beginning of its id',
};

/** The options of commands that submit. */
export const REPLACE: CommandOption = {
  flags: '--replace',
  description: 'use local files that differ from the registry; running units are restarted with the new text',
};
export const NOW: CommandOption = {
  flags: '--now',
  description:
    'with --replace, also stop runs of the old text that a timer, socket or path started; otherwise they finish',
};
export const VERBOSE: CommandOption = {
  flags: '-v, --verbose',
  description: 'show differences between local files and the registry as unified diffs',
};

/** Not for commands that act after the job, because the file of a running unit is never removed. */
export const NO_BLOCK: CommandOption = {
  flags: '--no-block',
  description: 'queue the jobs in systemd on the machines, without waiting for them',
};

/** Limits of a wait. */
export const LIMITS: readonly CommandOption[] = [
  {
    flags: '--timeout <duration>',
    description:
      'maximum wait, such as 30s or 5m (default 2m each for stops and starts); unfinished jobs continue and count as failed',
  },
  {
    flags: '--block-attempts <n>',
    description: "same as --timeout, in seconds (CoreOS fleet's name); 0: no limit",
  },
];

/** The options of commands that bring new texts to machines. */
export const ROLLOUT: readonly CommandOption[] = [
  {
    flags: '--max-parallel <n>',
    description:
      'how many copies of a unit, or instances of a template, may be down at the same time for a new text: a number or a percentage (default: MaxParallel= of the unit, or 1)',
  },
  {
    flags: '--on-failure <policy>',
    description: 'after a new text has failed: keep other copies as they are, or also restore the old text',
    choices: ['stop', 'revert'],
  },
];

/** The option of commands that start units. */
export const RETRY: CommandOption = {
  flags: '--retry',
  description: 'try a held text again, although it has failed',
};

/** The values of {@link ROLLOUT}. Throws FleetError `usage`. */
export function rolloutLimitsOf({ maxParallel, onFailure }: Call['options']): RolloutLimits {
  const limit = typeof maxParallel === 'string' ? parseCopyLimit(maxParallel) : undefined;
  if (maxParallel !== undefined && limit === undefined)
    throw new FleetError(
      'usage',
      `Cannot read --max-parallel: "${maxParallel}" is neither a number from 1 nor a percentage`,
      { hint: 'Give one: --max-parallel 2, or --max-parallel 25%' },
    );
  const policy = typeof onFailure === 'string' ? parseFailurePolicy(onFailure) : undefined;
  return {
    ...(limit !== undefined && { maxParallel: limit }),
    ...(policy !== undefined && { onFailure: policy }),
  };
}

/** A day, which timers can hold. */
const LONGEST_WAIT_MS = 86_400_000;

/** The values of the options above. Throws FleetError `usage` if one is invalid or two exclude each other. */
export function waitPolicyOf({ block, timeout, blockAttempts }: Call['options']): WaitPolicy {
  const given = [
    block === false && '--no-block',
    timeout !== undefined && '--timeout',
    blockAttempts !== undefined && '--block-attempts',
  ].filter((flag) => flag !== false);
  if (given.length > 1) {
    throw new FleetError('usage', `Cannot use ${given.slice(0, 2).join(' and ')} together`, {
      hint: 'Both set the time to wait: remove one of them',
    });
  }
  const attempts = numberOption('--block-attempts', blockAttempts);
  const attemptsMs =
    attempts === undefined ? undefined : Math.min(attempts * 1000 || LONGEST_WAIT_MS, LONGEST_WAIT_MS);
  const timeoutMs = durationOption('--timeout', timeout, LONGEST_WAIT_MS, '30s');
  return { blocks: block !== false, timeoutMs: timeoutMs ?? attemptsMs };
}

const SHORTEST_MS = 100;

/** The duration given to an option, in ms; undefined without it. Throws FleetError `usage`. */
export function durationOption(
  flag: string,
  option: string | boolean | undefined,
  longestMs: number,
  example: string,
): number | undefined {
  if (typeof option !== 'string') return undefined;
  const ms = parseDuration(option);
  if (ms !== undefined && ms >= SHORTEST_MS && ms <= longestMs) return ms;
  const bounds = `from ${formatDuration(SHORTEST_MS)} to ${formatDuration(longestMs)}`;
  throw new FleetError('usage', `Cannot read ${flag}: "${option}" is not a duration ${bounds}`, {
    hint: `Give one: ${flag} ${example}`,
  });
}

/** The whole number given to an option; undefined without it. Throws FleetError `usage`. */
export function numberOption(flag: string, option: string | boolean | undefined): number | undefined {
  if (typeof option !== 'string') return undefined;
  if (/^\d{1,9}$/.test(option)) return Number(option);
  throw new FleetError('usage', `Cannot read ${flag}: "${option}" is not a whole number`, {
    hint: `Give one: ${flag}=10`,
  });
}

/** The number given to `--max-parallel` of `restart` and `drain`. Throws FleetError `usage`. */
export function maxParallelOf({ maxParallel = '1' }: Call['options']): number {
  if (/^[1-9]\d{0,5}$/.test(String(maxParallel))) return Number(maxParallel);
  throw new FleetError('usage', `Cannot read --max-parallel: "${maxParallel}" is not a whole number from 1`, {
    hint: 'Give one: --max-parallel 2',
  });
}

/** The text given to an option; undefined without it. */
export function textOption(option: string | boolean | undefined): string | undefined {
  return typeof option === 'string' ? option : undefined;
}
