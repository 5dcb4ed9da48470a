import { quoted } from '../base/visible.ts';
import { tieText } from '../cluster/dependencies.ts';
import type { Reason, Rejection } from '../cluster/reason.ts';
import type { Stay } from '../schedule/decision.ts';
import { formatAge } from './format.ts';
import { heldText } from './held.ts';

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
