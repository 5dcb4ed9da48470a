import { globProblem, isGlob, matchesGlob } from '../base/glob.ts';
import { quoted } from '../base/visible.ts';
import { type Fence, readFence } from './fence.ts';
import { type FleetSection, readFleetSection, type Word, wordError } from './fleet-section.ts';
import { isTrue, type UnitFile } from './unit-file.ts';
import { isTemplate, parseUnitName, type UnitName, unitNameProblem } from './unit-name.ts';

/** What a unit's `[X-Fleet]` section asks for, specifiers expanded. */
export type Placement = {
  /** A machine id in 32 hex digits, or its first eight. */
  readonly machineId: string | undefined;
  /** Metadata key → the values any of which will do. All keys must match. */
  readonly metadata: Readonly<Record<string, readonly string[]>>;
  /** Names of units whose machine this unit must share. */
  readonly machineOf: readonly string[];
  /** Globs over the names of units that must not share a machine with this one. */
  readonly conflicts: readonly string[];
  readonly global: boolean;
  readonly replaces: readonly string[];
  /** Of a unit of which there may never be two copies. */
  readonly fence: Fence | undefined;
};

/**
 * Reads what a unit asks of its machine. Values are parted by blanks and may be quoted; repeated options add up, the
 * last `Global=` and `Fenced=` hold. For a template, whatever depends on the instance is left out.
 * @throws FleetError `placement`, with the line, also where fleet would have ignored the mistake
 */
export function parsePlacement(file: UnitFile, name: UnitName): Placement {
  const section = readFleetSection(file, name);
  const placement: Placement = {
    machineId: readMachineId(section.MachineID),
    metadata: readMetadata(section.MachineMetadata),
    machineOf: section.MachineOf.map(readOtherUnit),
    conflicts: section.Conflicts.map(readConflict),
    global: section.Global.map(readBoolean).at(-1) ?? false,
    replaces: section.Replaces.map(readOtherUnit),
    fence: readFenced(section.Fenced, file),
  };
  checkTogether(placement, section);
  return placement;
}

const MACHINE_ID = /^([\da-f]{8}|[\da-f]{32}|[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12})$/i;

/** The one machine id, without dashes and in lower case; the longer where one abbreviates the other. */
function readMachineId(words: readonly Word[]): string | undefined {
  let id = '';
  for (const word of words) {
    if (!MACHINE_ID.test(word.text)) {
      throw wordError(
        word,
        'is no machine id',
        'Give the 32 hex digits of /etc/machine-id, or the first eight',
      );
    }
    const next = word.text.replaceAll('-', '').toLowerCase();
    if (!id.startsWith(next) && !next.startsWith(id)) {
      throw wordError(
        word,
        `names another machine than ${quoted(id)}`,
        'A unit runs on one machine: keep one of them',
      );
    }
    if (next.length > id.length) id = next;
  }
  return id === '' ? undefined : id;
}

function readMetadata(words: readonly Word[]): Record<string, string[]> {
  const metadata = new Map<string, Set<string>>();
  for (const word of words) {
    const [, key, value] = /^([^\s=]+)=([^\s=](?:[^=]*[^\s=])?)$/.exec(word.text) ?? [];
    if (key === undefined || value === undefined) {
      throw wordError(
        word,
        'is not key=value',
        'Write MachineMetadata=role=web, with quotes around it if it has blanks',
      );
    }
    metadata.set(key, (metadata.get(key) ?? new Set()).add(value));
  }
  return Object.fromEntries([...metadata].map(([key, values]) => [key, [...values]]));
}

/** The full name of another unit that can run. */
function readOtherUnit(word: Word): string {
  const unit = readRunnable(word);
  if (unit.text === word.unit.text) throw wordError(word, 'is the unit itself', 'Name another unit');
  return unit.text;
}

/** A glob as it stands, or a full name. */
function readConflict(word: Word): string {
  const problem = globProblem(word.text);
  if (problem !== undefined)
    throw wordError(word, `is no glob, ${problem}`, 'Write it as web@*.service or web-[0-9].service');
  return isGlob(word.text) ? word.text : readRunnable(word).text;
}

/** A unit name, with its suffix. A template never runs, so naming one is always a mistake. */
function readRunnable(word: Word): UnitName {
  const problem = unitNameProblem(word.text);
  if (problem !== undefined)
    throw wordError(word, `is no unit name, ${problem}`, 'Name a unit, as in web.service');
  const unit = parseUnitName(word.text);
  if (!isTemplate(unit)) return unit;
  const { prefix, type } = unit;
  const hint = `Name an instance, as in ${prefix}@1.${type}; Conflicts takes ${prefix}@*.${type} for all of them`;
  throw wordError(word, 'names a template, which never runs itself', hint);
}

function readFenced(words: readonly Word[], file: UnitFile): Fence | undefined {
  const isFenced = words.map(readBoolean).at(-1) ?? false;
  const last = words.at(-1);
  return isFenced && last !== undefined ? readFence(file, last) : undefined;
}

function readBoolean(word: Word): boolean {
  if (isTrue(word.text)) return true;
  if (/^(0|no|n|false|f|off)$/i.test(word.text)) return false;
  throw wordError(
    word,
    'is neither true nor false',
    'Write true or false (yes, no, on, off, 1 and 0 do as well)',
  );
}

/** Refuses the combinations that fleet refuses: they contradict each other on whatever machine. */
function checkTogether(placement: Placement, section: FleetSection): void {
  const single = [...section.MachineID, ...section.MachineOf, ...section.Replaces][0];
  if (placement.global && single !== undefined) {
    throw wordError(
      single,
      'cannot be used with Global',
      'A global unit runs on all machines that MachineMetadata allows',
    );
  }
  const fenced = section.Fenced.at(-1);
  if (placement.global && placement.fence !== undefined && fenced !== undefined) {
    throw wordError(fenced, 'cannot be used with Global', 'A global unit has a copy on every machine');
  }
  const replaced = section.Replaces[0];
  if (placement.conflicts.length > 0 && replaced !== undefined) {
    throw wordError(replaced, 'cannot be used with Conflicts', 'Remove one of them');
  }
  for (const word of section.MachineOf) {
    const conflict = placement.conflicts.find((glob) => matchesGlob(glob, parseUnitName(word.text).text));
    if (conflict === undefined) continue;
    throw wordError(word, `contradicts the unit's own Conflicts ${quoted(conflict)}`, 'Remove one of them');
  }
}
