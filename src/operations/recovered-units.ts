import { compareText } from '../base/compare.ts';
import { FleetError, isFleetError } from '../base/errors.ts';
import { sha256 } from '../base/hash.ts';
import type { MachineView } from '../cluster/snapshot.ts';
import type { TargetState } from '../cluster/target-state.ts';
import type { UnitRecord } from '../cluster/unit-state.ts';
import type { StoredUnit } from '../registry/edit.ts';
import { parsePlacement } from '../unit/placement.ts';
import { hashUnitFile, parseUnitFile } from '../unit/unit-file.ts';
import { parseUnitName } from '../unit/unit-name.ts';
import { type MachineRef, machineRef } from './machine-ref.ts';

/** A unit as machines remember it. */
export type RecoveredUnit = {
  readonly stored: StoredUnit;
  readonly target: TargetState;
  /** Where it is wanted: one machine, or all that have it for a global unit. */
  readonly machines: readonly MachineRef[];
};

/** Something about a unit that does not fit: */
export type Discrepancy = {
  /**
   * `elsewhere`: a standard unit is there too, by an older decision. `other-text`: a global unit has another text
   * there, by an older decision. `edited`: its file there is not what fleet had put there. `no-file`: its file is
   * gone, so that it cannot be recovered.
   */
  readonly kind: 'elsewhere' | 'other-text' | 'edited' | 'no-file';
  readonly unit: string;
  readonly machine: MachineRef;
};

export type RecoveredUnits = {
  readonly units: readonly RecoveredUnit[];
  readonly discrepancies: readonly Discrepancy[];
};

type Copy = { readonly view: MachineView; readonly record: UnitRecord; readonly text: string | undefined };

/**
 * Puts together what machines have of each unit; where they do not agree, the highest token was decided last.
 * Throws FleetError `not-recoverable` for a file that makes no sense: the registry could not be read with it.
 */
export function recoverUnits(machines: readonly MachineView[]): RecoveredUnits {
  const copies = new Map<string, readonly Copy[]>();
  for (const copy of machines.flatMap(copiesOn)) {
    const { unit } = copy.record;
    copies.set(unit, [...(copies.get(unit) ?? []), copy]);
  }
  const found = [...copies].toSorted(([a], [b]) => compareText(a, b)).map(([, each]) => recoverUnit(each));
  return {
    units: found.flatMap(({ unit }) => unit ?? []),
    discrepancies: found.flatMap(({ discrepancies }) => discrepancies),
  };
}

function copiesOn(view: MachineView): readonly Copy[] {
  return (view.observation?.units ?? []).flatMap(({ name, record }) =>
    record === undefined ? [] : [{ view, record, text: view.observation?.backup?.texts.get(name) }],
  );
}

function recoverUnit(copies: readonly Copy[]): {
  readonly unit: RecoveredUnit | undefined;
  readonly discrepancies: readonly Discrepancy[];
} {
  const ordered = copies.toSorted(
    (a, b) => b.record.token - a.record.token || compareText(a.view.machine.name, b.view.machine.name),
  );
  const [last] = ordered;
  const source = ordered.find((copy) => isWhole(copy) && copy.record.digest === last?.record.digest) ?? last;
  if (last === undefined || source?.text === undefined) {
    return { unit: undefined, discrepancies: ordered.map((copy) => discrepancy('no-file', copy)) };
  }
  const { stored, global } = readUnit(source, last);
  return {
    unit: { stored, target: last.record.target, machines: (global ? ordered : [last]).map(refOf) },
    discrepancies: ordered.flatMap((copy) => {
      if (!global && copy !== last) return [discrepancy('elsewhere', copy)];
      if (copy.record.digest !== last.record.digest) return [discrepancy('other-text', copy)];
      return isWhole(copy) ? [] : [discrepancy('edited', copy)];
    }),
  };
}

/** Whether the file is to the byte what fleet put there. */
function isWhole({ text, record }: Copy): boolean {
  return text !== undefined && sha256(text) === record.digest;
}

function readUnit(
  { text = '', view }: Copy,
  { record, view: home }: Copy,
): { readonly stored: StoredUnit; readonly global: boolean } {
  const { unit, target } = record;
  try {
    const name = parseUnitName(unit);
    const file = parseUnitFile(text, unit);
    const { global } = parsePlacement(file, name);
    const machine = global ? undefined : home.id;
    const stored = { name: unit, text, hash: hashUnitFile(file), digest: sha256(text), target, machine };
    return { stored, global };
  } catch (error) {
    if (!isFleetError(error)) throw error;
    throw new FleetError(
      'not-recoverable',
      `Cannot recover unit "${unit}" from machine "${view.machine.name}": ${error.message}`,
      {
        hint: `Repair its file on the machine, or give it up there: rm /var/lib/fleet/units/${unit}`,
        cause: error,
      },
    );
  }
}

function discrepancy(kind: Discrepancy['kind'], copy: Copy): Discrepancy {
  return { kind, unit: copy.record.unit, machine: refOf(copy) };
}

function refOf({ view }: Copy): MachineRef {
  return machineRef(view);
}
