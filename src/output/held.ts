import { formatDuration } from '../base/time.ts';
import { quoted } from '../base/visible.ts';
import type { RevertCause } from '../cluster/confirmation.ts';
import type { Held } from '../cluster/snapshot.ts';
import { isStarting, type SystemdState } from '../cluster/unit-state.ts';

/** `text 5d7d29e failed on m4: exit status 203` */
export function heldText({ hash, held }: { readonly hash: string; readonly held: Held }): string {
  const where = held.machines.map(({ name }) => name).join(', ');
  return `text ${hash.slice(0, 7)} failed on ${where}: ${causeText(held.cause)}`;
}

export function unhealthy({ what, withinMs }: { readonly what: string; readonly withinMs: number }): string {
  if (what === 'command') return `its HealthExec= did not succeed within ${formatDuration(withinMs)}`;
  return 'it was restarted or ended within HealthyFor=';
}

/** A cause of a newer program is shown by its kind. */
function causeText(cause: Held['cause']): string {
  if (cause.kind === 'unhealthy') return unhealthy(cause);
  if (cause.kind === 'reverted')
    return `the machine has reverted it, ${revertCause(cause.why, cause.windowMs)}`;
  if (cause.kind !== 'not-up') return String(Object(cause).kind);
  const { state } = cause;
  if (state.load === 'loaded' && state.exitCode === 1) return `exit status ${state.exitStatus}`;
  return notUp(state);
}

/** Why a unit is not up. */
export function notUp(state: SystemdState): string {
  const what = `${state.active} (${state.sub})`;
  if (state.load !== 'loaded') {
    return `systemd refuses it: ${state.loadError === '' ? state.load : quoted(state.loadError)}`;
  }
  if (isStarting(state)) {
    return `it is still starting: ${what}`;
  }
  if (state.active === 'inactive' && state.result === 'success') {
    // Because of a failed condition or a missing requirement, systemd started no process.
    return state.exitCode === 0
      ? `it did not start: ${what}`
      : `it ended right after its start: ${what}${ending(state)}`;
  }
  const restarts =
    state.restarts === 0 ? '' : `, ${state.restarts} restart${state.restarts === 1 ? '' : 's'}`;
  return `it did not stay up: ${what}, result ${state.result}${ending(state)}${restarts}`;
}

/** systemd's ExecMainCode is a CLD_ code of wait(2): 1 exited, 2 killed, 3 dumped core; 0 when nothing ran. */
function ending({ exitCode, exitStatus }: SystemdState): string {
  if (exitCode === 1) return `, exit status ${exitStatus}`;
  if (exitCode === 2 || exitCode === 3) return `, signal ${exitStatus}`;
  return '';
}

/** Why a machine has reverted a change, as the end of a sentence. */
export function revertCause(why: RevertCause, windowMs: number): string {
  const window = formatDuration(windowMs);
  switch (why) {
    case 'timeout':
      return `not confirmed within ${window}`;
    case 'reboot':
      return `the machine rebooted before it was confirmed (Confirm=${window})`;
    case 'failed':
      return 'the unit did not come up';
  }
}
