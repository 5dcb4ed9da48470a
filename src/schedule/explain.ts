import { compareText } from '../base/text.ts';
import type { ClusterSnapshot, DesiredUnit, MachineView } from '../cluster/snapshot.ts';
import { CONSTRAINTS, type RuleResult } from './constraints.ts';
import { type Decision, machinesOf } from './decision.ts';
import { isCutOff, schedule } from './schedule.ts';
import { Workload } from './workload.ts';

/** What every rule says of a unit on one machine. */
export type MachineEvaluation = {
  readonly machine: MachineView;
  /** Standard units there, beside the one that is explained. */
  readonly units: number;
  readonly results: readonly RuleResult[];
  readonly isFeasible: boolean;
};

/** Why a unit is where it is, or why nowhere. */
export type Explanation = {
  readonly unit: DesiredUnit;
  /** What a pass would decide now; for a unit that is inactive, what it would decide if the unit was wanted. */
  readonly decision: Decision;
  /** Every machine: where the unit is or goes, then those it fits, best first, then the others by name. */
  readonly machines: readonly MachineEvaluation[];
  /** Where a standard unit would go if there was no other choice to make; undefined when there is no such machine. */
  readonly runnerUp: MachineView | undefined;
  /** More than half of the machines are unreachable, so nothing leaves them. */
  readonly cutOff: boolean;
};

/** Explains `unit`, which the snapshot may not have yet. Pure, and by the very rules that decide. */
export function explain(snapshot: ClusterSnapshot, unit: DesiredUnit): Explanation {
  const wanted: DesiredUnit = { ...unit, target: unit.target === 'inactive' ? 'loaded' : unit.target };
  const others = snapshot.units.filter(({ name }) => name !== unit.name);
  const asked: ClusterSnapshot = { ...snapshot, units: [...others, wanted] };
  const [decision] = schedule(asked, new Set([unit.name]));
  if (decision === undefined) throw new TypeError(`nothing was decided about ${unit.name}`);
  // Without the unit itself: it must not count as load of the machine it is on.
  const load = new Workload({ ...snapshot, units: others });
  const workload = new Workload(asked);
  const evaluations = load.rank(unit, snapshot.machines).map((machine): MachineEvaluation => {
    const results = CONSTRAINTS.map(({ rule, check }) => ({
      rule,
      reason: check({ unit: wanted, machine, workload, snapshot: asked }),
    }));
    const isFeasible = results.every(({ reason }) => reason === undefined);
    return { machine, units: load.count(machine.id ?? ''), results, isFeasible };
  });
  const chosen = machinesOf(decision);
  const isChosen = ({ machine }: MachineEvaluation): boolean => chosen.includes(machine.id ?? '');
  const feasible = evaluations.filter((each) => each.isFeasible && !isChosen(each));
  const rest = evaluations.filter((each) => !each.isFeasible && !isChosen(each)).toSorted(byName);
  return {
    unit,
    decision,
    machines: [...evaluations.filter(isChosen), ...feasible, ...rest],
    runnerUp: decision.kind === 'global' ? undefined : feasible[0]?.machine,
    cutOff: isCutOff(snapshot),
  };
}

function byName(a: MachineEvaluation, b: MachineEvaluation): number {
  return compareText(a.machine.machine.name, b.machine.machine.name);
}
