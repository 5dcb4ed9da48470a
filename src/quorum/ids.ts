import { randomBytes } from 'node:crypto';

export function randomId(): string {
  return randomBytes(16).toString('hex');
}

/** A number that no other proposer uses. */
export function randomProposer(): number {
  return Number.parseInt(randomBytes(6).toString('hex'), 16) + 1;
}
