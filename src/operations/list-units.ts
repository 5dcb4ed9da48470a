import { compareText } from '../base/text.ts';
import {
  type ClusterSnapshot,
  type DesiredUnit,
  isChangeable,
  type MachineView,
  observedOn,
} from '../cluster/snapshot.ts';
import { isOurs, isRunning, type ObservedUnit, type SystemdState } from '../cluster/unit-state.ts';
import { schedule } from '../schedule/schedule.ts';
import { isTemplateName } from '../unit/unit-name.ts';
import { besideUnits, isUnknownUnit, type Listing, type MachineRef, machineRef } from './listing.ts';
import type { SnapshotSource } from './observe-cluster.ts';

/**
 * One unit on one machine, with the states of systemd; `unknown` / `unreachable` if the machine is unreachable, `unknown` /
 * `unknown` if its systemd cannot show the unit. Unknown properties are undefined.
 */
export type UnitRow = {
  readonly unit: string;
  readonly machine: MachineRef;
  /** fleet's hash of the unit file there (40 hex digits); empty if unknown. */
  readonly hash: string;
  readonly state: Pick<SystemdState, 'load' | 'active' | 'sub'> & Partial<SystemdState>;
} & Runs;

/** The result of its last run (`success`, `exit-code`, …), its start or end, and the time of the next one; epoch ms. */
type Runs = {
  readonly result?: string | undefined;
  readonly lastRun?: number | undefined;
  readonly nextRun?: number | undefined;
};

const UNKNOWN = { load: 'unknown', active: 'unknown', sub: 'unknown' };
const UNREACHABLE = { load: 'unknown', active: 'unknown', sub: 'unreachable' };
const ABSENT = { load: 'not-found', active: 'inactive', sub: 'dead' };

/** All units of fleet on machines, and all units that the registry has on one. */
export async function listUnits(source: SnapshotSource): Promise<Listing<UnitRow>> {
  // Digests include the clock, which converts times since boot of timers to times of day.
  const snapshot = await source({ digests: true, withoutRegistry: true });
  const triggers = triggersByUnit(snapshot);
  const rows = [
    ...leftBehind(snapshot),
    ...snapshot.machines.flatMap((machine) =>
      isChangeable(machine, snapshot)
        ? [...presentOn(machine, triggers), ...absentOn(machine, snapshot)]
        : mayBeOn(machine, snapshot)
            .filter(({ target, placement }) => target !== 'inactive' || !placement.global)
            .map((unit) => rowWithout(unit, machine, UNREACHABLE)),
    ),
  ];
  return {
    // By unit, then by machine id, as the original fleet lists them.
    rows: rows.toSorted(
      (a, b) => compareText(a.unit, b.unit) || compareText(a.machine.id ?? '', b.machine.id ?? ''),
    ),
    ...besideUnits(snapshot),
  };
}

/** Units that are assigned to a machine that fleet.conf lacks: their state is unknown. */
function leftBehind(snapshot: ClusterSnapshot): readonly UnitRow[] {
  const known = new Set(snapshot.machines.map(({ id }) => id));
  return snapshot.units
    .filter(({ machine }) => machine !== undefined && !known.has(machine))
    .map(({ name, machine }) => ({
      unit: name,
      machine: { name: '', id: machine, address: '' },
      hash: '',
      state: UNREACHABLE,
    }));
}

/** The units of fleet on the machine. */
function unitsOf({ observation }: MachineView): readonly ObservedUnit[] {
  return observation?.units.filter(isOurs) ?? [];
}

/** Unit → the units that start it. */
type Triggers = ReadonlyMap<string, readonly DesiredUnit[]>;

function triggersByUnit({ units }: ClusterSnapshot): Triggers {
  const found = new Map<string, DesiredUnit[]>();
  for (const unit of units) {
    if (unit.triggers === undefined) continue;
    const others = found.get(unit.triggers);
    if (others === undefined) found.set(unit.triggers, [unit]);
    else others.push(unit);
  }
  return found;
}

function presentOn(machine: MachineView, triggers: Triggers): readonly UnitRow[] {
  // A template has a file and no state.
  const runnable = unitsOf(machine).filter(({ name }) => !isTemplateName(name));
  const ref = machineRef(machine);
  return runnable.map((observed) => {
    const { name, state, record } = observed;
    const row = { unit: name, machine: ref, hash: record?.hash ?? '' };
    if (isUnknownUnit(observed)) return { ...row, state: UNKNOWN };
    const { result, lastRun, nextRun } = runsOf(name, state, machine, triggers);
    return { ...row, state, result, lastRun, nextRun };
  });
}

/** Units that should be on the machine but are not in its answer. */
function absentOn(machine: MachineView, { units }: ClusterSnapshot): readonly UnitRow[] {
  const present = new Set(unitsOf(machine).map(({ name }) => name));
  return units
    .filter((unit) => unit.target !== 'inactive' && isAssignedTo(machine, unit) && !present.has(unit.name))
    .map((unit) => rowWithout(unit, machine, ABSENT));
}

function rowWithout({ name }: DesiredUnit, machine: MachineView, state: UnitRow['state']): UnitRow {
  return { unit: name, machine: machineRef(machine), hash: '', state };
}

function isAssignedTo({ id }: MachineView, { machine }: DesiredUnit): boolean {
  return machine !== undefined && machine === id;
}

/**
 * The units that may be on a machine without a usable answer: standard units by their assignment, which a unit keeps until
 * it is known to be removed, and global units, unless they are wanted and do not fit.
 */
export function mayBeOn(machine: MachineView, snapshot: ClusterSnapshot): readonly DesiredUnit[] {
  const assigned = snapshot.units.filter((unit) => isAssignedTo(machine, unit));
  if (machine.unreachable === undefined) return assigned;
  const globals = snapshot.units.filter(({ placement }) => placement.global);
  const decisions = schedule(snapshot, new Set(globals.map(({ name }) => name)));
  const here = new Set(
    decisions.flatMap((decision) => {
      if (decision.kind === 'release') return [decision.unit];
      if (decision.kind !== 'global') return [];
      const rejection = decision.rejected.find((entry) => entry.machine === machine.machine.name);
      return rejection?.reason.code === 'machine-silent' ? [decision.unit] : [];
    }),
  );
  return [...assigned, ...globals.filter(({ name }) => here.has(name))];
}

/** The last run of a unit, and the next one: the earliest time at which it elapses, or a timer that starts it. */
function runsOf(name: string, state: SystemdState, machine: MachineView, triggers: Triggers): Runs {
  const elapses = (triggers.get(name) ?? []).flatMap(
    (timer) => observedOn(machine, timer.name)?.state.nextElapse ?? [],
  );
  const next = [...(state.nextElapse === undefined ? [] : [state.nextElapse]), ...elapses];
  const hasRun = state.invocation !== '' || state.activeExit !== undefined;
  return {
    result: hasRun && state.result !== '' ? state.result : undefined,
    // A timer is up without a run.
    lastRun: name.endsWith('.timer') ? state.lastTrigger : isRunning(state) ? state.since : state.activeExit,
    nextRun: next.length === 0 ? undefined : Math.min(...next),
  };
}
