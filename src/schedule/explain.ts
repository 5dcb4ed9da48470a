import { compareText } from '../base/text.ts';
import type { ClusterSnapshot, DesiredUnit, MachineView } from '../cluster/snapshot.ts';
import { CONSTRAINTS, type RuleResult } from './constraints.ts';
import { type Decision, machinesOf } from './decision.ts';
import { asKept, holdOf, schedule } from './schedule.ts';
import { Workload } from './workload.ts';

/** The results of all rules for a unit on one machine. */
export type MachineEvaluation = {
  readonly machine: MachineView;
  /** The number of other standard units there. */
  readonly units: number;
  readonly results: readonly RuleResult[];
  readonly isFeasible: boolean;
};

/** The reasons for the placement of a unit. */
export type Explanation = {
  readonly unit: DesiredUnit;
  /** The decision of a pass at this time; an inactive unit is taken as loaded. */
  readonly decision: Decision;
  /** All machines: those of the decision, then the other feasible ones, best first, then the rest by name. */
  readonly machines: readonly MachineEvaluation[];
  /** The best other machine for a standard unit; undefined if there is none. */
  readonly runnerUp: MachineView | undefined;
};

/** Explains `unit`, which the snapshot may not have yet. Uses the rules of {@link schedule}. */
export function explain(snapshot: ClusterSnapshot, unit: DesiredUnit): Explanation {
  const wanted: DesiredUnit = { ...unit, target: unit.target === 'inactive' ? 'loaded' : unit.target };
  const others = snapshot.units.filter(({ name }) => name !== unit.name);
  const supposed: ClusterSnapshot = { ...snapshot, units: [...others, wanted] };
  const [decision] = schedule(supposed, new Set([unit.name]));
  if (decision === undefined) throw new TypeError(`no decision about ${unit.name}`);
  // Without the unit itself: it must not count as load of the machine it is on.
  const load = new Workload({ ...snapshot, units: others });
  const workload = new Workload(supposed);
  const mayBeHeldBack = wanted.held !== undefined && wanted.machine !== undefined;
  const evaluations = load.rank(unit, snapshot.machines).map((machine): MachineEvaluation => {
    const candidate = { unit: wanted, machine, workload, snapshot: supposed };
    const rules = CONSTRAINTS.map(({ rule, check }) => ({ rule, reason: check(asKept(candidate)) }));
    const results = mayBeHeldBack ? [...rules, { rule: 'Held', reason: holdOf(candidate) }] : rules;
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
  };
}

function byName(a: MachineEvaluation, b: MachineEvaluation): number {
  return compareText(a.machine.machine.name, b.machine.machine.name);
}
