import { quote } from '../ssh/shell.ts';
import changeShell from './change.sh';
import installShell from './install.sh';
import jobsShell from './jobs.sh';
import machineShell from './machine.sh';
import observeShell from './observe.sh';
import { SHOW_PROPERTIES } from './show.ts';

/** Paths on a machine. */
export type MachinePaths = {
  /** Unit files of the administrator: systemd.unit(5). */
  readonly units: string;
  /** Data of fleet: records, tokens of removed units, the owning cluster. */
  readonly state: string;
  /** The lock and the lease, until the next boot. */
  readonly run: string;
  /** Unit files until the next boot: systemd.unit(5). */
  readonly volatile: string;
  /** The other folders of unit files; fleet refuses to shadow a file in them. */
  readonly foreign: readonly string[];
};

export const MACHINE_PATHS: MachinePaths = {
  units: '/etc/systemd/system',
  state: '/var/lib/fleet',
  run: '/run/fleet',
  volatile: '/run/systemd/system',
  foreign: [
    '/etc/systemd/system.attached',
    '/run/systemd/system',
    '/run/systemd/system.attached',
    '/run/systemd/transient',
    '/run/systemd/generator.early',
    '/run/systemd/generator',
    '/run/systemd/generator.late',
    '/usr/local/lib/systemd/system',
    '/usr/lib/systemd/system',
    '/lib/systemd/system',
  ],
};

/** How long a script waits for another fleet process on the same machine, in seconds. */
export const LOCK_WAIT_SECONDS = 30;

/**
 * The first script of a session: the functions that later scripts call, those of `changeScript` only for `change`.
 * `marker` is random and frames every answer.
 */
export function openingScript(marker: string, paths: MachinePaths, purpose: 'read' | 'change'): string {
  const variables: Readonly<Record<string, string>> = {
    M: marker,
    D: paths.units,
    L: paths.state,
    R: paths.run,
    T: paths.volatile,
    P: SHOW_PROPERTIES.join(','),
    F: paths.foreign.join(' '),
    ...(purpose === 'change' && { W: String(LOCK_WAIT_SECONDS) }),
  };
  const settings = Object.entries(variables).map(([name, value]) => `${name}=${quote(value)}\n`);
  const functions =
    machineShell + (purpose === 'change' ? observeShell + jobsShell + changeShell + installShell : '');
  return settings.join('') + withoutComments(functions);
}

/** Removes comments, indents and empty lines, none of which our shell files have inside of a word. */
export function withoutComments(shell: string): string {
  return shell.replaceAll(/^ *#.*\n|^ +|^\n/gm, '');
}

/** A script as one function that its last line calls, so that a script which arrives in part does nothing. */
export function complete(name: string, lines: readonly string[]): string {
  return `${name}() {\n${lines.join('\n')}\n}\n${name}; leave; step end :\n`;
}
