import { type Drift, driftOf } from '../cluster/drift.ts';
import { groupsIn } from '../cluster/held.ts';
import {
  type ClusterSnapshot,
  type DesiredUnit,
  type Held,
  type MachineView,
  observedOn,
  otherCluster,
} from '../cluster/snapshot.ts';
import { type ObservedUnit, reachedState, TARGET_STATES, type TargetState } from '../cluster/unit-state.ts';
import type { Decision } from '../schedule/decision.ts';
import { schedule } from '../schedule/schedule.ts';
import { expandSpecifiers } from '../unit/specifiers.ts';
import { description, parseUnitFile } from '../unit/unit-file.ts';
import { isTemplate, parseUnitName } from '../unit/unit-name.ts';
import { besideUnits, isUnknownUnit, type Listing, type MachineRef, machineRef } from './listing.ts';
import type { SnapshotSource } from './observe-cluster.ts';

/** One unit of the registry. */
export type UnitFileRow = {
  readonly unit: string;
  /** fleet's hash, 40 hex digits. */
  readonly hash: string;
  readonly target: TargetState;
  /** The reached state; for a global unit the highest one of its machines, or of all machines if it is not wanted. */
  readonly state: TargetState | 'unknown';
  /** The difference from the registry; for a global unit, on the first machine with one. */
  readonly drift: Drift | undefined;
  /** The assignment of a standard unit. */
  readonly machine: MachineRef | undefined;
  readonly global: boolean;
  /** The set of its folder; undefined without one. */
  readonly set: string | undefined;
  /** For a loaded or launched global unit: the feasible machines, and those of them on which its target state holds. */
  readonly coverage: { readonly reached: number; readonly eligible: number } | undefined;
  /** During a rollout: the copies of the unit or the instances of its template, and those of them with the new text. */
  readonly rollout: { readonly updated: number; readonly copies: number } | undefined;
  readonly held: Held | undefined;
  readonly description: string;
};

type Places = Pick<UnitFileRow, 'state' | 'drift' | 'machine' | 'coverage'>;

export async function listUnitFiles(source: SnapshotSource): Promise<Listing<UnitFileRow>> {
  const snapshot = await source({ digests: true });
  const copied = snapshot.units.filter(
    ({ placement, target, machine }) => placement.global || (target === 'loaded' && machine === undefined),
  );
  const scope = new Set(copied.map(({ name }) => name));
  const decisions = new Map(schedule(snapshot, scope).map((decision) => [decision.unit, decision]));
  const rolloutOf = rolloutsIn(snapshot);
  const descriptionOf = descriptions();
  return {
    rows: snapshot.units.map((unit) => ({
      unit: unit.name,
      hash: unit.hash,
      target: unit.target,
      global: unit.placement.global,
      set: unit.set,
      rollout: rolloutOf(unit),
      held: unit.held,
      description: descriptionOf(unit),
      ...placesOf(unit, decisions.get(unit.name), snapshot),
    })),
    ...besideUnits(snapshot),
  };
}

/** Where a unit is, and its state there; `decision` is that of a pass, for a global unit. */
export function placesOf(
  unit: DesiredUnit,
  decision: Decision | undefined,
  snapshot: ClusterSnapshot,
): Places {
  if (decision?.kind === 'global') return spread(unit, decision, snapshot);
  if (unit.placement.global && !isTemplate(parseUnitName(unit.name))) {
    const ours = snapshot.machines.filter((view) => otherCluster(view, snapshot) === undefined);
    const state = highest(ours.map((view) => stateOn(view, unit.name)));
    return { state, drift: undefined, machine: undefined, coverage: undefined };
  }
  const assigned = snapshot.machines.find(({ id }) => id !== undefined && id === unit.machine);
  // The assigned machine may not be in fleet.conf any more.
  const gone = unit.machine === undefined ? undefined : { name: '', id: unit.machine, address: '' };
  return {
    state: unit.machine === undefined ? 'inactive' : stateOn(assigned, unit.name),
    drift: assigned === undefined ? undefined : driftOn(assigned, unit),
    machine: assigned === undefined ? gone : machineRef(assigned),
    coverage: undefined,
  };
}

/** The progress of a new text by the records on the machines; undefined for a unit without a launched copy, or if none has an older one. */
function rolloutsIn({ units, machines }: ClusterSnapshot): (unit: DesiredUnit) => UnitFileRow['rollout'] {
  const digests = new Map(units.map(({ name, digest }) => [name, digest]));
  const isOld = ({ name, record }: ObservedUnit): boolean =>
    record?.target === 'launched' && digests.has(name) && record.digest !== digests.get(name);
  // Most lists are of clusters without a rollout, and groups take long to find.
  if (!machines.some(({ observation }) => observation?.units.some(isOld))) return () => undefined;
  /** For each launched copy, whether its text is an older one. */
  const copiesOf = ({ name, digest }: DesiredUnit): readonly boolean[] =>
    machines.flatMap((machine) => {
      const record = observedOn(machine, name)?.record;
      return record?.target === 'launched' ? record.digest !== digest : [];
    });
  const groupOf = groupsIn(units);
  const known = new Map<readonly DesiredUnit[], UnitFileRow['rollout']>();
  return (unit) => {
    if (unit.target !== 'launched' || copiesOf(unit).length === 0) return undefined;
    const group = groupOf(unit);
    if (!known.has(group)) {
      const copies = group.flatMap(copiesOf);
      const updated = copies.filter((isOld) => !isOld).length;
      known.set(group, updated === copies.length ? undefined : { updated, copies: copies.length });
    }
    return known.get(group);
  };
}

/** Descriptions with expanded specifiers; a template keeps them, because it has no instance. Equal texts are parsed once. */
function descriptions(): (unit: DesiredUnit) => string {
  const byText = new Map<string, string>();
  return ({ name, text }) => {
    const written = byText.get(text) ?? description(parseUnitFile(text)) ?? '';
    byText.set(text, written);
    if (!written.includes('%')) return written;
    const unit = parseUnitName(name);
    return isTemplate(unit) ? written : expandSpecifiers(written, unit);
  };
}

function spread(
  unit: DesiredUnit,
  decision: Extract<Decision, { kind: 'global' }>,
  snapshot: ClusterSnapshot,
): Places {
  const views = decision.machines.flatMap((id) => snapshot.machines.find((view) => view.id === id) ?? []);
  const drifts = views.map((view) => driftOn(view, unit));
  const drift = drifts.find((each) => each !== undefined);
  const states = views.map((view) => stateOn(view, unit.name));
  const unreachable = decision.rejected.filter(({ reason }) => reason.code === 'machine-silent').length;
  const [only] = views;
  const state = highest(unreachable > 0 ? [...states, 'unknown'] : states);
  // A template whose socket is on one machine is shown like a standard unit.
  if (!unit.placement.global && unreachable === 0 && views.length <= 1)
    return { state, drift, machine: only === undefined ? undefined : machineRef(only), coverage: undefined };
  return {
    state,
    drift,
    machine: undefined,
    coverage: {
      reached: states.filter((state, index) => state === unit.target && drifts[index] === undefined).length,
      eligible: decision.machines.length + unreachable,
    },
  };
}

type State = UnitFileRow['state'];

/** A machine without the unit says nothing about one that was not read. */
function highest(states: readonly State[]): State {
  const reached = TARGET_STATES.findLast((state) => state !== 'inactive' && states.includes(state));
  return reached ?? (states.includes('unknown') ? 'unknown' : 'inactive');
}

function driftOn(machine: MachineView, unit: DesiredUnit): Drift | undefined {
  const observed = observedOn(machine, unit.name);
  return observed === undefined || unit.target === 'inactive' ? undefined : driftOf(observed, unit);
}

function stateOn(machine: MachineView | undefined, unit: string): State {
  if (machine?.observation === undefined) return 'unknown';
  const observed = observedOn(machine, unit);
  if (observed === undefined) return 'inactive';
  return isUnknownUnit(observed) ? 'unknown' : reachedState(observed);
}
