import type { Lease } from '../cluster/lease.ts';
import { quote } from '../ssh/shell.ts';
import backupShell from './backup.sh';
import changeShell from './change.sh';
import type { ObserveRequest } from './driver.ts';
import { examinationLines } from './examination.ts';
import glanceShell from './glance.sh';
import jobsShell from './jobs.sh';
import leaseShell from './lease.sh';
import machineShell from './machine.sh';
import type { MachinePaths } from './machine-paths.ts';
import ownShell from './own.sh';
import { SHOW_PROPERTIES } from './show.ts';
import verificationShell from './verification.sh';
import { type VerifyRequest, verifyLines } from './verification.ts';

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
function withoutComments(shell: string): string {
  return shell.replaceAll(/^ *#.*\n|^ +|^\n/gm, '');
}

/**
 * Reads the machine: sections `facts`, `records`, `recorded` (the names of all records), `digests`, `links` and `units`,
 * about every unit fleet put there and those of the units `names` that systemd there may know something of; and `late`
 * about those of them that another process put there meanwhile. With `names`, a systemd that does not answer is noticed in
 * any case. `digests` costs a read of every unit file, `vitals` a process. With `token` also `tokens`; with `backup` that and `texts`, what a registry is rebuilt
 * from. With `sparing` it has `glance` and `runs` in place of `units`. The section `there` has the names that the answer is
 * about.
 */
export function observeScript({
  names,
  digests,
  backup = false,
  vitals = false,
  token = false,
  sparing = false,
  withinMs,
}: ObserveRequest): string {
  const asks = names.length > 0;
  const words = names.map(quote).join(' ');
  const more = (backup || token ? backupShell : '') + (sparing ? glanceShell : '');
  const script = complete('observe', [
    ...(withinMs === undefined ? [] : [`S=${Math.ceil(withinMs / 1000) + 1}`]),
    `section facts facts ${digests ? 'clock' : "''"}`,
    ...(vitals ? ['section vitals vitals'] : []),
    'set --',
    // Where there are none, the pattern stands for itself.
    '[ ! -d "$L/units" ] || { cd "$L/units" && set -- *; [ "$*" != "*" ] || [ -e "$1" ] || set --; }',
    'section records records "$@"',
    'section recorded recorded "$@"',
    ...(backup ? ['section texts texts "$@"'] : []),
    ...(backup || token ? ['section tokens tokens'] : []),
    'known=" $* "',
    // Some shells take a backslash for a pattern of file names.
    ...(asks ? [`there ${words}`, 'set -f', 'set -- "$@" $there', 'set +f'] : []),
    ...(digests ? ['section digests digests "$@"', 'section links links'] : []),
    ...(sparing
      ? ['[ $# -eq 0 ] || section glance glance "$@"', '[ $# -eq 0 ] || section runs runs "$@"']
      : [asks ? 'section units show "$@"' : '[ $# -eq 0 ] || section units show "$@"']),
    ...(asks ? [`late ${words}`] : []),
  ]);
  return withoutComments(more) + script;
}

/** What systemd tells of `units`: a section `units`. */
export function showScript(units: readonly string[]): string {
  return complete('showing', [`section units show ${units.map(quote).join(' ')}`]);
}

/** Extends the lease of the machine: a section `extend`. */
export function extendScript(lease: Lease): string {
  return `${withoutComments(ownShell + leaseShell)}${complete('extension', [`step extend extend ${leaseWords(lease)}`])}`;
}

/** Boot id and deadline, the latter in hundredths of a second, as machines count. */
export function leaseWords({ bootId, deadline }: Lease): string {
  return `${quote(bootId)} ${Math.floor(deadline * 100)}`;
}

/** The last lines about each unit since a change script of this shell began; a section a unit. */
export function journalScript(units: readonly string[], lines: number): string {
  return complete('journals', [
    // Else journald may not have read yet what a process wrote just before it ended.
    'journalctl --quiet --sync </dev/null >/dev/null 2>&1',
    ...units.map((unit, index) => `section journal:${index} journal ${quote(unit)} ${lines} "$began"`),
  ]);
}

/** What people are shown of each unit, with up to `lines` lines of its journal; a section `status:INDEX` a unit. */
export function statusScript(units: readonly string[], lines: number): string {
  return complete(
    'statuses',
    units.map((unit, index) => `section status:${index} status_of ${quote(unit)} ${lines}`),
  );
}

/** Checks unit files that are not there yet: a section `verify`. */
export function verifyScript(request: VerifyRequest): string {
  return withoutComments(ownShell + verificationShell) + complete('verification', verifyLines(request));
}

/** Looks at the machine's health: see `readExamination`. */
export function examineScript(): string {
  return complete('examination', examinationLines());
}

/**
 * A script as one function that is called by its last line: one that arrives only in part never runs in part.
 */
export function complete(name: string, lines: readonly string[]): string {
  return `${name}() {\n${lines.join('\n')}\n}\n${name}; leave; step end :\n`;
}
