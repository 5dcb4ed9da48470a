import { groupBy } from '../base/group-by.ts';
import { madeOnce } from '../base/lazy-map.ts';
import type { ClusterSnapshot, DesiredUnit, KeptText, MachineView } from './snapshot.ts';
import type { ObservedUnit } from './unit-state.ts';

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
