import { fenceObjection } from '../cluster/lease.ts';
import type { Reason } from '../cluster/reason.ts';
import {
  type ClusterSnapshot,
  type DesiredUnit,
  type MachineView,
  observedOn,
  otherCluster,
} from '../cluster/snapshot.ts';
import { isForeign, isRunning } from '../cluster/unit-state.ts';
import { mayBeDown } from '../cluster/unreachable.ts';
import type { MachineId } from '../machine/machine-id.ts';
import type { Metadata } from '../machine/metadata.ts';
import { isTemplate, parseUnitName } from '../unit/unit-name.ts';
import type { Workload } from './workload.ts';

/** Why `unit` may not be on `machine`, or undefined when the rule has nothing against it. */
type Check = (
  unit: DesiredUnit,
  machine: MachineView,
  workload: Workload,
  snapshot: ClusterSnapshot,
) => Reason | undefined;

/** One rule. Its name is for people and scripts, and never changes. */
type Constraint = { readonly rule: string; readonly check: Check };

/** What one rule says of a unit on a machine. */
export type RuleResult = { readonly rule: string; readonly reason: Reason | undefined };

/** What a unit asks for, in fleet's order; the first rule that excludes a machine is its reason. */
export const CONSTRAINTS: readonly Constraint[] = [
  // MachineID=: exactly that machine. One that never answered has no id yet: `machine-silent` speaks for it.
  {
    rule: 'MachineID',
    check: (unit, { id }) => {
      const wanted = unit.placement.machineId;
      return wanted === undefined || id === undefined || id.startsWith(wanted)
        ? undefined
        : { code: 'machine-id', wanted };
    },
  },
  // MachineMetadata=: every key, any of its values.
  { rule: 'MachineMetadata', check: (unit, { machine }) => metadataObjection(unit, machine.metadata) },
  // MachineOf=: the machine of every named unit.
  {
    rule: 'MachineOf',
    check: (unit, { id }, workload) => {
      for (const peer of unit.placement.machineOf) {
        const there = workload.machineOf(peer);
        if (there === undefined) return { code: 'machine-of-nowhere', unit: peer };
        if (there !== id)
          return { code: 'machine-of-elsewhere', unit: peer, machine: workload.nameOf(there) };
      }
      return undefined;
    },
  },
  // Replaces=: the unit that is named there leaves the machine to the one that names it.
  {
    rule: 'Replaces',
    check: ({ name }, { id }, workload) => {
      const replacer = workload
        .replacersOf(name)
        .find((other) => id !== undefined && workload.machineOf(other.name) === id);
      return replacer === undefined ? undefined : { code: 'replaced', unit: replacer.name };
    },
  },
  // A timer, socket, path or automount, beside the unit it starts: systemd refuses one whose unit is not there.
  {
    rule: 'Triggers',
    check: (unit, machine, workload, snapshot) => triggerObjection(unit, machine, workload, snapshot),
  },
  // The unit that it starts, if that is not launched itself, goes where its triggers are.
  { rule: 'TriggeredBy', check: triggeredObjection },
  // Conflicts=, whichever of the two declares it, with the standard units that are there.
  {
    rule: 'Conflicts',
    check: (unit, { id }, workload) => (id === undefined ? undefined : conflictOn(unit, id, workload)),
  },
  // Conflicts=, with a global unit that would run there.
  {
    rule: 'GlobalConflicts',
    check: (unit, machine, workload) => {
      for (const global of workload.globals) {
        const reason = conflict(unit, global, workload);
        if (reason === undefined || !comesFirst(global, unit, machine, workload)) continue;
        if (metadataObjection(global, machine.machine.metadata) === undefined) return reason;
      }
      return undefined;
    },
  },
  // Conflicts= of [Unit], between two launched units: systemd would stop one to start the other.
  { rule: 'UnitConflicts', check: unitConflict },
  // A machine that is cordoned takes no new units, and one that is drained keeps none that can run elsewhere.
  {
    rule: 'Cordon',
    check: (unit, machine, _workload, { cordons, drained }) => {
      const { name } = machine.machine;
      const { global } = unit.placement;
      if (drained === name && !global) return { code: 'drained' };
      const cordon = cordons.get(name);
      const mayStay = global && cordon === 'standard' && observedOn(machine, unit.name)?.record !== undefined;
      return cordon === undefined || mayStay ? undefined : { code: 'cordoned' };
    },
  },
  // A unit of that name that is not fleet's is neither touched nor shadowed.
  {
    rule: 'ForeignUnit',
    check: (unit, machine) => {
      const there = observedOn(machine, unit.name);
      return there !== undefined && isForeign(there)
        ? { code: 'foreign-unit', path: there.state.fragment }
        : undefined;
    },
  },
  // A machine that belongs to another cluster takes nothing from this one.
  {
    rule: 'OtherCluster',
    check: (_unit, machine, _workload, snapshot) => {
      const cluster = otherCluster(machine, snapshot);
      return cluster === undefined ? undefined : { code: 'other-cluster', cluster };
    },
  },
  // A machine that does not answer can be given nothing.
  {
    rule: 'Silence',
    check: (_unit, { unreachable }, _workload, { now }) =>
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
  // Fenced=: under a lease, and only when no other machine may run it.
  { rule: 'Fenced', check: (unit, machine, _workload, snapshot) => fenceObjection(unit, machine, snapshot) },
];

/** Every rule that speaks against `unit` on `machine`, in order; the first is the one that is shown. */
export function* violations(
  unit: DesiredUnit,
  machine: MachineView,
  workload: Workload,
  snapshot: ClusterSnapshot,
): Generator<Reason, undefined> {
  for (const { check } of CONSTRAINTS) {
    const reason = check(unit, machine, workload, snapshot);
    if (reason !== undefined) yield reason;
  }
}

/**
 * A unit that is launched itself has the say. One that is not comes along, so that what it asks for counts as well; and
 * of several triggers that start it, all go to one machine.
 */
function triggerObjection(
  unit: DesiredUnit,
  machine: MachineView,
  workload: Workload,
  snapshot: ClusterSnapshot,
): Reason | undefined {
  const started = unit.triggers === undefined ? undefined : workload.unit(unit.triggers);
  if (started === undefined || workload.follows(started.name, unit.name)) return undefined;
  const elsewhere = (there: MachineId): Reason | undefined =>
    there === machine.id
      ? undefined
      : { code: 'triggers-elsewhere', unit: started.name, machine: workload.nameOf(there) };
  if (!workload.goesWithTriggers(started)) {
    const there = workload.machineOf(started.name);
    return there === undefined ? undefined : elsewhere(there);
  }
  const triggers = workload.triggersOf(started.name);
  if (!isTemplate(parseUnitName(started.name)) && !workload.isGlobal(started)) {
    const peer = triggers.find(({ name }) => name !== unit.name && workload.machineOf(name) !== undefined);
    const there = peer === undefined ? undefined : workload.machineOf(peer.name);
    const objection = there === undefined ? undefined : elsewhere(there);
    if (objection !== undefined) return objection;
  }
  for (const { rule, check } of CONSTRAINTS) {
    if (!JOINT.has(rule)) continue;
    const reason = check(started, machine, workload, snapshot);
    if (reason !== undefined) return { code: 'triggered-unit', unit: started.name, reason };
  }
  return undefined;
}

/** A template is on a machine for its triggers alone; one that has lost them stays where it is. */
function triggeredObjection(
  unit: DesiredUnit,
  machine: MachineView,
  workload: Workload,
  snapshot: ClusterSnapshot,
): Reason | undefined {
  const isPattern = isTemplate(parseUnitName(unit.name));
  if (!isPattern && !workload.goesWithTriggers(unit)) return undefined;
  const triggers = workload.triggersOf(unit.name);
  if (triggers.length === 0) {
    return observedOn(machine, unit.name)?.record === undefined ? { code: 'not-triggered' } : undefined;
  }
  const placed = triggers.filter(
    ({ name, placement }) => placement.global || workload.machineOf(name) !== undefined,
  );
  const isHere = placed.some((trigger) =>
    trigger.placement.global
      ? violations(trigger, machine, workload, snapshot).next().value === undefined
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

/** The rules that a unit which comes along has to meet as well. */
const JOINT: ReadonlySet<string> = new Set([
  'MachineID',
  'MachineMetadata',
  'MachineOf',
  'Conflicts',
  'GlobalConflicts',
  'ForeignUnit',
]);

/** Of two that are on one machine already, the one that runs there stays; else the first by name has the machine. */
function unitConflict(unit: DesiredUnit, machine: MachineView, workload: Workload): Reason | undefined {
  if (unit.target !== 'launched' || machine.id === undefined) return undefined;
  const runs = (name: string): boolean => {
    const there = observedOn(machine, name);
    return there?.record !== undefined && isRunning(there.state);
  };
  const isHere = workload.machineOf(unit.name) === machine.id;
  const tie = workload.conflicts.get(unit.name)?.find(({ unit: other }) => {
    if (workload.machineOf(other) !== machine.id) return false;
    if (!isHere) return true;
    return runs(unit.name) === runs(other) ? other < unit.name : runs(other);
  });
  return tie === undefined ? undefined : { code: 'unit-conflict', tie };
}

function conflictOn(unit: DesiredUnit, machine: MachineId, workload: Workload): Reason | undefined {
  for (const other of workload.unitsOn(machine)) {
    const reason = conflict(unit, other, workload);
    if (reason !== undefined) return reason;
  }
  return undefined;
}

/** fleet: a unit never conflicts with itself, even when its own glob matches its name (`spread@*.service`); nor with its trigger. */
function conflict(unit: DesiredUnit, other: DesiredUnit, workload: Workload): Reason | undefined {
  if (other.name === unit.name || workload.areCompanions(unit, other)) return undefined;
  const global = workload.isGlobal(other);
  const mine = unit.placement.conflicts.find((pattern) => workload.matches(pattern, other.name));
  if (mine !== undefined) {
    return { code: 'conflict', unit: other.name, pattern: mine, declaredBy: 'this', global };
  }
  const theirs = other.placement.conflicts.find((pattern) => workload.matches(pattern, unit.name));
  return theirs === undefined
    ? undefined
    : { code: 'conflict', unit: other.name, pattern: theirs, declaredBy: 'other', global };
}

/** Of two global units in conflict, the one that is there stays; else the first by name has the machine. */
function comesFirst(
  global: DesiredUnit,
  unit: DesiredUnit,
  machine: MachineView,
  workload: Workload,
): boolean {
  if (!workload.isGlobal(unit)) return true;
  const isThere = ({ name }: DesiredUnit): boolean => observedOn(machine, name)?.record !== undefined;
  return isThere(global) === isThere(unit) ? global.name < unit.name : isThere(global);
}

function metadataObjection(unit: DesiredUnit, metadata: Metadata): Reason | undefined {
  for (const [key, wanted] of Object.entries(unit.placement.metadata)) {
    const actual = Object.hasOwn(metadata, key) ? metadata[key] : undefined;
    if (actual === undefined || !wanted.includes(actual)) {
      return { code: 'machine-metadata', key, wanted, actual };
    }
  }
  return undefined;
}
