/**
 * The highest token that fleet accepts from a machine, a document or a recovery: half of the safe integers. The other half
 * remains for the revisions that follow it, so arithmetic with tokens stays exact.
 */
export const MAX_TOKEN = 2 ** 52;

/**
 * How far a machine may be ahead of the registry, or of all other machines, before its token is implausible. A registry
 * that gives a thousand revisions a second takes seven weeks for that many; a forged token wastes at most that many.
 */
export const MAX_LEAD = 2 ** 32;

/** Whether `value` can be a token: a whole number from 0 to {@link MAX_TOKEN}. */
export function isToken(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= MAX_TOKEN;
}
