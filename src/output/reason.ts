import { formatDuration } from '../base/time.ts';
import { quoted } from '../base/visible.ts';
import type { RevertCause } from '../cluster/confirmation.ts';
import { type Reason, type Rejection, tieText } from '../cluster/reason.ts';
import type { Held } from '../cluster/snapshot.ts';
import { isStarting, type SystemdState } from '../cluster/unit-state.ts';
import type { Stay } from '../schedule/decision.ts';
import { formatAge } from './format.ts';

/** A reason as the end of a sentence: `m1: its metadata has role=web, not role=db`. One of a newer program is its code. */
export function reasonText(reason: Reason): string {
  const text: ((reason: never) => string) | undefined = REASONS[reason.code];
  return text?.(reason as never) ?? reason.code;
}

type Texts = { readonly [C in Reason['code']]: (reason: Extract<Reason, { code: C }>) => string };

const REASONS: Texts = {
  'machine-id': ({ wanted }) => `MachineID=${wanted} names another machine`,
  'machine-metadata': ({ key, wanted, actual }) =>
    `MachineMetadata= requires ${wanted.map((value) => `${key}=${value}`).join(' or ')}, and the machine has ${
      actual === undefined ? `no ${key}` : `${key}=${actual}`
    }`,
  'machine-of-elsewhere': ({ unit, machine }) => `MachineOf=${unit}, which is on "${machine}"`,
  'machine-of-nowhere': ({ unit }) => `MachineOf=${unit}, which is on no machine`,
  conflict: ({ unit, pattern, declaredBy, global }) => {
    const kind = global ? 'global unit ' : '';
    return declaredBy === 'this'
      ? `Conflicts=${pattern}, and ${kind}"${unit}" is there`
      : `${kind}"${unit}" is there and has Conflicts=${pattern}`;
  },
  'triggers-elsewhere': ({ unit, machine }) => `it starts "${unit}", which is on "${machine}"`,
  'triggered-unit': ({ unit, reason }) =>
    `it starts "${unit}", which does not fit there: ${reasonText(reason)}`,
  'triggered-elsewhere': ({ trigger, machine }) =>
    machine === undefined
      ? `"${trigger}" starts it, and is not there`
      : `"${trigger}" starts it, and is on "${machine}"`,
  'not-triggered': () => 'it is a template, and no socket there needs it',
  replaced: ({ unit }) => `"${unit}" is there and replaces it (Replaces=)`,
  'unit-conflict': ({ tie }) => `"${tie.unit}" is there, and systemd never runs both: ${tieText(tie)}`,
  'foreign-unit': ({ path }) => foreignUnit(path),
  'other-cluster': ({ cluster }) => `it belongs to another cluster: ${quoted(cluster)}`,
  'machine-silent': (reason) => `${unreachableText(reason)}: ${reason.message}`,
  cordoned: () => 'it is cordoned',
  drained: () => 'it is drained',
  'no-lease': () => 'it has no lease: Fenced=true needs a running fleetd',
  'lease-may-hold': ({ machine, forMs }) =>
    forMs === undefined
      ? `machine "${machine}" is unreachable and may run it under its lease; only fleetd knows when that is over`
      : `machine "${machine}" is unreachable and may run it under its lease for another ${formatAge(forMs)}`,
  held: (reason) => `held: ${heldText(reason)}`,
  'machine-removed': () => 'no machine has this id any more',
};

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
  return whyNotUp(state);
}

/** Why a unit is not up. */
export function whyNotUp(state: SystemdState): string {
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
