import type { ClusterSnapshot, DesiredUnit, MachineView } from '../cluster/snapshot.ts';
import type { ObservedUnit } from '../cluster/unit-state.ts';
import { hasStep, type Obstacle, type Step } from './step.ts';

/**
 * The unit as a machine shall have it. While its text is held, a copy with an older text keeps that one, and a machine
 * without a copy gets the last text that has not failed. Without such a text it is the unit itself, see {@link holdObstacle}.
 */
export function keptOn(
  unit: DesiredUnit | undefined,
  observed: ObservedUnit | undefined,
  { keptTexts = [] }: ClusterSnapshot,
): DesiredUnit | undefined {
  const has = observed?.record?.digest;
  if (unit?.held === undefined || has === unit.digest) return unit;
  const texts = keptTexts.filter(({ unit: older }) => older.name === unit.name);
  const kept = texts.find(({ unit: older, isBase }) => (has === undefined ? isBase : older.digest === has));
  if (kept === undefined) return unit;
  const { text, hash, digest, placement, triggers, dependencies } = kept.unit;
  return { ...unit, text, hash, digest, placement, triggers, dependencies };
}

/**
 * The obstacle to a change of a held unit: `kept` is what the machine shall have. A held text is not written, and not
 * started where it has failed. A copy that stays as it is because of the hold has the obstacle too, so that it is reported.
 */
export function holdObstacle(
  unit: DesiredUnit | undefined,
  kept: DesiredUnit | undefined,
  steps: readonly Step[],
  { id }: MachineView,
): Obstacle | undefined {
  const held = unit?.held;
  if (unit === undefined || kept === undefined || held === undefined) return undefined;
  const isStarted = hasStep({ steps }, 'start', 'restart', 'watch');
  const hasFailed = held.machines.some((machine) => machine.id === id);
  const keeps = kept.digest !== unit.digest;
  const isRefused = keeps
    ? !hasStep({ steps }, 'stop', 'write', 'start', 'restart')
    : hasStep({ steps }, 'write') || (hasFailed && isStarted);
  return isRefused ? { code: 'held', hash: unit.hash, held, keeps } : undefined;
}
