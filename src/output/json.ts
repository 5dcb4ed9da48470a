import { formatTime } from '../base/time.ts';
import type { UnreadableUnit } from '../cluster/snapshot.ts';
import type { SystemdState } from '../cluster/unit-state.ts';
import { formatMachineId } from '../machine/machine.ts';
import type { HeldUnit, MachineRef, UnconfirmedUnit, UnreachableMachine } from '../operations/listing.ts';
import type { UnitProblem } from '../operations/unit-result.ts';
import type { NamedText } from '../operations/unit-texts.ts';
import { heldText } from './reason.ts';

/** `{ "texts": […] }`: exact copies of unit files that are UTF-8. */
export function textsJson(units: readonly NamedText[]): object {
  return { texts: units.map(({ name, hash, digest, text }) => ({ unit: name, hash, digest, text })) };
}

/** The time of the last change of state, and resource usage; unknown values are null. */
export function usageJson(state: Partial<Pick<SystemdState, 'since' | 'memoryBytes' | 'cpuNs'>>): object {
  return {
    since: state.since === undefined ? null : formatTime(state.since),
    memoryBytes: state.memoryBytes ?? null,
    cpuNs: state.cpuNs ?? null,
  };
}

/** The output of `-o json`: indented, so that people can read it too. */
export function jsonText(value: object): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

/** One object per line (NDJSON), for a sequence of answers. */
export function jsonLine(value: object): string {
  return `${JSON.stringify(value)}\n`;
}

/** The array `problems`: the errors about arguments. */
export function problemsJson(problems: readonly UnitProblem[]): readonly object[] {
  return problems.map(({ unit, error }) => ({ unit, message: error.message, hint: error.hint ?? null }));
}

/** The array `unreachable` of all output about machines. */
export function unreachableJson(unreachable: readonly UnreachableMachine[]): readonly object[] {
  return unreachable.map(({ machine, message, silentMs }) => ({
    ...machineJson(machine),
    reason: message,
    silentMs,
  }));
}

export function unreadableJson(unreadable: readonly UnreadableUnit[]): readonly object[] {
  return unreadable.map(({ unit, message }) => ({ unit, reason: message }));
}

/** The arrays `held` and `unconfirmed`, if they have entries. */
export function confirmationsJson({
  held = [],
  unconfirmed = [],
}: {
  readonly held?: readonly HeldUnit[] | undefined;
  readonly unconfirmed?: readonly UnconfirmedUnit[] | undefined;
}): object {
  const failed = held.map(({ unit, hash, held: failure }) => ({
    unit,
    hash,
    reason: heldText({ hash, held: failure }),
  }));
  const armed = unconfirmed.map(({ unit, machine, hash, leftMs }) => ({
    unit,
    machine: machineJson(machine),
    hash,
    leftMs: Math.round(leftMs),
  }));
  return { ...(failed.length > 0 && { held: failed }), ...(armed.length > 0 && { unconfirmed: armed }) };
}

export function machineJson({ name, id, address }: MachineRef): object {
  return { id: id === undefined ? null : formatMachineId(id), name, ip: address };
}
