import { formatDuration } from '../base/time.ts';
import { quoted } from '../base/visible.ts';
import type { RevertCause } from '../cluster/confirmation.ts';
import { type Reason, type Rejection, tieText } from '../cluster/reason.ts';
import type { Held } from '../cluster/snapshot.ts';
import { isStarting, type SystemdState } from '../cluster/unit-state.ts';
import type { Stay } from '../schedule/decision.ts';
import { formatAge } from './format.ts';

/** A reason as the end of a sentence: `m1: its metadata has role=web, not role=db`. */
export function reasonText(reason: Reason): string {
  switch (reason.code) {
    case 'machine-id':
      return `MachineID=${reason.wanted} names another machine`;
    case 'machine-metadata': {
      const wanted = reason.wanted.map((value) => `${reason.key}=${value}`).join(' or ');
      const actual = reason.actual === undefined ? `no ${reason.key}` : `${reason.key}=${reason.actual}`;
      return `MachineMetadata= requires ${wanted}, and the machine has ${actual}`;
    }
    case 'machine-of-elsewhere':
      return `MachineOf=${reason.unit}, which is on "${reason.machine}"`;
    case 'machine-of-nowhere':
      return `MachineOf=${reason.unit}, which is on no machine`;
    case 'conflict': {
      const kind = reason.global ? 'global unit ' : '';
      return reason.declaredBy === 'this'
        ? `Conflicts=${reason.pattern}, and ${kind}"${reason.unit}" is there`
        : `${kind}"${reason.unit}" is there and has Conflicts=${reason.pattern}`;
    }
    case 'triggers-elsewhere':
      return `it starts "${reason.unit}", which is on "${reason.machine}"`;
    case 'triggered-unit':
      return `it starts "${reason.unit}", which does not fit there: ${reasonText(reason.reason)}`;
    case 'triggered-elsewhere':
      return reason.machine === undefined
        ? `"${reason.trigger}" starts it, and is not there`
        : `"${reason.trigger}" starts it, and is on "${reason.machine}"`;
    case 'not-triggered':
      return 'it is a template, and no socket there needs it';
    case 'replaced':
      return `"${reason.unit}" is there and replaces it (Replaces=)`;
    case 'unit-conflict':
      return `"${reason.tie.unit}" is there, and systemd never runs both: ${tieText(reason.tie)}`;
    case 'foreign-unit':
      return foreignUnit(reason.path);
    case 'other-cluster':
      return `it belongs to another cluster: ${quoted(reason.cluster)}`;
    case 'machine-silent':
      return `${unreachableText(reason)}: ${reason.message}`;
    case 'cordoned':
      return 'it is cordoned';
    case 'drained':
      return 'it is drained';
    case 'no-lease':
      return 'it has no lease: Fenced=true needs a running fleetd';
    case 'lease-may-hold':
      return reason.forMs === undefined
        ? `machine "${reason.machine}" is unreachable and may run it under its lease; only fleetd knows when that is over`
        : `machine "${reason.machine}" is unreachable and may run it under its lease for another ${formatAge(reason.forMs)}`;
    case 'held':
      return `held: ${heldText(reason)}`;
    case 'machine-removed':
      return 'no machine has this id any more';
  }
}

/** The array `rejected` of an answer in JSON: the machines that do not fit. */
export function rejectedJson(rejected: readonly Rejection[]): readonly object[] {
  return rejected.map(({ machine, reason }) => ({ machine, reason: reasonText(reason) }));
}

/** Why a unit stays on its machine, as the end of a sentence. */
export function stayText(stay: Stay): string {
  switch (stay.code) {
    case 'may-return':
      return 'the machine may come back';
    case 'is-up':
      return 'the machine is up and may run it';
    case 'cut-off':
      return 'too many machines are unreachable';
    case 'no-other':
      return 'no other machine fits';
    case 'held':
      return `text ${stay.hash.slice(0, 7)} is held, and there is no older one`;
  }
}

function unreachableText({ mayBeDown, silentMs }: Extract<Reason, { code: 'machine-silent' }>): string {
  if (!mayBeDown) return 'the machine cannot be used';
  return silentMs < 1000
    ? 'the machine does not answer'
    : `the machine has not answered for ${formatAge(silentMs)}`;
}

/** `path` is empty for a unit without a file: systemd made it from the mount table, or its file was removed. */
export function foreignUnit(path: string): string {
  return `the machine has a unit of that name that fleet did not install${path === '' ? '' : `: ${path}`}`;
}

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
