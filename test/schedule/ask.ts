import type { Reason } from '../../src/cluster/reason.ts';
import type { ClusterSnapshot } from '../../src/cluster/snapshot.ts';
import { violations } from '../../src/schedule/constraints.ts';
import { type Decision, machinesOf } from '../../src/schedule/decision.ts';
import { schedule } from '../../src/schedule/schedule.ts';
import { Workload } from '../../src/schedule/workload.ts';
import type { ClusterBuilder } from '../support/builders.ts';

/** The decision about one unit when all of them are decided. */
export function decisionOf(
  unit: string,
  builder: ClusterBuilder,
  changes?: Partial<ClusterSnapshot>,
): Decision {
  const found = schedule(builder.snapshot(changes)).find((decision) => decision.unit === unit);
  if (found === undefined) throw new Error(`no decision about ${unit}`);
  return found;
}

/** Unit → names of its machines, in short: `{ 'a.service': 'm1' }`. */
export function placesOf(
  builder: ClusterBuilder,
  scope?: readonly string[],
): Readonly<Record<string, string>> {
  const snapshot = builder.snapshot();
  const nameOf = new Map(snapshot.machines.map((view) => [view.id, view.machine.name]));
  const decisions = schedule(snapshot, scope && new Set(scope));
  const show = (decision: Decision) => machinesOf(decision).map((id) => nameOf.get(id) ?? 'gone');
  return Object.fromEntries(decisions.map((decision) => [decision.unit, show(decision).join(' ') || '-']));
}

/** Everything that speaks against the first machine for a unit. */
export function against(snapshot: ClusterSnapshot, unit: string): readonly Reason[] {
  const [machine] = snapshot.machines;
  const wanted = snapshot.units.find(({ name }) => name === unit);
  if (machine === undefined || wanted === undefined) throw new Error('nothing to ask about');
  return [...violations({ unit: wanted, machine, workload: new Workload(snapshot), snapshot })];
}
