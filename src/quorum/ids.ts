import { randomBytes } from 'node:crypto';

export function randomId(): string {
  return randomBytes(16).toString('hex');
}

/** The distance to the next era, from 1 to 65,536. */
export function randomStep(): number {
  return Number.parseInt(randomBytes(2).toString('hex'), 16) + 1;
}

/** A number that no other proposer uses. */
export function randomProposer(): number {
  return Number.parseInt(randomBytes(6).toString('hex'), 16) + 1;
}
