import { isFirstText } from '../cluster/held.ts';
import {
  type ClusterSnapshot,
  copiesOfUnits,
  type DesiredUnit,
  isChangeable,
  type MachineView,
  type ObservedCopy,
} from '../cluster/snapshot.ts';
import { isUp, STEADY_MS, upSince } from '../cluster/unit-state.ts';
import { groupsIn } from './rollout.ts';
import { expectsUp, hasStep, type Obstacle, type Step } from './step.ts';

/**
 * The obstacle to a change of a held unit: `kept` is what the machine shall have. A held text is not written, and not
 * started where it has failed. A copy that stays as it is because of the hold has the obstacle too, so that it is reported.
 */
export function holdObstacle(
  unit: DesiredUnit | undefined,
  kept: DesiredUnit | undefined,
  steps: readonly Step[],
  { id }: MachineView,
  snapshot: ClusterSnapshot,
): Obstacle | undefined {
  const held = unit?.held;
  if (unit === undefined || kept === undefined || held === undefined) return undefined;
  const hasFailed = held.machines.some((machine) => machine.id === id);
  const keeps = kept.digest !== unit.digest;
  const isRefused = keeps
    ? !hasStep({ steps }, 'stop', 'write', 'start', 'restart')
    : hasStep({ steps }, 'write') || (hasFailed && expectsUp({ steps }));
  if (!isRefused) return undefined;
  return { code: 'held', hash: unit.hash, held, keeps, isFirst: isFirstText(unit.name, snapshot) };
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
