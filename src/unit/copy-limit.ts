// Options of a command have these values too. Every command loads this file, and not the parser of unit files.

/** How many copies of a unit may be down at once, as a number or as a percentage of its copies. */
export type CopyLimit = { readonly count: number } | { readonly percent: number };

/** What happens after a new text has failed: the rollout ends, or the old text returns as well. */
export type FailurePolicy = 'stop' | 'revert';

/** `3` or `25%`, from 1; undefined for anything else. */
export function parseCopyLimit(text: string): CopyLimit | undefined {
  const [, digits, sign] = /^([1-9]\d{0,5})(%?)$/.exec(text) ?? [];
  const value = Number(digits);
  if (digits === undefined || (sign === '%' && value > 100)) return undefined;
  return sign === '%' ? { percent: value } : { count: value };
}

/** The limit for so many copies: a percentage is rounded down, but at least 1. */
export function copiesWithin(limit: CopyLimit, copies: number): number {
  return 'count' in limit ? limit.count : Math.max(1, Math.floor((copies * limit.percent) / 100));
}

export function parseFailurePolicy(text: string): FailurePolicy | undefined {
  return text === 'stop' || text === 'revert' ? text : undefined;
}
