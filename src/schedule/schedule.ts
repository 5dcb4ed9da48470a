import { compareText } from '../base/text.ts';
import type { Reason, Rejection } from '../cluster/reason.ts';
import {
  type ClusterSnapshot,
  type DesiredUnit,
  isSteady,
  type MachineView,
  UNLISTED,
} from '../cluster/snapshot.ts';
import { hasAnswered } from '../cluster/unreachable.ts';
import type { MachineId } from '../machine/machine-id.ts';
import { isTemplate, parseUnitName } from '../unit/unit-name.ts';
import { violations } from './constraints.ts';
import type { Decision } from './decision.ts';
import { rank } from './rank.ts';
import { Workload } from './workload.ts';

/**
 * Decides where units go. Pure: equal snapshots give equal decisions, whatever the order of their parts.
 * Only the units named by `scope` are decided (all of them without one); the others count as they are.
 */
export function schedule(snapshot: ClusterSnapshot, scope?: ReadonlySet<string>): readonly Decision[] {
  const workload = new Workload(snapshot);
  const units = snapshot.units
    .filter((unit) => scope === undefined || scope.has(unit.name))
    .toSorted((a, b) => compareText(a.name, b.name));
  const decisions = new Map<string, Decision>();
  // What is on a machine comes first: where it moves away, there is room for what is new.
  const isNew = ({ machine }: DesiredUnit): number => (machine === undefined ? 1 : 0);
  for (const unit of peersFirst(
    units.toSorted((a, b) => isNew(a) - isNew(b)),
    workload,
  )) {
    const decision = decide(unit, workload, snapshot);
    if (decision.kind === 'place' || decision.kind === 'move') workload.assign(unit.name, decision.machine);
    decisions.set(unit.name, decision);
  }
  return units.flatMap((unit) => decisions.get(unit.name) ?? []);
}

function decide(unit: DesiredUnit, workload: Workload, snapshot: ClusterSnapshot): Decision {
  if (unit.target === 'inactive') return { kind: 'release', unit: unit.name, from: unit.machine };
  // A template is wherever its sockets are.
  const isCopied = workload.isGlobal(unit) || isTemplate(parseUnitName(unit.name));
  if (isCopied) return decideGlobal(unit, workload, snapshot);
  if (unit.machine === undefined) return place(unit, workload, snapshot);
  return keepOrMove(unit, unit.machine, workload, snapshot);
}

function decideGlobal(unit: DesiredUnit, workload: Workload, snapshot: ClusterSnapshot): Decision {
  const { fitting, rejected } = feasibleMachines(unit, workload, snapshot);
  const machines = fitting.flatMap((machine) => machine.id ?? []).sort(compareText);
  return { kind: 'global', unit: unit.name, machines, rejected };
}

function place(unit: DesiredUnit, workload: Workload, snapshot: ClusterSnapshot): Decision {
  const { best, rejected } = choose(unit, workload, snapshot);
  return best === undefined
    ? { kind: 'unschedulable', unit: unit.name, rejected }
    : { kind: 'place', unit: unit.name, machine: best, rejected };
}

/**
 * A unit leaves its machine only for another one that takes it: a rule that speaks against its machine, or
 * silence, never stops it. A machine that may be down is given `agentTtlMs`; when more than half of the machines are
 * silent at once the observer is taken to be cut off, and nothing moves. A fenced unit stays, too, for as long as it may
 * run there. Only a unit that is replaced leaves its machine without another one.
 */
function keepOrMove(
  unit: DesiredUnit,
  from: MachineId,
  workload: Workload,
  snapshot: ClusterSnapshot,
): Decision {
  const because = reasonToLeave(unit, from, workload, snapshot);
  const keep: Decision = { kind: 'keep', unit: unit.name, machine: from, violation: because };
  if (because === undefined || isCutOff(snapshot)) return keep;
  const isLost = because.code === 'machine-silent';
  if (isLost && (!because.mayBeDown || because.silentMs < snapshot.agentTtlMs)) return keep;
  const { best, rejected } = choose(unit, workload, isLost ? steadyOf(snapshot) : snapshot);
  if (best === undefined && because.code === 'replaced')
    return { kind: 'unschedulable', unit: unit.name, from, rejected };
  if (best === undefined) {
    const held = rejected.find(({ reason }) => reason.code === 'lease-may-hold');
    return held === undefined ? keep : { ...keep, violation: held.reason };
  }
  return { kind: 'move', unit: unit.name, from, machine: best, because, rejected };
}

/** The same without the machines that came back a moment ago: they are not trusted with what another one lost. */
function steadyOf(snapshot: ClusterSnapshot): ClusterSnapshot {
  return { ...snapshot, machines: snapshot.machines.filter((machine) => isSteady(machine, snapshot)) };
}

/** What speaks against the machine a unit is on. Silence before anything else: nothing can be stopped there. */
function reasonToLeave(
  unit: DesiredUnit,
  from: MachineId,
  workload: Workload,
  snapshot: ClusterSnapshot,
): Reason | undefined {
  const machine = snapshot.machines.find((view) => view.id === from);
  if (machine === undefined) return { code: 'machine-removed', machine: from };
  const reasons = [...violations(unit, machine, workload, snapshot)].filter(excludesUnit);
  return reasons.find(({ code }) => code === 'machine-silent') ?? reasons[0];
}

/**
 * A peer that is gone (fleet stopped its companions), a global unit that came later, a unit that lost its record, or
 * a cordon is no reason to leave.
 */
function excludesUnit(reason: Reason): boolean {
  if (reason.code === 'conflict') return !reason.global;
  if (reason.code === 'triggered-unit') return excludesUnit(reason.reason);
  return !NO_REASON_TO_LEAVE.has(reason.code);
}

const NO_REASON_TO_LEAVE: ReadonlySet<Reason['code']> = new Set([
  'machine-of-nowhere',
  'foreign-unit',
  'cordoned',
  'no-lease',
  'lease-may-hold',
]);

/** So many machines are unreachable at once that it is our own network that is down: more than half, unless told. */
export function isCutOff({ machines, cutOff }: Pick<ClusterSnapshot, 'machines' | 'cutOff'>): boolean {
  const asked = machines.filter(({ unreachable }) => unreachable?.code !== UNLISTED);
  const unreachable = asked.filter(
    ({ unreachable }) => unreachable !== undefined && !hasAnswered(unreachable),
  ).length;
  return unreachable > asked.length * cutOff;
}

function choose(
  unit: DesiredUnit,
  workload: Workload,
  snapshot: ClusterSnapshot,
): { readonly best: MachineId | undefined; readonly rejected: readonly Rejection[] } {
  const { fitting, rejected } = feasibleMachines(unit, workload, snapshot);
  return { best: rank(unit, fitting, workload)[0]?.id, rejected };
}

/** Splits the machines into those that fit and those that do not, with the reason of each. */
function feasibleMachines(
  unit: DesiredUnit,
  workload: Workload,
  snapshot: ClusterSnapshot,
): { readonly fitting: readonly MachineView[]; readonly rejected: readonly Rejection[] } {
  const fitting: MachineView[] = [];
  const rejected: Rejection[] = [];
  for (const machine of snapshot.machines) {
    const reason = violations(unit, machine, workload, snapshot).next().value;
    if (reason === undefined) fitting.push(machine);
    else rejected.push({ machine: machine.machine.name, reason });
  }
  return { fitting, rejected: rejected.toSorted((a, b) => compareText(a.machine, b.machine)) };
}

/** The same units, each after those it has to share a machine with; the members of a circle keep their order. */
function peersFirst(units: readonly DesiredUnit[], workload: Workload): readonly DesiredUnit[] {
  const byName = new Map(units.map((unit) => [unit.name, unit]));
  const ordered = new Set<DesiredUnit>();
  const visiting = new Set<DesiredUnit>();
  const visit = (unit: DesiredUnit): void => {
    if (ordered.has(unit) || visiting.has(unit)) return;
    visiting.add(unit);
    for (const peer of unit.placement.machineOf) {
      const found = byName.get(peer);
      if (found !== undefined) visit(found);
    }
    for (const replacer of workload.replacersOf(unit.name)) if (byName.has(replacer.name)) visit(replacer);
    // Beside the unit it starts, unless that one goes where its triggers are, or asks to be beside its timer.
    const started = byName.get(unit.triggers ?? '');
    const isLeader = started !== undefined && !workload.goesWithTriggers(started);
    if (isLeader && !started.placement.machineOf.includes(unit.name)) visit(started);
    if (workload.goesWithTriggers(unit)) {
      for (const trigger of workload.triggersOf(unit.name)) if (byName.has(trigger.name)) visit(trigger);
    }
    ordered.add(unit);
  };
  for (const unit of units) visit(unit);
  return [...ordered];
}
