import { groupBy } from '../base/group-by.ts';
import { madeOnce } from '../base/lazy-map.ts';
import type { Machine, MachineId } from '../machine/machine.ts';
import type { Dependency } from '../unit/dependencies.ts';
import type { Placement } from '../unit/placement.ts';
import { isTemplateName } from '../unit/unit-name.ts';
import type { Confirmation, RevertCause } from './confirmation.ts';
import { isForeign, type ObservedUnit, type SystemdState, type TargetState } from './unit-state.ts';

/**
 * The registry revision of a decision; a rebuilt registry continues the numbers of the lost one. A machine records the
 * highest token for each unit and rejects lower ones, so that a process that was paused cannot undo newer decisions.
 */
export type Token = number;

/** A unit in the registry. */
export type DesiredUnit = {
  readonly name: string;
  /** The unit file, as it was submitted. */
  readonly text: string;
  /** fleet's hash of the unit file (40 hex digits). */
  readonly hash: string;
  /** SHA-256 of the unit file's bytes. */
  readonly digest: string;
  readonly placement: Placement;
  /** For a timer, socket, path or automount: the unit that it starts, or the template of those units. */
  readonly triggers: string | undefined;
  readonly dependencies: readonly Dependency[];
  readonly target: TargetState;
  /** The assignment of a standard unit; undefined without one, and always for global units. */
  readonly machine: MachineId | undefined;
  /** For an instance: whether its text equals that of its template; undefined if that is not known. */
  readonly fromTemplate?: boolean | undefined;
  /** The set that it was applied with; undefined for a unit of no set. */
  readonly set?: string | undefined;
  /** Set if its text has replaced another one and failed; see {@link Held}. */
  readonly held?: Held | undefined;
  readonly token: Token;
};

/**
 * The failure of a new text, until a command releases it. No pass writes the text to further machines, or starts it on
 * `machines`, where it has failed. Copies with an older text keep that one.
 */
export type Held = {
  /** Epoch ms. */
  readonly at: number;
  readonly machines: readonly { readonly id: MachineId; readonly name: string }[];
  readonly cause: HeldCause;
};

/** The state in which the unit was instead of up; or it was up, and not healthy; or its machine has reverted it. */
export type HeldCause =
  | { readonly kind: 'not-up'; readonly state: SystemdState }
  | { readonly kind: 'unhealthy'; readonly what: 'command' | 'restarted'; readonly withinMs: number }
  | { readonly kind: 'reverted'; readonly why: RevertCause; readonly windowMs: number };

/** A text of a unit that a machine has reverted (`Confirm=`), which the registry does not know yet. */
export type NewRevert = { readonly unit: string; readonly digest: string; readonly held: Held };

/** An older text of a held unit; `isBase` for the one that machines without a text get. */
export type KeptText = { readonly unit: DesiredUnit; readonly isBase: boolean };

/** A unit with the dependencies of one of its texts. */
export type DependentUnit = Pick<DesiredUnit, 'name' | 'dependencies'>;

/** A unit whose document in the registry is damaged, or was written by a newer fleet, and the error for people. */
export type UnreadableUnit = {
  readonly unit: string;
  readonly message: string;
  readonly hint: string | undefined;
};

/** The right of a machine to run fenced units until `deadline`, in seconds of its monotonic clock. */
export type Lease = { readonly bootId: string; readonly deadline: number };

/**
 * The latest end of all leases of unreachable machines, in epoch ms by the clock of the snapshot's `now`.
 */
export type LeaseEnds = {
  readonly ofMachines: ReadonlyMap<MachineId, number>;
  /** Of the machines that are not in `ofMachines`: another controller may have granted them leases earlier. */
  readonly ofOthers: number;
};

/** The answer of one machine. */
export type Observation = {
  readonly id: MachineId;
  /** The cluster that owns the machine; undefined while none does. */
  readonly cluster: string | undefined;
  readonly bootId: string;
  /** Seconds since the machine booted, by its own monotonic clock. */
  readonly uptimeSeconds: number;
  /** Epoch ms by the machine's own clock, to the second; undefined if not requested. */
  readonly clock?: number | undefined;
  /** Every unit that fleet wrote there, and the units requested by name that systemd there knows. */
  readonly units: readonly ObservedUnit[];
  /** The changes that wait for a confirmation, and those that the machine has reverted; undefined for none. */
  readonly confirmations?: readonly Confirmation[] | undefined;
  /** The lease of the machine; undefined if it has none. */
  readonly lease?: Lease | undefined;
  /** The highest token that the machine has recorded. Only if requested. */
  readonly token?: Token;
  /** Only if requested. */
  readonly backup?: MachineBackup;
  /** Only if requested. */
  readonly vitals?: MachineVitals;
};

/** The load and the systemd version of a machine; values that it does not report are undefined. */
export type MachineVitals = {
  /** The version of systemd: `252`. */
  readonly systemd: string | undefined;
  /** Of the last 1, 5 and 15 minutes. */
  readonly loadAverage: readonly number[] | undefined;
  /** `availableBytes` is MemAvailable of proc_meminfo(5). */
  readonly memory: { readonly totalBytes: number; readonly availableBytes: number } | undefined;
};

/** The parts of the registry that a machine stores besides the records. */
export type MachineBackup = {
  /** Unit name → current text of the unit file that fleet wrote. */
  readonly texts: ReadonlyMap<string, string>;
  /** The highest token that the machine has recorded. */
  readonly token: Token;
};

/** The reason why a machine has no usable answer, for people. `code` is an ErrorCode. */
export type Unreachable = {
  /** Epoch ms of the first failed observation. */
  readonly since: number;
  readonly code: string;
  readonly message: string;
  readonly hint: string | undefined;
};

/** The code of {@link Unreachable} for a machine of the registry that this fleet.conf lacks: no query was sent. */
export const UNLISTED = 'machine-unlisted';

/** A machine of the inventory, and its answer, or the reason why there is none. */
export type MachineView = ReachableView | UnreachableView;

type ReachableView = {
  readonly machine: Machine;
  readonly id: MachineId;
  readonly observation: Observation;
  readonly unreachable?: undefined;
  /** Epoch ms at which it answered again after it was unreachable; undefined if it never was unreachable. */
  readonly backSince: number | undefined;
};

export type UnreachableView = {
  readonly machine: Machine;
  /** Its id, from an earlier answer; undefined if it never answered. */
  readonly id: MachineId | undefined;
  readonly observation?: undefined;
  readonly unreachable: Unreachable;
  readonly backSince?: undefined;
};

/** The units that a cordoned machine does not accept: new standard ones, or all, and then global ones leave it. */
export type Cordon = 'standard' | 'all';

/** All input of a decision, at one time. */
export type ClusterSnapshot = {
  /** Epoch ms. */
  readonly now: number;
  /** How long a machine may be unreachable before its units move, in ms. */
  readonly agentTtlMs: number;
  /** A share of the machines, from 0 to 1. If more of them are unreachable at once, the observer counts as cut off. */
  readonly cutOff: number;
  /** Undefined before the first change of a new registry. */
  readonly clusterId: string | undefined;
  /** The registry's revision, as a token. */
  readonly revision: Token;
  readonly units: readonly DesiredUnit[];
  /** The dependencies of older texts that machines still have: there, systemd stops units by these. */
  readonly olderTexts?: readonly DependentUnit[];
  /** The older texts of held units. Empty by default. */
  readonly keptTexts?: readonly KeptText[];
  /** The reverts that are not stored yet: the units are held because of them. Empty by default. */
  readonly newReverts?: readonly NewRevert[];
  /** Units whose documents cannot be read: no copy of them is changed. Empty by default. */
  readonly unreadable?: readonly UnreadableUnit[];
  /** The registry could not be read, for this reason: the units are those of the machines alone. Only listings have it. */
  readonly withoutRegistry?: { readonly message: string; readonly hint?: string | undefined };
  readonly machines: readonly MachineView[];
  /** By the machine's name. */
  readonly cordons: ReadonlyMap<string, Cordon>;
  /** Name of the machine that is drained of its standard units. */
  readonly drained: string | undefined;
  /** Only the leading controller knows them. */
  readonly leases?: LeaseEnds | undefined;
};

/**
 * The names of all units: those `submitted` to the registry, and those that fleet wrote to a machine. A template counts
 * only if a socket needs its file.
 */
export function everyUnit(
  submitted: Iterable<Pick<DesiredUnit, 'name' | 'target'>>,
  machines: readonly MachineView[],
): ReadonlySet<string> {
  const found = machines.flatMap(({ observation }) => observation?.units ?? []);
  const ours = found.filter(({ record }) => record !== undefined).map(({ name }) => name);
  const wanted = [...submitted].filter(({ name, target }) => target !== 'inactive' || !isTemplateName(name));
  return new Set([...wanted.map(({ name }) => name), ...ours]);
}

/** The units of `scope` without the unreadable ones. */
export function readableOf(
  scope: ReadonlySet<string>,
  { unreadable = [] }: Pick<ClusterSnapshot, 'unreadable'>,
): ReadonlySet<string> {
  const excluded = new Set(unreadable.map(({ unit }) => unit));
  return excluded.size === 0 ? scope : new Set([...scope].filter((name) => !excluded.has(name)));
}

/** The cluster that owns `machine`, if it is not the one of the snapshot. */
export function otherCluster(
  { observation }: MachineView,
  { clusterId }: Pick<ClusterSnapshot, 'clusterId'>,
): string | undefined {
  return observation?.cluster === clusterId ? undefined : observation?.cluster;
}

/** Whether the machine answered, and belongs to this cluster or to none: only such a machine is changed. */
export function isChangeable(view: MachineView, snapshot: Pick<ClusterSnapshot, 'clusterId'>): boolean {
  return view.observation !== undefined && otherCluster(view, snapshot) === undefined;
}

/**
 * Whether a machine has answered for long enough to get the units of another machine: for as long as a machine may be
 * unreachable. Otherwise a flapping machine would attract units again and again.
 */
export function isSteady(
  { backSince }: MachineView,
  { now, agentTtlMs }: Pick<ClusterSnapshot, 'now' | 'agentTtlMs'>,
): boolean {
  return backSince === undefined || now - backSince >= agentTtlMs;
}

/** The name of the machine with that id in fleet.conf; undefined if fleet.conf does not have it. */
export function machineNameOf(
  id: MachineId | undefined,
  { machines }: Pick<ClusterSnapshot, 'machines'>,
): string | undefined {
  return id === undefined ? undefined : machineWithId(id, { machines })?.machine.name;
}

/** The machine with that id; for undefined, one that never answered. */
export function machineWithId(
  id: MachineId | undefined,
  { machines }: Pick<ClusterSnapshot, 'machines'>,
): MachineView | undefined {
  return machineIndex(machines).byId.get(id);
}

/** The machine of that name. */
export function machineNamed(
  name: string,
  { machines }: Pick<ClusterSnapshot, 'machines'>,
): MachineView | undefined {
  return machineIndex(machines).byName.get(name);
}

/** The first machine of each id and of each name. */
const machineIndex = madeOnce((machines: readonly MachineView[]) => {
  const last = machines.toReversed();
  return {
    byId: new Map(last.map((view) => [view.id, view])),
    byName: new Map(last.map((view) => [view.machine.name, view])),
  };
});

/** The unit of that name in the registry. */
export function unitNamed(name: string, { units }: Pick<ClusterSnapshot, 'units'>): DesiredUnit | undefined {
  return unitIndex(units).get(name);
}

const unitIndex = madeOnce(
  (units: readonly DesiredUnit[]) => new Map(units.map((unit) => [unit.name, unit])),
);

/** The token of the last decision about a unit; for one that the registry does not have, that of the registry. */
export function tokenOf(name: string, snapshot: Pick<ClusterSnapshot, 'units' | 'revision'>): Token {
  return unitNamed(name, snapshot)?.token ?? snapshot.revision;
}

/** A unit on a machine of this cluster. */
export type ObservedCopy = { readonly view: MachineView; readonly observed: ObservedUnit };

/** Unit → its copies, in the order of the machines. Only units of `names` are searched. */
export function copiesOfUnits(
  snapshot: Pick<ClusterSnapshot, 'machines' | 'clusterId'>,
  names: ReadonlySet<string>,
): ReadonlyMap<string, readonly ObservedCopy[]> {
  const copies = snapshot.machines
    .filter((view) => isChangeable(view, snapshot))
    .flatMap((view) => {
      const units = (view.observation?.units ?? []).filter(({ name }) => names.has(name));
      return units.map((observed) => ({ view, observed }));
    });
  return groupBy(copies, ({ observed }) => observed.name);
}

/** The unit `name` on `machine`; undefined if the machine did not answer or does not know it. */
export function observedOn({ observation }: MachineView, name: string): ObservedUnit | undefined {
  return observation && observedIndex(observation.units).byName.get(name);
}

/** The names of the units on `machine` that fleet did not write. */
export function foreignOn({ observation }: MachineView): readonly string[] {
  return observation === undefined ? [] : observedIndex(observation.units).foreign;
}

/** The first unit of each name, and the names of those that fleet did not write. */
const observedIndex = madeOnce((units: readonly ObservedUnit[]) => ({
  byName: new Map(units.toReversed().map((unit) => [unit.name, unit])),
  foreign: units.filter(isForeign).map(({ name }) => name),
}));

/**
 * The highest token that fleet accepts from a machine, a document or a recovery: half of the safe integers. The other half
 * remains for the revisions that follow it, so arithmetic with tokens stays exact.
 */
export const MAX_TOKEN = 2 ** 52;

/**
 * The maximum lead of a machine's token over the registry, or over all other machines; a higher one is implausible. A
 * registry with a thousand revisions a second takes seven weeks for it, and a forged token wastes at most that many.
 */
export const MAX_LEAD = 2 ** 32;

/**
 * The distance of the tokens of a registry that replaces another one from those of the other that are known. The other one may have
 * made decisions that no machine shows, or be used for a while longer.
 */
export const TOKEN_MARGIN = 1_000_000;

/** Whether `value` can be a token: a whole number from 0 to {@link MAX_TOKEN}. */
export function isToken(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= MAX_TOKEN;
}
