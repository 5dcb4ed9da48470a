import { groupBy } from '../base/group-by.ts';
import { madeOnce } from '../base/lazy-map.ts';
import { differOnlyInFolderOptions } from '../unit/folder-options.ts';
import { isTemplateName, parseUnitName, templateOf } from '../unit/unit-name.ts';
import {
  type ClusterSnapshot,
  copiesOfUnits,
  type DesiredUnit,
  isChangeable,
  type KeptText,
  type MachineView,
  type ObservedCopy,
} from './snapshot.ts';
import { isUp, type ObservedUnit, STEADY_MS, upSince } from './unit-state.ts';

/**
 * The unit as a machine shall have it. While its text is held, a copy with an older text keeps that one, and a machine
 * without a copy gets the last text that has not failed. Without such a text it is the unit itself.
 */
export function keptOn(
  unit: DesiredUnit | undefined,
  observed: ObservedUnit | undefined,
  { keptTexts = [] }: ClusterSnapshot,
): DesiredUnit | undefined {
  const has = observed?.record?.digest;
  if (unit?.held === undefined || has === unit.digest) return unit;
  const texts = textsByUnit(keptTexts).get(unit.name);
  const kept = texts?.find(({ unit: older, isBase }) => (has === undefined ? isBase : older.digest === has));
  if (kept === undefined) return unit;
  const { text, hash, digest, placement, triggers, dependencies } = kept.unit;
  return { ...unit, text, hash, digest, placement, triggers, dependencies };
}

/** Whether a held unit has no older text that has not failed. */
export function isFirstText(name: string, { keptTexts = [] }: ClusterSnapshot): boolean {
  return (
    textsByUnit(keptTexts)
      .get(name)
      ?.some(({ isBase }) => isBase) !== true
  );
}

/** An index, because all instances of a template are held together. */
const textsByUnit = madeOnce((texts: readonly KeptText[]) => groupBy(texts, ({ unit }) => unit.name));

/** Whether the text that the unit has on the machine is held, and has failed there. */
export function hasFailedOn(
  unit: DesiredUnit | undefined,
  observed: ObservedUnit | undefined,
  { id }: MachineView,
): boolean {
  const isThere = observed?.record !== undefined && observed.record.digest === unit?.digest;
  return isThere && unit?.held?.machines.some((machine) => machine.id === id) === true;
}

/** The instances of a template with the same text are one group. */
export function groupOf(unit: DesiredUnit): string | undefined {
  if (unit.target !== 'launched' || isTemplateName(unit.name)) return undefined;
  const template = templateIn(unit);
  return template === undefined ? unit.name : `${template} ${unit.digest}`;
}

/**
 * Finds, for a unit, itself and the launched instances that get their text together with it. Nothing is searched before the first
 * instance, because most snapshots ask for none.
 */
export function groupsIn(units: Iterable<DesiredUnit>): (unit: DesiredUnit) => readonly DesiredUnit[] {
  let byTemplate: ReadonlyMap<string | undefined, readonly DesiredUnit[]> | undefined;
  const groups = new Map<string, readonly DesiredUnit[]>();
  return (unit) => {
    const key = groupOf(unit);
    if (key === undefined || key === unit.name) return [unit];
    const known = groups.get(key);
    if (known !== undefined) return known;
    byTemplate ??= groupBy(units, templateIn);
    const group = (byTemplate.get(templateIn(unit)) ?? []).filter(
      (other) => groupOf(other) === key || differOnlyInFolderOptions(unit.text, other.text),
    );
    groups.set(key, group);
    return group;
  };
}

/** The template whose text an instance has. */
function templateIn({ name, fromTemplate }: DesiredUnit): string | undefined {
  const isInstance = fromTemplate !== false && name.includes('@');
  return isInstance ? templateOf(parseUnitName(name))?.text : undefined;
}

/**
 * The held units whose text has come up without a pass, as a service with Restart= may, and is up on all of their machines.
 * Such a hold keeps nothing back any more, and would only keep the unit down after a reboot.
 */
export function provenUnits(snapshot: ClusterSnapshot): readonly string[] {
  const held = snapshot.units.filter((unit) => unit.held?.cause.kind === 'not-up');
  if (held.length === 0) return [];
  const copies = copiesOfUnits(snapshot, new Set(held.map(({ name }) => name)));
  const views = snapshot.machines.filter((view) => isChangeable(view, snapshot));
  const answered = new Set(views.map(({ id }) => id));
  const groupOf = groupsIn(held);
  const groups = held.map((unit) => ({ name: unit.name, group: groupOf(unit) }));
  const isWhole = (group: readonly DesiredUnit[]): boolean =>
    group.every((unit) => isProven(unit, copies.get(unit.name) ?? [], answered, snapshot.now));
  const proven = new Set([...new Set(groups.map(({ group }) => group))].filter(isWhole));
  return groups.filter(({ group }) => proven.has(group)).map(({ name }) => name);
}

function isProven(
  { digest, held }: DesiredUnit,
  copies: readonly ObservedCopy[],
  answered: ReadonlySet<string | undefined>,
  now: number,
): boolean {
  // A run from before the failure proves nothing.
  const isLong = (since: number): boolean => since > (held?.at ?? now) && now - since >= STEADY_MS;
  const launched = copies.filter(({ observed: { record } }) => record?.target === 'launched');
  const isSteady = ({ observed: { record, state, ...there } }: ObservedCopy): boolean =>
    there.digest === digest && record?.digest === digest && isUp(state) && isLong(upSince(state));
  return (
    launched.length > 0 &&
    launched.every(isSteady) &&
    held?.machines.every(({ id }) => answered.has(id)) === true
  );
}
