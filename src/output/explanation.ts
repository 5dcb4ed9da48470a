import { formatDuration } from '../base/time.ts';
import { isFirstText } from '../cluster/held.ts';
import { type DesiredUnit, type MachineView, observedOn } from '../cluster/snapshot.ts';
import type { UnitExplanation } from '../operations/explain.ts';
import { machineRef } from '../operations/listing.ts';
import type { RuleResult } from '../schedule/constraints.ts';
import { type Decision, isStuck, machinesOf } from '../schedule/decision.ts';
import type { MachineEvaluation } from '../schedule/explain.ts';
import { holdHint } from './failure.ts';
import { formatAge, machineTitle } from './format.ts';
import { machineJson } from './json.ts';
import { heldText, reasonText, stayText } from './reason.ts';
import type { Column } from './table.ts';

/** One line of the table: a rule on a machine, or a machine without a violation. */
type RuleRow = { readonly machine: MachineEvaluation; readonly result: RuleResult | undefined };

export const RULES: readonly Column<RuleRow>[] = [
  { field: 'machine', value: ({ machine }) => machine.machine.machine.name },
  { field: 'units', value: ({ machine }) => String(machine.units) },
  { field: 'fits', value: ({ result }) => (result?.reason === undefined ? 'yes' : 'no') },
  { field: 'rule', value: ({ result }) => result?.rule ?? '' },
  { field: 'reason', value: ({ result }) => (result?.reason === undefined ? '' : reasonText(result.reason)) },
];

/** A line for every violation of a machine, or one line for a feasible machine; with `full`, a line for every rule. */
export function ruleRows({ machines }: UnitExplanation, full: boolean): readonly RuleRow[] {
  return machines.flatMap((machine): readonly RuleRow[] => {
    const shown = machine.results.filter(({ reason }) => full || reason !== undefined);
    return shown.length === 0
      ? [{ machine, result: undefined }]
      : shown.map((result) => ({ machine, result }));
  });
}

/** The machine of the unit, the second choice, and the events that would move the unit. */
export function explanationLines(explanation: UnitExplanation): readonly string[] {
  const { name, hash, held } = explanation.unit;
  if (held === undefined) return placeLines(explanation);
  const isFirst = isFirstText(name, explanation.snapshot);
  return [
    ...placeLines(explanation),
    `It is held: ${heldText({ hash, held })}`,
    holdHint(isFirst, { unit: name }),
  ];
}

function placeLines(explanation: UnitExplanation): readonly string[] {
  const { unit, decision, machines, runnerUp } = explanation;
  const title = `Unit ${unit.name}`;
  const isWanted = unit.target !== 'inactive';
  if (decision.kind === 'unschedulable')
    return [`${title} ${isWanted ? 'is' : 'would be'} on no machine: no machine fits`];
  if (decision.kind === 'global') {
    const count = `${decision.machines.length} of ${machines.length} machines`;
    return [`${title} is global and ${isWanted ? 'belongs' : 'would go'} on ${count}`, ...confirmLines(unit)];
  }
  const [first] = machines;
  const next = machines.find(({ machine }) => machine === runnerUp);
  return [
    `${title} ${whereLine(explanation, first)}`,
    `Runner-up: ${next === undefined ? noneText(unit, machines) : loadedTitle(next)}`,
    ...moveLines(explanation),
    ...confirmLines(unit),
  ];
}

function noneText({ machine: own }: DesiredUnit, machines: readonly MachineEvaluation[]): string {
  const isHeldBack = ({ machine, isFeasible, results }: MachineEvaluation): boolean =>
    machine.id !== own &&
    !isFeasible &&
    results.every(({ reason }) => reason === undefined || reason.code === 'held');
  return `none, ${machines.some(isHeldBack) ? 'no other machine may start its text' : 'no other machine fits'}`;
}

function confirmLines({ placement: { confirmMs } }: DesiredUnit): readonly string[] {
  if (confirmMs === undefined) return [];
  const window = formatDuration(confirmMs);
  return [
    `Each start of it is confirmed over a new login within ${window}, or the machine reverts it (Confirm=)`,
  ];
}

function whereLine({ unit, decision }: UnitExplanation, first: MachineEvaluation | undefined): string {
  if (decision.kind === 'keep' && decision.violation?.code === 'machine-removed')
    return 'is assigned to a machine that is not in the cluster any more';
  const where = first === undefined ? 'no machine' : loadedTitle(first);
  if (decision.kind === 'keep') return `${isThere(unit, first) ? 'is on' : 'is assigned to'} ${where}`;
  return unit.target === 'inactive' ? `would go to ${where}` : `goes to ${where} with the next pass`;
}

/** Whether the machine has answered that it has the unit. */
function isThere({ name }: DesiredUnit, evaluation: MachineEvaluation | undefined): boolean {
  return evaluation !== undefined && observedOn(evaluation.machine, name)?.record !== undefined;
}

function moveLines({ decision, runnerUp, snapshot, machines }: UnitExplanation): readonly string[] {
  if (decision.kind === 'move') return [`It moves: ${reasonText(decision.because)}`];
  const ttl = formatAge(snapshot.agentTtlMs);
  if (isStuck(decision)) {
    const { violation, stays } = decision;
    if (violation.code === 'lease-may-hold') return [`It moves later: ${reasonText(violation)}`];
    const waits = stays.code === 'may-return';
    const rest =
      waits && runnerUp !== undefined
        ? `it moves when the machine has been unreachable for ${ttl}`
        : stayText(waits ? { code: 'no-other' } : stays);
    return [`It stays although ${reasonText(violation)}; ${rest}`];
  }
  const [first] = machines;
  if (runnerUp === undefined || first === undefined) return ['No event would make it move'];
  const here = `"${first.machine.machine.name}"`;
  return [
    `It would move there if ${here} was unreachable for ${ttl} or no longer fitted; load alone does not move units`,
  ];
}

function loadedTitle({ machine, units }: MachineEvaluation): string {
  const others = `${units === 0 ? 'no' : units} other standard unit${units < 2 ? '' : 's'}`;
  return `${machineTitle(machineRef(machine))}, which has ${others}`;
}

/** The values of `decision` in JSON. */
const DECISIONS_IN_JSON: Readonly<Record<Decision['kind'], string>> = {
  place: 'place',
  keep: 'keep',
  move: 'move',
  release: 'release',
  unschedulable: 'nowhere',
  global: 'everywhere',
};

/** `{ "unit": …, "decision": …, "machine": …, "runnerUp": …, "machines": […] }`, see src/manual/json.md. */
export function explanationJson(explanation: UnitExplanation): object {
  const { unit, submitted, decision, machines, runnerUp, snapshot } = explanation;
  const [machineId] = machinesOf(decision);
  const chosen = machines.find(({ machine }) => machine.id !== undefined && machine.id === machineId);
  const because =
    decision.kind === 'move' ? decision.because : decision.kind === 'keep' ? decision.violation : undefined;
  const global = unit.placement.global;
  return {
    unit: unit.name,
    submitted,
    desiredState: unit.target,
    global,
    decision: DECISIONS_IN_JSON[decision.kind],
    machine: global ? null : viewJson(chosen?.machine),
    runnerUp: viewJson(runnerUp),
    held: unit.held === undefined ? null : heldText({ hash: unit.hash, held: unit.held }),
    because: because === undefined ? null : reasonText(because),
    agentTtlMs: snapshot.agentTtlMs,
    confirmMs: unit.placement.confirmMs ?? null,
    machines: machines.map((each) => ({
      ...machineJson(machineRef(each.machine)),
      units: each.units,
      fits: each.isFeasible,
      rules: each.results.map(({ rule, reason }) => ({
        rule,
        holds: reason === undefined,
        reason: reason === undefined ? null : reasonText(reason),
      })),
    })),
  };
}

function viewJson(view: MachineView | undefined): object | null {
  return view === undefined ? null : machineJson(machineRef(view));
}
