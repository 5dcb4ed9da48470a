import { join, resolve } from 'node:path';

/** What a path is relative to, both absolute: a folder, and the home folder that `~` stands for. */
export type PathBase = { readonly directory: string; readonly home: string };

/** How a message describes what {@link expandPath} reads. */
export function expectedPath(text: string): string {
  return text.startsWith('~') ? 'a path (only your own home folder can be written as ~)' : 'a path';
}

/**
 * A path as a person writes it → an absolute one. `~` and `~/…` are expanded, as no shell does that in a file;
 * undefined for an empty text and for the home folder of another user (`~root/key`).
 */
export function expandPath(text: string, base: PathBase): string | undefined {
  if (text === '') return undefined;
  if (text === '~' || text.startsWith('~/')) return resolve(base.directory, join(base.home, text.slice(1)));
  return text.startsWith('~') ? undefined : resolve(base.directory, text);
}
