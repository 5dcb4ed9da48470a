import type { MachineView } from '../cluster/snapshot.ts';
import type { UnitExplanation } from '../operations/explain.ts';
import { machineRef } from '../operations/machine-ref.ts';
import type { Ruling } from '../schedule/constraints.ts';
import { machinesOf } from '../schedule/decision.ts';
import type { MachineCase } from '../schedule/explain.ts';
import { machineJson } from './json.ts';
import { machineTitle } from './machine.ts';
import { howLong, reasonText } from './reason.ts';
import type { Column } from './table.ts';

/** One line of the table: a rule on a machine, or a machine on which no rule has anything to say. */
type RulingRow = { readonly machine: MachineCase; readonly ruling: Ruling | undefined };

export const RULINGS: readonly Column<RulingRow>[] = [
  { field: 'machine', value: ({ machine }) => machine.machine.machine.name },
  { field: 'units', value: ({ machine }) => String(machine.units) },
  { field: 'fits', value: ({ ruling }) => (ruling?.reason === undefined ? 'yes' : 'no') },
  { field: 'rule', value: ({ ruling }) => ruling?.rule ?? '' },
  { field: 'reason', value: ({ ruling }) => (ruling?.reason === undefined ? '' : reasonText(ruling.reason)) },
];

/** A line for everything that speaks against a machine, or one that says it fits; every rule with `full`. */
export function rulingRows({ machines }: UnitExplanation, full: boolean): readonly RulingRow[] {
  return machines.flatMap((machine): readonly RulingRow[] => {
    const told = machine.rulings.filter(({ reason }) => full || reason !== undefined);
    return told.length === 0 ? [{ machine, ruling: undefined }] : told.map((ruling) => ({ machine, ruling }));
  });
}

/** Where the unit is or goes, where else it could go, and what would make it move. */
export function explanationLines(explanation: UnitExplanation): readonly string[] {
  const { unit, decision, machines, runnerUp } = explanation;
  const title = `Unit ${unit.name}`;
  const isWanted = unit.target !== 'inactive';
  if (decision.kind === 'nowhere')
    return [`${title} ${isWanted ? 'is' : 'would be'} nowhere: no machine fits`];
  if (decision.kind === 'everywhere') {
    const count = `${decision.machines.length} of ${machines.length} machines`;
    return [`${title} is global and ${isWanted ? 'belongs' : 'would go'} on ${count}`];
  }
  const [first] = machines;
  const next = machines.find(({ machine }) => machine === runnerUp);
  return [
    `${title} ${whereLine(explanation, first)}`,
    next === undefined ? 'Runner-up: none, no other machine fits' : `Runner-up: ${loadedTitle(next)}`,
    ...moveLines(explanation),
  ];
}

function whereLine({ unit, decision }: UnitExplanation, first: MachineCase | undefined): string {
  if (decision.kind === 'keep' && decision.despite?.code === 'machine-removed')
    return 'is on a machine that is not in fleet.conf any more';
  const where = first === undefined ? 'no machine' : loadedTitle(first);
  if (decision.kind === 'keep') return `is on ${where}`;
  return unit.target === 'inactive' ? `would go to ${where}` : `goes to ${where} with the next pass`;
}

function moveLines({ decision, runnerUp, snapshot, machines, cutOff }: UnitExplanation): readonly string[] {
  if (decision.kind === 'move') return [`It moves: ${reasonText(decision.because)}`];
  if (decision.kind === 'keep' && decision.despite !== undefined) {
    if (decision.despite.code === 'lease-may-hold')
      return [`It moves later: ${reasonText(decision.despite)}`];
    const why = `It stays although ${reasonText(decision.despite)}`;
    if (decision.despite.code !== 'machine-silent') return [`${why}; no other machine fits`];
    if (cutOff) return [`${why}; more than half of the machines are silent, so nothing moves`];
    if (!decision.despite.mayBeDown) return [`${why}; the machine is there and may run it`];
    if (runnerUp === undefined) return [`${why}; no other machine fits`];
    return [`${why}; it moves after ${howLong(snapshot.agentTtlMs)} of silence`];
  }
  const [first] = machines;
  if (runnerUp === undefined || first === undefined) return ['Nothing would make it move'];
  const here = `"${first.machine.machine.name}"`;
  return [
    `It would move there if ${here} was silent for ${howLong(snapshot.agentTtlMs)} or did not fit it any more; load alone moves nothing`,
  ];
}

function loadedTitle({ machine, units }: MachineCase): string {
  const others = units === 0 ? 'no other unit' : units === 1 ? '1 other unit' : `${units} other units`;
  return `${machineTitle(machineRef(machine))}, which has ${others}`;
}

/** `{ "unit": …, "decision": …, "machine": …, "runnerUp": …, "machines": […] }`, see src/manual/json.md. */
export function explanationJson(explanation: UnitExplanation): object {
  const { unit, submitted, decision, machines, runnerUp, snapshot } = explanation;
  const [machineId] = machinesOf(decision);
  const chosen = machines.find(({ machine }) => machine.id !== undefined && machine.id === machineId);
  const because =
    decision.kind === 'move' ? decision.because : decision.kind === 'keep' ? decision.despite : undefined;
  const global = unit.placement.global;
  return {
    unit: unit.name,
    submitted,
    desiredState: unit.target,
    global,
    decision: decision.kind,
    machine: global ? null : viewJson(chosen?.machine),
    runnerUp: viewJson(runnerUp),
    because: because === undefined ? null : reasonText(because),
    agentTtlMs: snapshot.agentTtlMs,
    machines: machines.map((each) => ({
      ...machineJson(machineRef(each.machine)),
      units: each.units,
      fits: each.fits,
      rules: each.rulings.map(({ rule, reason }) => ({
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
