/** How a machine that is down looks from here. */
const DOWN: ReadonlySet<string> = new Set(['ssh-refused', 'ssh-timeout', 'ssh-lost']);

/**
 * Whether an error with that code may mean that the machine is down: only then it counts as silence. A name, a key, a
 * login or a script that fails is a trouble of the observer, or proof that something answers there.
 */
export function mayBeDown({ code }: { readonly code: string }): boolean {
  return DOWN.has(code);
}
