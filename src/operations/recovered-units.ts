import { isFleetError } from '../base/errors.ts';
import { groupBy } from '../base/group-by.ts';
import { sha256 } from '../base/hash.ts';
import { compareText } from '../base/text.ts';
import type { MachineView } from '../cluster/snapshot.ts';
import type { TargetState, UnitRecord } from '../cluster/unit-state.ts';
import type { StoredUnit } from '../registry/edit.ts';
import { parsePlacement } from '../unit/placement.ts';
import { hashUnitFile, parseUnitFile } from '../unit/unit-file.ts';
import { isTemplate, parseUnitName } from '../unit/unit-name.ts';
import { type MachineRef, machineRef } from './listing.ts';

/** A unit that was rebuilt from the data on machines. */
export type RecoveredUnit = {
  readonly stored: StoredUnit;
  readonly target: TargetState;
  /** Its machine, or for a global unit all machines that have it. */
  readonly machines: readonly MachineRef[];
  /** All its texts on machines, the latest decision first. */
  readonly texts: readonly RecoveredText[];
  /** The reason why an operator has to accept it; undefined if machines confirm each other, or if it is accepted. */
  readonly doubt: Doubt | undefined;
};

export type RecoveredText = {
  /** SHA-256 of its bytes. */
  readonly digest: string;
  readonly text: string;
  readonly target: TargetState;
  readonly machines: readonly MachineRef[];
};

/**
 * `alone`: one machine has it. `newer`: one machine has the latest decision about it. `not-everywhere`: it is global and a
 * machine lacks it. `unusable`: its text is invalid, or no machine has it.
 */
export type Doubt = 'alone' | 'newer' | 'not-everywhere' | 'unusable';

/** A discrepancy between the copies of a unit. */
export type Discrepancy = {
  /**
   * `elsewhere`: a standard unit is also on this machine, by an older decision. `other-text`: a global unit has another
   * text there, by an older decision. `edited`: its file there is not the one that fleet wrote. `no-file`: it has no
   * readable file there, and no other machine has its text.
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
type Copies = readonly [Copy, ...Copy[]];

/**
 * Combines the copies of each unit; the highest token is the latest decision. A unit with a {@link Doubt} is stored as
 * inactive and unconfirmed, unless `isAccepted` returns true for it and the machine with the latest decision. A standard
 * unit is always in doubt, because a compromised machine could claim any unit. A unit whose text no machine has is stored
 * without it: a pass would stop a unit that the registry lacks.
 */
export function recoverUnits(
  machines: readonly MachineView[],
  isAccepted: (unit: string, machine: string) => boolean,
): RecoveredUnits {
  const all = machines.flatMap(copiesOn);
  // The instances of a template share a text.
  const texts = new Map(all.flatMap(({ text }) => (text === undefined ? [] : [[sha256(text), text]])));
  const found = [...groupBy(all, ({ record }) => record.unit)]
    .toSorted(([a], [b]) => compareText(a, b))
    .map(([, each]) => recoverUnit(each, texts, machines.length, isAccepted));
  return {
    units: found.map(({ unit }) => unit),
    discrepancies: found.flatMap(({ discrepancies }) => discrepancies),
  };
}

function copiesOn(view: MachineView): readonly Copy[] {
  return (view.observation?.units ?? []).flatMap(({ name, record }) =>
    record === undefined ? [] : [{ view, record, text: view.observation?.backup?.texts.get(name) }],
  );
}

function recoverUnit(
  copies: Copies,
  known: ReadonlyMap<string, string>,
  most: number,
  isAccepted: (unit: string, machine: string) => boolean,
): {
  readonly unit: RecoveredUnit;
  readonly discrepancies: readonly Discrepancy[];
} {
  const ordered = copies.toSorted(
    (a, b) => b.record.token - a.record.token || compareText(a.view.machine.name, b.view.machine.name),
  );
  const [last = copies[0]] = ordered;
  const source = ordered.find((copy) => isWhole(copy) && copy.record.digest === last.record.digest) ?? last;
  const { unit: name, target } = last.record;
  const text = source.text ?? known.get(last.record.digest);
  const texts = textsOf(ordered);
  const read = text === undefined ? undefined : readUnit(name, text);
  const doubt = doubtOf(read, texts, { ...source, text }, ordered.length, most);
  const machine = last.view.machine.name;
  const isOpen = doubt === 'unusable' || (doubt !== undefined && !isAccepted(name, machine));
  const stored = {
    name,
    text,
    hash: read?.hash ?? NO_HASH,
    digest: text === undefined ? digestOf(last.record) : sha256(text),
    target: isOpen ? 'inactive' : target,
    machine: read?.global ? undefined : last.view.id,
    ...(isOpen && { unconfirmed: { machine, target } }),
  } as const;
  return {
    unit: {
      stored,
      target,
      machines: (read?.global ? ordered : [last]).map(refOf),
      texts,
      doubt: isOpen ? doubt : undefined,
    },
    discrepancies: ordered.flatMap((copy) => {
      if (text === undefined && copy.text === undefined) return [discrepancy('no-file', copy)];
      if (!read?.global && copy !== last) return [discrepancy('elsewhere', copy)];
      if (copy.record.digest !== last.record.digest) return [discrepancy('other-text', copy)];
      return isWhole(copy) ? [] : [discrepancy('edited', copy)];
    }),
  };
}

/** The hash of a text that cannot be read. */
const NO_HASH = '0'.repeat(40);

/** The digest in a record; another one if it is damaged, because a document with it could not be read. */
function digestOf({ digest }: UnitRecord): string {
  return /^[0-9a-f]{64}$/.test(digest) ? digest : '0'.repeat(64);
}

function textsOf(copies: readonly Copy[]): readonly RecoveredText[] {
  const texts = new Map<string, RecoveredText>();
  for (const copy of copies) {
    const { text, record } = copy;
    if (text === undefined) continue;
    const digest = sha256(text);
    const key = `${digest} ${record.target}`;
    const machines = [...(texts.get(key)?.machines ?? []), refOf(copy)];
    texts.set(key, { digest, text, target: record.target, machines });
  }
  return [...texts.values()];
}

function doubtOf(
  read: { readonly global: boolean } | undefined,
  texts: readonly RecoveredText[],
  source: Copy,
  copies: number,
  most: number,
): Doubt | undefined {
  if (read === undefined) return 'unusable';
  const witnesses = texts.find(({ text, target }) => text === source.text && target === source.record.target);
  if (copies === 1) return 'alone';
  if (!read.global || (witnesses?.machines.length ?? 0) < 2) return 'newer';
  return copies < most ? 'not-everywhere' : undefined;
}

/** Whether the file is exactly the one that fleet wrote. */
function isWhole({ text, record }: Copy): boolean {
  return text !== undefined && sha256(text) === record.digest;
}

/** The hash of a text, and whether it is global; undefined for an invalid text. A template has no machine, like a global unit. */
function readUnit(
  unit: string,
  text: string,
): { readonly hash: string; readonly global: boolean } | undefined {
  try {
    const file = parseUnitFile(text, unit);
    const name = parseUnitName(unit);
    return { hash: hashUnitFile(file), global: isTemplate(name) || parsePlacement(file, name).global };
  } catch (error) {
    if (!isFleetError(error)) throw error;
    return undefined;
  }
}

function discrepancy(kind: Discrepancy['kind'], copy: Copy): Discrepancy {
  return { kind, unit: copy.record.unit, machine: refOf(copy) };
}

function refOf({ view }: Copy): MachineRef {
  return machineRef(view);
}
