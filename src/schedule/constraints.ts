import { fenceViolation } from '../cluster/lease.ts';
import type { Reason } from '../cluster/reason.ts';
import {
  type ClusterSnapshot,
  type DesiredUnit,
  type MachineView,
  observedOn,
  otherCluster,
} from '../cluster/snapshot.ts';
import { isForeign, isRunning, originOf } from '../cluster/unit-state.ts';
import { mayBeDown } from '../cluster/unreachable.ts';
import type { MachineId, Metadata } from '../machine/machine.ts';
import { isTemplateName } from '../unit/unit-name.ts';
import type { Workload } from './workload.ts';

/** A unit to schedule, and everything that the decision depends on. */
export type Context = {
  readonly unit: DesiredUnit;
  readonly workload: Workload;
  readonly snapshot: ClusterSnapshot;
};

/** A machine that the unit may be assigned to. */
export type Candidate = Context & { readonly machine: MachineView };

/** The violation of a rule; undefined when the rule allows the candidate. */
type Check = (candidate: Candidate) => Reason | undefined;

type Constraint = {
  /** A stable name, for people and scripts. */
  readonly rule: string;
  /** The text of the manual, in Markdown, if the name is not that of an option. The build leaves it out. */
  readonly manual?: string;
  /** Whether the rule can exclude a machine for the unit: otherwise it is not checked on every machine. */
  readonly concerns: (context: Context) => boolean;
  readonly check: Check;
  /** The rule also applies, on the machine of the triggers, to a unit that is placed with its triggers. */
  readonly isJoint: boolean;
};

/** The result of one rule for a unit on a machine; without a reason the rule holds. */
export type RuleResult = { readonly rule: string; readonly reason: Reason | undefined };

/** The rules, in fleet's order. The first one that excludes a machine is the reason that is shown. */
export const CONSTRAINTS: readonly Constraint[] = [
  // A machine that never answered has no id yet: the rule `Unreachable` excludes it.
  {
    rule: 'MachineID',
    concerns: ({ unit }) => unit.placement.machineId !== undefined,
    isJoint: true,
    check: ({ unit, machine: { id } }) => {
      const wanted = unit.placement.machineId;
      return wanted === undefined || id === undefined || id.startsWith(wanted)
        ? undefined
        : { code: 'machine-id', wanted };
    },
  },
  // MachineMetadata=: every key, any of its values.
  {
    rule: 'MachineMetadata',
    concerns: ({ unit }) => Object.keys(unit.placement.metadata).length > 0,
    isJoint: true,
    check: ({ unit, machine: { machine } }) => metadataViolation(unit, machine.metadata),
  },
  // MachineOf=: the machine of every named unit.
  {
    rule: 'MachineOf',
    concerns: ({ unit }) => unit.placement.machineOf.length > 0,
    isJoint: true,
    check: ({ unit, machine, workload }) => {
      for (const peer of unit.placement.machineOf) {
        const there = workload.machineOf(peer);
        if (there === undefined) return { code: 'machine-of-nowhere', unit: peer };
        if (there !== machine.id)
          return { code: 'machine-of-elsewhere', unit: peer, machine: workload.nameOf(there) };
      }
      return undefined;
    },
  },
  // Replaces=: the named unit leaves the machine to the one that replaces it.
  {
    rule: 'Replaces',
    concerns: ({ unit, workload: { units } }) => units.replacersOf(unit.name).length > 0,
    isJoint: false,
    check: ({ unit, machine: { id }, workload }) => {
      const replacer = workload.units
        .replacersOf(unit.name)
        .find((other) => id !== undefined && workload.machineOf(other.name) === id);
      return replacer === undefined ? undefined : { code: 'replaced', unit: replacer.name };
    },
  },
  // A timer, socket, path or automount must be on the machine of the unit that it starts: systemd rejects it elsewhere.
  {
    rule: 'Triggers',
    manual: 'the unit that a timer, socket, path or automount starts',
    concerns: ({ unit }) => unit.triggers !== undefined,
    isJoint: false,
    check: triggerViolation,
  },
  // A unit with triggers that is not launched itself is placed on the machine of its triggers.
  {
    rule: 'TriggeredBy',
    manual: 'the timer, socket, path or automount that starts the unit',
    concerns: isPlacedWithTriggers,
    isJoint: false,
    check: triggeredViolation,
  },
  // Conflicts=, of either unit, with a standard unit on the machine.
  {
    rule: 'Conflicts',
    concerns: mayConflict,
    isJoint: true,
    check: standardConflict,
  },
  // Conflicts=, with a global unit that would run on the machine.
  {
    rule: 'GlobalConflicts',
    manual: 'the same, with global units',
    concerns: (context) => context.workload.units.globals.length > 0 && mayConflict(context),
    isJoint: true,
    check: globalConflict,
  },
  // Conflicts= of [Unit], between two launched units: systemd would stop one to start the other.
  {
    rule: 'UnitConflicts',
    manual: '`Conflicts=` of the section `[Unit]`',
    concerns: ({ unit, workload: { units } }) => units.conflicts.has(unit.name),
    isJoint: false,
    check: unitConflict,
  },
  // A cordoned machine accepts no new units. A drained one keeps only units that cannot run elsewhere.
  {
    rule: 'Cordon',
    concerns: ({ snapshot: { cordons, drained } }) => cordons.size > 0 || drained !== undefined,
    isJoint: false,
    check: ({ unit, machine, snapshot: { cordons, drained } }) => {
      const { name } = machine.machine;
      const { global } = unit.placement;
      if (drained === name && !global) return { code: 'drained' };
      const cordon = cordons.get(name);
      const mayStay = global && cordon === 'standard' && observedOn(machine, unit.name)?.record !== undefined;
      return cordon === undefined || mayStay ? undefined : { code: 'cordoned' };
    },
  },
  // A unit of that name that fleet did not write is neither changed nor shadowed.
  {
    rule: 'ForeignUnit',
    manual: 'a unit of that name that does not belong to fleet',
    concerns: ({ unit, workload }) => workload.isForeign(unit.name),
    isJoint: true,
    check: ({ unit, machine, workload }) => {
      const there = workload.isForeign(unit.name) ? observedOn(machine, unit.name) : undefined;
      return there !== undefined && isForeign(there)
        ? { code: 'foreign-unit', path: originOf(there) }
        : undefined;
    },
  },
  // A machine that belongs to another cluster gets no unit of this one.
  {
    rule: 'OtherCluster',
    manual: 'a machine that belongs to another cluster',
    concerns: () => true,
    isJoint: false,
    check: ({ machine, snapshot }) => {
      const cluster = otherCluster(machine, snapshot);
      return cluster === undefined ? undefined : { code: 'other-cluster', cluster };
    },
  },
  // Nothing can be changed on an unreachable machine.
  {
    rule: 'Unreachable',
    manual: 'a machine that is unreachable',
    concerns: () => true,
    isJoint: false,
    check: ({ machine: { unreachable }, snapshot: { now } }) =>
      unreachable === undefined
        ? undefined
        : {
            code: 'machine-silent',
            silentMs: Math.max(0, now - unreachable.since),
            message: unreachable.message,
            hint: unreachable.hint,
            mayBeDown: mayBeDown(unreachable),
          },
  },
  // Fenced=: only under a lease, and only when no other machine may run the unit.
  {
    rule: 'Fenced',
    manual:
      'a machine without a lease, or another machine that may still run the unit; see [fencing](fencing.md)',
    concerns: ({ unit }) => unit.placement.fence !== undefined,
    isJoint: false,
    check: ({ unit, machine, snapshot }) => fenceViolation(unit, machine, snapshot),
  },
];

/** All violations of the candidate, in the order of the rules; the first one is shown. */
export function violations(candidate: Candidate): readonly Reason[] {
  const reasons: Reason[] = [];
  for (const { check } of CONSTRAINTS) {
    const reason = check(candidate);
    if (reason !== undefined) reasons.push(reason);
  }
  return reasons;
}

/** The rules that can exclude a machine for the unit. Those of a held unit depend on the text that a machine has. */
export function rulesFor(context: Context): readonly Constraint[] {
  return context.unit.held === undefined
    ? CONSTRAINTS.filter(({ concerns }) => concerns(context))
    : CONSTRAINTS;
}

export function firstViolation(
  candidate: Candidate,
  rules: readonly Constraint[] = CONSTRAINTS,
): Reason | undefined {
  for (const { check } of rules) {
    const reason = check(candidate);
    if (reason !== undefined) return reason;
  }
  return undefined;
}

/**
 * The triggers of a launched unit are placed on its machine. A unit that is only loaded is placed with its triggers, so
 * its own rules apply to them, and all triggers of one unit are on one machine.
 */
function triggerViolation(candidate: Candidate): Reason | undefined {
  const { unit, machine, workload } = candidate;
  const started = unit.triggers === undefined ? undefined : workload.units.unit(unit.triggers);
  if (started === undefined || workload.units.follows(started.name, unit.name)) return undefined;
  const elsewhere = (there: MachineId): Reason | undefined =>
    there === machine.id
      ? undefined
      : { code: 'triggers-elsewhere', unit: started.name, machine: workload.nameOf(there) };
  if (!workload.units.goesWithTriggers(started)) {
    const there = workload.machineOf(started.name);
    return there === undefined ? undefined : elsewhere(there);
  }
  const triggers = workload.units.triggersOf(started.name);
  if (!isTemplateName(started.name) && !workload.units.isGlobal(started)) {
    const peer = triggers.find(({ name }) => name !== unit.name && workload.machineOf(name) !== undefined);
    const there = peer === undefined ? undefined : workload.machineOf(peer.name);
    const violation = there === undefined ? undefined : elsewhere(there);
    if (violation !== undefined) return violation;
  }
  for (const { check, isJoint } of CONSTRAINTS) {
    const reason = isJoint ? check({ ...candidate, unit: started }) : undefined;
    if (reason !== undefined) return { code: 'triggered-unit', unit: started.name, reason };
  }
  return undefined;
}

function isPlacedWithTriggers({ unit, workload }: Context): boolean {
  return isTemplateName(unit.name) || workload.units.goesWithTriggers(unit);
}

/** A template is placed only with its triggers. If it has none left, it stays on its machine. */
function triggeredViolation(candidate: Candidate): Reason | undefined {
  const { unit, machine, workload } = candidate;
  if (!isPlacedWithTriggers(candidate)) return undefined;
  const isPattern = isTemplateName(unit.name);
  const triggers = workload.units.triggersOf(unit.name);
  if (triggers.length === 0) {
    return observedOn(machine, unit.name)?.record === undefined ? { code: 'not-triggered' } : undefined;
  }
  const placed = triggers.filter(
    ({ name, placement }) => placement.global || workload.machineOf(name) !== undefined,
  );
  const isHere = placed.some((trigger) =>
    trigger.placement.global
      ? firstViolation({ ...candidate, unit: trigger }) === undefined
      : workload.machineOf(trigger.name) === machine.id,
  );
  if (isHere || (placed.length === 0 && !isPattern)) return undefined;
  const trigger = (placed[0] ?? triggers[0])?.name ?? '';
  const there = workload.machineOf(trigger);
  return {
    code: 'triggered-elsewhere',
    trigger,
    machine: there === undefined ? undefined : workload.nameOf(there),
  };
}

/** Of two units that are on one machine already, the running one stays; otherwise the first one by name. */
function unitConflict({ unit, machine, workload }: Candidate): Reason | undefined {
  const ties = workload.units.conflicts.get(unit.name);
  if (ties === undefined || unit.target !== 'launched' || machine.id === undefined) return undefined;
  const runs = (name: string): boolean => {
    const there = observedOn(machine, name);
    return there?.record !== undefined && isRunning(there.state);
  };
  const isHere = workload.machineOf(unit.name) === machine.id;
  const tie = ties.find(({ unit: other }) => {
    if (workload.machineOf(other) !== machine.id) return false;
    if (!isHere) return true;
    return runs(unit.name) === runs(other) ? other < unit.name : runs(other);
  });
  return tie === undefined ? undefined : { code: 'unit-conflict', tie };
}

/** Whether the unit has globs of Conflicts=, or one of another unit matches its name. */
function mayConflict({ unit, workload: { units } }: Context): boolean {
  return unit.placement.conflicts.length > 0 || units.isExcluded(unit.name);
}

function standardConflict({ unit, machine, workload }: Candidate): Reason | undefined {
  const other = machine.id === undefined ? undefined : workload.conflictOn(machine.id, unit);
  return other && conflict(unit, other, workload);
}

function globalConflict(candidate: Candidate): Reason | undefined {
  const { unit, machine, workload } = candidate;
  for (const global of workload.units.globals) {
    const reason = conflict(unit, global, workload);
    if (reason === undefined || !comesFirst(global, candidate)) continue;
    if (metadataViolation(global, machine.machine.metadata) === undefined) return reason;
  }
  return undefined;
}

/** As in CoreOS fleet, a unit never conflicts with itself, even if its glob matches its name; nor with its trigger. */
function conflict(unit: DesiredUnit, other: DesiredUnit, workload: Workload): Reason | undefined {
  if (other.name === unit.name || workload.units.areCompanions(unit, other)) return undefined;
  const global = workload.units.isGlobal(other);
  const mine = unit.placement.conflicts.find((pattern) => workload.units.matches(pattern, other.name));
  if (mine !== undefined) {
    return { code: 'conflict', unit: other.name, pattern: mine, declaredBy: 'this', global };
  }
  const theirs = other.placement.conflicts.find((pattern) => workload.units.matches(pattern, unit.name));
  return theirs === undefined
    ? undefined
    : { code: 'conflict', unit: other.name, pattern: theirs, declaredBy: 'other', global };
}

/** Of two global units in conflict, the one on the machine stays; otherwise the first one by name gets the machine. */
function comesFirst(global: DesiredUnit, { unit, machine, workload }: Candidate): boolean {
  if (!workload.units.isGlobal(unit)) return true;
  const isThere = ({ name }: DesiredUnit): boolean => observedOn(machine, name)?.record !== undefined;
  return isThere(global) === isThere(unit) ? global.name < unit.name : isThere(global);
}

function metadataViolation(unit: DesiredUnit, metadata: Metadata): Reason | undefined {
  for (const [key, wanted] of Object.entries(unit.placement.metadata)) {
    const actual = Object.hasOwn(metadata, key) ? metadata[key] : undefined;
    if (actual === undefined || !wanted.includes(actual)) {
      return { code: 'machine-metadata', key, wanted, actual };
    }
  }
  return undefined;
}
