import { quote } from '../ssh/shell.ts';
import changeShell from './change.sh';
import glanceShell from './glance.sh';
import jobsShell from './jobs.sh';
import machineShell from './machine.sh';
import type { MachinePaths } from './machine-paths.ts';
import ownShell from './own.sh';
import { SHOW_PROPERTIES } from './show.ts';

/** How long a script waits for another fleet process on the same machine, in seconds. */
export const LOCK_WAIT_SECONDS = 30;

/**
 * What is sent first: the words of the later scripts, those of `changeScript` only for `change`. `marker` is random and
 * frames every answer.
 */
export function openingScript(marker: string, paths: MachinePaths, purpose: 'read' | 'change'): string {
  const words: Readonly<Record<string, string>> = {
    M: marker,
    D: paths.units,
    L: paths.state,
    R: paths.run,
    T: paths.volatile,
    P: SHOW_PROPERTIES.join(','),
    F: paths.foreign.join(' '),
    ...(purpose === 'change' && { W: String(LOCK_WAIT_SECONDS) }),
  };
  const settings = Object.entries(words).map(([name, value]) => `${name}=${quote(value)}\n`);
  const shell =
    purpose === 'change' ? machineShell + ownShell + glanceShell + jobsShell + changeShell : machineShell;
  return settings.join('') + withoutComments(shell);
}

/** Nor indents and empty lines, none of which our shell files have inside of a word. */
export function withoutComments(shell: string): string {
  return shell.replaceAll(/^ *#.*\n|^ +|^\n/gm, '');
}

/**
 * A script as one function that is called by its last line: one that arrives only in part never runs in part.
 */
export function complete(name: string, lines: readonly string[]): string {
  return `${name}() {\n${lines.join('\n')}\n}\n${name}; leave; step end :\n`;
}
