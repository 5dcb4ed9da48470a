import { formatDuration } from '../base/duration.ts';
import type { Reason } from '../cluster/reason.ts';

/** A reason as the end of a sentence: `m1: its metadata has role=web, not role=db`. */
export function reasonText(reason: Reason): string {
  switch (reason.code) {
    case 'machine-id':
      return `MachineID=${reason.wanted} names another machine`;
    case 'machine-metadata': {
      const wanted = reason.wanted.map((value) => `${reason.key}=${value}`).join(' or ');
      const actual = reason.actual === undefined ? `no ${reason.key}` : `${reason.key}=${reason.actual}`;
      return `MachineMetadata= asks for ${wanted}, it has ${actual}`;
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
    case 'foreign-unit':
      return `the machine has a unit of that name that fleet did not put there: ${reason.path}`;
    case 'other-cluster':
      return `it belongs to another cluster: ${reason.cluster}`;
    case 'machine-silent':
      return `it has not answered for ${seconds(reason.silentMs)}: ${reason.message}`;
    case 'machine-removed':
      return 'it is not in fleet.conf any more';
  }
}

/** Whole seconds, for people. */
export function seconds(ms: number): string {
  return formatDuration(Math.round(ms / 1000) * 1000);
}
