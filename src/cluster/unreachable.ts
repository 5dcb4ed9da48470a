import type { Failure } from './failure.ts';
import type { Unreachable } from './snapshot.ts';

/** Error codes that suggest that the machine is down. */
const DOWN: ReadonlySet<string> = new Set(['ssh-refused', 'ssh-timeout', 'ssh-lost']);

/**
 * Whether the machine may be down; only then its units may move. A failed name lookup, host key check, login or script
 * is a problem of the observer, or proves that the machine is up.
 */
export function mayBeDown({ code }: { readonly code: string }): boolean {
  return DOWN.has(code);
}

/** The failure of the steps for such a machine. */
export function unreachableFailure({ code, message, hint }: Omit<Unreachable, 'since'>): Failure {
  return { code: 'unreachable', message, hint, mayBeDown: mayBeDown({ code }) };
}

/** Error codes of a machine that has answered, but cannot be used. */
const UNUSABLE: ReadonlySet<string> = new Set(['machine-untrusted', 'bad-answer']);

/** Whether the machine has answered: then it is no sign that the observer is cut off. */
export function hasAnswered({ code }: { readonly code: string }): boolean {
  return UNUSABLE.has(code);
}

/** Error codes of a machine that refuses this computer, its keys or its user. */
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
 * Whether the machine is up and refuses access. A quick retry does not help, and sshd penalizes it for all users of the
 * same address (sshd_config(5), PerSourcePenalties).
 */
export function isRefusal({ code }: { readonly code: string }): boolean {
  return REFUSALS.has(code);
}
