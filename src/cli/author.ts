import { hostname, userInfo } from 'node:os';

/**
 * Who changes the registry, for its history and its events: `user@host`. For root it is the person who became root with
 * sudo(8) or doas(1), as these programs tell in the environment.
 */
export function authorOf(env: Readonly<Record<string, string | undefined>>): string {
  const person = process.geteuid?.() === 0 ? env.SUDO_USER || env.DOAS_USER || undefined : undefined;
  return `${person ?? accountName()}@${hostname()}`;
}

/** A uid without an entry in passwd(5), as in a container, has no name. */
function accountName(): string {
  try {
    return userInfo().username;
  } catch {
    return `${process.geteuid?.() ?? 'unknown'}`;
  }
}
