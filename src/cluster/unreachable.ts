import type { Failure } from './failure.ts';
import type { Unreachable } from './snapshot.ts';

/** How a machine that is down looks from here. */
const DOWN: ReadonlySet<string> = new Set(['ssh-refused', 'ssh-timeout', 'ssh-lost']);

/**
 * Whether an error with that code may mean that the machine is down: only then it counts as silence. A name, a key, a
 * login or a script that fails is a trouble of the observer, or proof that something answers there.
 */
export function mayBeDown({ code }: { readonly code: string }): boolean {
  return DOWN.has(code);
}

/** The failure of what had to be done on a machine with that trouble. */
export function unreachableFailure({ code, message, hint }: Omit<Unreachable, 'since'>): Failure {
  return { code: 'unreachable', message, hint, mayBeDown: mayBeDown({ code }) };
}

/** How the answer of a machine looks that cannot be used. */
const UNUSABLE: ReadonlySet<string> = new Set(['machine-untrusted', 'bad-answer']);

/** Whether a machine with that trouble has answered: it does not speak for an observer that is cut off. */
export function hasAnswered({ code }: { readonly code: string }): boolean {
  return UNUSABLE.has(code);
}

/** How a machine says no: to this computer, its keys or its person. */
const REFUSALS: ReadonlySet<string> = new Set([
  'ssh-authentication',
  'ssh-host-key',
  'ssh-turned-away',
  'become-password',
  'become-refused',
  'become-denied',
  'become-tty',
  'become-missing',
]);

/**
 * Whether the machine answers and lets us not in. Asking again soon is of no use, and sshd has penalties for it
 * (sshd_config(5), PerSourcePenalties), which strike everyone who comes from the same address.
 */
export function isRefusal({ code }: { readonly code: string }): boolean {
  return REFUSALS.has(code);
}
