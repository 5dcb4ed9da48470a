import { compareText } from '../base/text.ts';
import { hasFailedOn, keptOn } from '../cluster/held.ts';
import type { HeldReason, Reason, Rejection } from '../cluster/reason.ts';
import {
  type ClusterSnapshot,
  type DesiredUnit,
  isSteady,
  type MachineView,
  observedOn,
  UNLISTED,
} from '../cluster/snapshot.ts';
import { hasAnswered } from '../cluster/unreachable.ts';
import type { MachineId } from '../machine/machine.ts';
import { isTemplateName } from '../unit/unit-name.ts';
import { type Candidate, type Context, firstViolation, rulesFor, violations } from './constraints.ts';
import type { Decision, Stay } from './decision.ts';
import { type Choice, EquivalenceClasses, type Feasibility } from './equivalence.ts';
import type { UnitIndex } from './unit-index.ts';
import { Workload } from './workload.ts';

/**
 * Decides the placement of the units in `scope`, or of all units. The other units keep their assignments. Pure: equal
 * snapshots give equal decisions, in any order of their parts.
 */
export function schedule(snapshot: ClusterSnapshot, scope?: ReadonlySet<string>): readonly Decision[] {
  const workload = new Workload(snapshot);
  const classes = new EquivalenceClasses(workload);
  const units = unitsIn(scope, workload.units);
  const decisions: Decision[] = [];
  // Assigned units come first: those that move make room for new ones.
  const assigned = units.filter(({ machine }) => machine !== undefined);
  const ordered = [...assigned, ...units.filter(({ machine }) => machine === undefined)];
  for (const unit of peersFirst(ordered, scope, workload.units)) {
    const decision = decide({ unit, workload, snapshot }, classes);
    if (decision.kind === 'place' || decision.kind === 'move') workload.assign(unit.name, decision.machine);
    decisions.push(decision);
  }
  return decisions.sort((a, b) => compareText(a.unit, b.unit));
}

/** The units in `scope`, or all, sorted by name. */
function unitsIn(scope: ReadonlySet<string> | undefined, { sorted, all }: UnitIndex): readonly DesiredUnit[] {
  if (scope === undefined) return sorted;
  return [...scope].flatMap((name) => all.get(name) ?? []).sort((a, b) => compareText(a.name, b.name));
}

function decide(context: Context, classes: EquivalenceClasses): Decision {
  const { unit, workload } = context;
  if (unit.target === 'inactive') return { kind: 'release', unit: unit.name, from: unit.machine };
  // A template is on every machine of its sockets.
  const isCopied = workload.units.isGlobal(unit) || isTemplateName(unit.name);
  if (isCopied) return decideGlobal(context);
  return unit.machine === undefined ? place(context, classes) : keepOrMove(context, unit.machine);
}

function decideGlobal(context: Context): Decision {
  const { feasible, rejected } = feasibleMachines(context);
  const machines = new Set(feasible.flatMap((machine) => machine.id ?? []));
  return { kind: 'global', unit: context.unit.name, machines: [...machines].sort(compareText), rejected };
}

function place(context: Context, classes: EquivalenceClasses): Decision {
  const { unit } = context;
  const { best, rejected } =
    unit.held === undefined && classes.has(unit)
      ? classes.choose(unit, () => feasibleMachines(context))
      : choose(context);
  return best?.id === undefined
    ? { kind: 'unschedulable', unit: unit.name, rejected }
    : { kind: 'place', unit: unit.name, machine: best.id, rejected };
}

/**
 * A unit leaves its machine only if another machine is feasible. Without one, it keeps running in spite of a violation or
 * an unreachable machine. A machine that may be down has `agentTtlMs` to come back. If more than half of the machines are
 * unreachable at once, the observer counts as cut off, and no unit moves. A fenced unit also stays while it may still run
 * there. Only a replaced unit leaves its machine without another one. A held unit goes only where it can be started.
 */
function keepOrMove(context: Context, from: MachineId): Decision {
  const { unit, snapshot } = context;
  const because = reasonToLeave(context, from);
  if (because === undefined) return { kind: 'keep', unit: unit.name, machine: from, violation: undefined };
  const keep = { kind: 'keep', unit: unit.name, machine: from, violation: because } as const;
  const waits = waitOf(because, snapshot);
  if (waits !== undefined && unit.held === undefined) return { ...keep, stays: waits };
  const { best, rejected } = choose({
    ...context,
    snapshot: because.code === 'machine-silent' ? steadyOf(snapshot) : snapshot,
    moves: true,
  });
  const held = best === undefined ? rejected.map(({ reason }) => reason).find(isHold) : undefined;
  if (waits !== undefined) return { ...keep, stays: held ?? waits };
  if (best === undefined && because.code === 'replaced')
    return { kind: 'unschedulable', unit: unit.name, from, rejected };
  if (best?.id === undefined) {
    const lease = rejected.find(({ reason }) => reason.code === 'lease-may-hold');
    return { ...keep, violation: lease?.reason ?? because, stays: held ?? { code: 'no-other' } };
  }
  return { kind: 'move', unit: unit.name, from, machine: best.id, because, rejected };
}

/** Why a unit stays for now, whether or not another machine is feasible. */
function waitOf(because: Reason, snapshot: ClusterSnapshot): Stay | undefined {
  if (isCutOff(snapshot)) return { code: 'cut-off' };
  if (because.code !== 'machine-silent') return undefined;
  if (!because.mayBeDown) return { code: 'is-up' };
  return because.silentMs < snapshot.agentTtlMs ? { code: 'may-return' } : undefined;
}

function isHold(reason: Reason): reason is HeldReason {
  return reason.code === 'held';
}

/** The snapshot without machines that came back recently: they do not get the units of an unreachable machine. */
function steadyOf(snapshot: ClusterSnapshot): ClusterSnapshot {
  return { ...snapshot, machines: snapshot.machines.filter((machine) => isSteady(machine, snapshot)) };
}

/** The reason for the unit to leave its machine. `machine-silent` has priority, because nothing can be stopped there. */
function reasonToLeave(context: Context, from: MachineId): Reason | undefined {
  const machine = context.workload.view(from);
  if (machine === undefined) return { code: 'machine-removed', machine: from };
  const { unit, workload, snapshot } = context;
  const reasons = violations(asKept({ unit, workload, snapshot, machine })).filter(mustLeave);
  return reasons.find(({ code }) => code === 'machine-silent') ?? reasons[0];
}

/** Whether a unit on a machine with this violation has to leave. */
function mustLeave(reason: Reason): boolean {
  if (reason.code === 'conflict') return !reason.global;
  if (reason.code === 'triggered-unit') return mustLeave(reason.reason);
  return MUST_LEAVE[reason.code];
}

const MUST_LEAVE: Readonly<Record<Exclude<Reason['code'], 'conflict' | 'triggered-unit'>, boolean>> = {
  'machine-id': true,
  'machine-metadata': true,
  'machine-of-elsewhere': true,
  // CoreOS fleet stopped the peers of a unit that was stopped.
  'machine-of-nowhere': false,
  'unit-conflict': true,
  'triggers-elsewhere': true,
  'triggered-elsewhere': true,
  'not-triggered': true,
  replaced: true,
  // The record of the unit is lost.
  'foreign-unit': false,
  'other-cluster': true,
  'machine-silent': true,
  'machine-removed': true,
  cordoned: false,
  drained: true,
  'no-lease': false,
  'lease-may-hold': false,
  held: false,
};

/** Whether so many machines are unreachable at once (more than half by default) that the network here must be down. */
export function isCutOff({ machines, cutOff }: Pick<ClusterSnapshot, 'machines' | 'cutOff'>): boolean {
  const asked = machines.filter(({ unreachable }) => unreachable?.code !== UNLISTED);
  const count = asked.filter(
    ({ unreachable }) => unreachable !== undefined && !hasAnswered(unreachable),
  ).length;
  return count > asked.length * cutOff;
}

function choose(context: Context & { readonly moves?: true }): Choice {
  const { feasible, rejected } = feasibleMachines(context);
  return { best: context.workload.best(context.unit, feasible), rejected };
}

/** With `moves`, machines on which no pass would start the unit are not feasible. */
function feasibleMachines({
  unit,
  workload,
  snapshot,
  moves,
}: Context & { readonly moves?: true }): Feasibility {
  const feasible: MachineView[] = [];
  const rejected: Rejection[] = [];
  const rules = rulesFor({ unit, workload, snapshot });
  for (const machine of snapshot.machines) {
    const candidate = { unit, workload, snapshot, machine };
    const isOther = machine.id !== unit.machine;
    const reason =
      (moves && isOther ? holdOf(candidate) : undefined) ?? firstViolation(asKept(candidate), rules);
    if (reason === undefined) feasible.push(machine);
    else rejected.push({ machine: machine.machine.name, reason });
  }
  return { feasible, rejected: rejected.toSorted((a, b) => compareText(a.machine, b.machine)) };
}

/** The candidate with the text that the machine has or would get: an older one while that of the unit is held. */
export function asKept(candidate: Candidate): Candidate {
  const { unit, machine, snapshot } = candidate;
  if (unit.held === undefined) return candidate;
  return { ...candidate, unit: keptOn(unit, observedOn(machine, unit.name), snapshot) ?? unit };
}

/** Why the unit is not started on the machine: a held text is neither put on further machines, nor started where it failed. */
export function holdOf(candidate: Candidate): HeldReason | undefined {
  const { unit, machine } = candidate;
  const { hash, held } = unit;
  if (held === undefined || asKept(candidate).unit !== unit) return undefined;
  const observed = observedOn(machine, unit.name);
  const isThere = observed?.record?.digest === unit.digest;
  return isThere && !hasFailedOn(unit, observed, machine) ? undefined : { code: 'held', hash, held };
}

/** The units in `scope`, each after the units whose machine it must share; the members of a cycle keep their order. */
function peersFirst(
  units: readonly DesiredUnit[],
  scope: ReadonlySet<string> | undefined,
  index: UnitIndex,
): readonly DesiredUnit[] {
  const inScope = (name: string): DesiredUnit | undefined =>
    scope === undefined || scope.has(name) ? index.all.get(name) : undefined;
  const ordered: DesiredUnit[] = [];
  const visited = new Set<string>();
  const visit = (unit: DesiredUnit | undefined): void => {
    if (unit === undefined || visited.has(unit.name)) return;
    visited.add(unit.name);
    for (const peer of unit.placement.machineOf) visit(inScope(peer));
    for (const replacer of index.replacersOf(unit.name)) visit(inScope(replacer.name));
    // After the unit that it starts, unless that one is placed with its triggers or names this one in MachineOf=.
    const started = unit.triggers === undefined ? undefined : inScope(unit.triggers);
    const isLeader = started !== undefined && !index.goesWithTriggers(started);
    if (isLeader && !started.placement.machineOf.includes(unit.name)) visit(started);
    // After its triggers, except for those that name this one in MachineOf=.
    if (index.goesWithTriggers(unit)) {
      for (const trigger of index.triggersOf(unit.name))
        if (!trigger.placement.machineOf.includes(unit.name)) visit(inScope(trigger.name));
    }
    ordered.push(unit);
  };
  for (const unit of units) {
    if (index.isRelated(unit.name)) visit(unit);
    else ordered.push(unit);
  }
  return ordered;
}
