import type { Machine, MachineId } from '../machine/machine.ts';
import type { Dependency } from '../unit/dependencies.ts';
import type { Placement } from '../unit/placement.ts';
import { isTemplate, parseUnitName } from '../unit/unit-name.ts';
import type { ObservedUnit, TargetState } from './unit-state.ts';

/**
 * A registry revision that goes with a decision; of a registry that was rebuilt, counted on from where the lost one
 * had been. A machine remembers the highest it has seen for a unit and refuses lower ones, so that a process that
 * was paused cannot undo what was decided after it.
 */
export type Token = number;

/** What the registry says of one unit. */
export type DesiredUnit = {
  readonly name: string;
  /** The unit file, as it was submitted. */
  readonly text: string;
  /** fleet's hash of the unit file (40 hex digits). */
  readonly hash: string;
  /** SHA-256 of the unit file's bytes. */
  readonly digest: string;
  readonly placement: Placement;
  /** For a timer, socket, path or automount: the unit it starts, or the template of those. */
  readonly triggers: string | undefined;
  /** What its text says about other units. */
  readonly dependencies: readonly Dependency[];
  readonly target: TargetState;
  /** Where a standard unit was put; undefined while it is nowhere, and always for global units. */
  readonly machine: MachineId | undefined;
  /** For an instance: whether its text is that of its template; undefined where that is not known. */
  readonly fromTemplate?: boolean | undefined;
  readonly token: Token;
};

/** A unit with what one of its texts says about others. */
export type DependentUnit = Pick<DesiredUnit, 'name' | 'dependencies'>;

/** A unit whose document in the registry is damaged, or of a newer fleet, and why, in words for people. */
export type UnreadableUnit = {
  readonly unit: string;
  readonly message: string;
  readonly hint: string | undefined;
};

/** The right of a machine to run fenced units, until its own monotonic clock says `deadline`, in seconds. */
export type Lease = { readonly bootId: string; readonly deadline: number };

/**
 * Until when leases hold on machines that are unreachable. Epoch ms by the clock of the snapshot's `now`: later than
 * that, no lease that was ever given holds.
 */
export type LeaseEnds = {
  readonly ofMachines: ReadonlyMap<MachineId, number>;
  /** Of machines that are not named: others may have given them leases before us. */
  readonly ofOthers: number;
};

/** What one machine answered. */
export type Observation = {
  readonly id: MachineId;
  /** The cluster that owns the machine; undefined while none does. */
  readonly cluster: string | undefined;
  readonly bootId: string;
  /** Seconds since the machine booted, by its own monotonic clock. */
  readonly uptimeSeconds: number;
  /** Epoch ms by the machine's own clock, to the second; undefined when it was not asked for. */
  readonly clock?: number | undefined;
  /** Every unit fleet put there, and those that were asked for by name which systemd there knows. */
  readonly units: readonly ObservedUnit[];
  /** The lease it has, under which its fenced units run; undefined when it has none. */
  readonly lease?: Lease | undefined;
  /** The highest token the machine has seen. Only when it was asked for. */
  readonly token?: Token;
  /** Only when it was asked for. */
  readonly backup?: MachineBackup;
  /** Only when it was asked for. */
  readonly vitals?: MachineVitals;
};

/** How busy a machine is, and what it runs; undefined what it does not tell. */
export type MachineVitals = {
  /** The number of its systemd: `252`. */
  readonly systemd: string | undefined;
  /** Of the last 1, 5 and 15 minutes. */
  readonly loadAverage: readonly number[] | undefined;
  /** Available is what programs could have without swapping, by the kernel's estimate. */
  readonly memory: { readonly totalBytes: number; readonly availableBytes: number } | undefined;
};

/** What a machine keeps of the registry beside its records. */
export type MachineBackup = {
  /** The unit files that fleet put there, as they are now. */
  readonly texts: ReadonlyMap<string, string>;
  /** The highest token the machine has seen. */
  readonly token: Token;
};

/** Why a machine has no usable answer, in words for people. `code` is an ErrorCode. */
export type Unreachable = {
  /** Epoch ms of the first failed observation. */
  readonly since: number;
  readonly code: string;
  readonly message: string;
  readonly hint: string | undefined;
};

/** The code of {@link Unreachable} for a machine that the registry knows and this fleet.conf lacks: it was not asked. */
export const UNLISTED = 'machine-unlisted';

/** A machine of the inventory, and its answer or why there is none. */
export type MachineView = ReachableView | UnreachableView;

type ReachableView = {
  readonly machine: Machine;
  readonly id: MachineId;
  readonly observation: Observation;
  readonly unreachable?: undefined;
  /** Epoch ms at which it answered again after it was unreachable; undefined when it never was. */
  readonly backSince: number | undefined;
};

export type UnreachableView = {
  readonly machine: Machine;
  /** Its id, from an earlier answer; undefined when it never answered. */
  readonly id: MachineId | undefined;
  readonly observation?: undefined;
  readonly unreachable: Unreachable;
  readonly backSince?: undefined;
};

/** Which units a machine takes no more of: standard ones, or global ones too, which leave it then. */
export type Cordon = 'standard' | 'all';

/** Everything a decision may depend on, at one moment. */
export type ClusterSnapshot = {
  /** Epoch ms. */
  readonly now: number;
  /** How long a machine may be unreachable before its units move, in ms. */
  readonly agentTtlMs: number;
  /** The share of the machines, from 0 to 1: when more than these are unreachable at once, it is the observer that is. */
  readonly cutOff: number;
  /** Undefined before the first change of a new registry. */
  readonly clusterId: string | undefined;
  /** The registry's revision, as a token. */
  readonly revision: Token;
  readonly units: readonly DesiredUnit[];
  /** What other texts of units say that machines still have: of these, a stop takes effect by them. */
  readonly olderTexts?: readonly DependentUnit[];
  /** Units that the registry knows of and cannot tell more about: no copy of them is touched. None unless given. */
  readonly unreadable?: readonly UnreadableUnit[];
  readonly machines: readonly MachineView[];
  /** By the machine's name. */
  readonly cordons: ReadonlyMap<string, Cordon>;
  /** Name of a machine that its standard units are to leave. */
  readonly drained: string | undefined;
  /** Known to a controller that leads alone. */
  readonly leases?: LeaseEnds | undefined;
};

/**
 * Names of all units there are: those `submitted` to the registry, and those that fleet put on a machine and the registry
 * does not have. A template counts only where a socket needs its file.
 */
export function everyUnit(
  submitted: Iterable<Pick<DesiredUnit, 'name' | 'target'>>,
  machines: readonly MachineView[],
): ReadonlySet<string> {
  const found = machines.flatMap(({ observation }) => observation?.units ?? []);
  const ours = found.filter(({ record }) => record !== undefined).map(({ name }) => name);
  const wanted = [...submitted].filter(
    ({ name, target }) => target !== 'inactive' || !isTemplate(parseUnitName(name)),
  );
  return new Set([...wanted.map(({ name }) => name), ...ours]);
}

/** The units of `scope` that something can be decided about. */
export function readableOf(
  scope: ReadonlySet<string>,
  { unreadable = [] }: Pick<ClusterSnapshot, 'unreadable'>,
): ReadonlySet<string> {
  const excluded = new Set(unreadable.map(({ unit }) => unit));
  return excluded.size === 0 ? scope : new Set([...scope].filter((name) => !excluded.has(name)));
}

/** The cluster that owns `machine`, when it is not the one of the snapshot. */
export function otherCluster(
  { observation }: MachineView,
  { clusterId }: Pick<ClusterSnapshot, 'clusterId'>,
): string | undefined {
  return observation?.cluster === clusterId ? undefined : observation?.cluster;
}

/**
 * Whether a machine has answered for long enough to be trusted with what another one has lost: for as long as a
 * machine may be unreachable. One that comes and goes would else take units along with it, again and again.
 */
export function isSteady(
  { backSince }: MachineView,
  { now, agentTtlMs }: Pick<ClusterSnapshot, 'now' | 'agentTtlMs'>,
): boolean {
  return backSince === undefined || now - backSince >= agentTtlMs;
}

/** The name in fleet.conf of the machine with that id; undefined for one that has left it, or never was there. */
export function machineNameOf(
  id: MachineId | undefined,
  { machines }: Pick<ClusterSnapshot, 'machines'>,
): string | undefined {
  return id === undefined ? undefined : machines.find((view) => view.id === id)?.machine.name;
}

/** What `machine` shows of unit `name`, if it answered and knows it. */
export function observedOn(machine: MachineView, name: string): ObservedUnit | undefined {
  const units = machine.observation?.units;
  if (units === undefined) return undefined;
  const index = observedByName.get(units) ?? new Map(units.toReversed().map((unit) => [unit.name, unit]));
  observedByName.set(units, index);
  return index.get(name);
}

/** Made once for each observation, which never changes. */
const observedByName = new WeakMap<readonly ObservedUnit[], ReadonlyMap<string, ObservedUnit>>();

/**
 * The highest token that fleet accepts from a machine, a document or a recovery: half of the safe integers. The other half
 * remains for the revisions that follow it, so arithmetic with tokens stays exact.
 */
export const MAX_TOKEN = 2 ** 52;

/**
 * How far a machine may be ahead of the registry, or of all other machines, before its token is implausible. A registry
 * that gives a thousand revisions a second takes seven weeks for that many; a forged token wastes at most that many.
 */
export const MAX_LEAD = 2 ** 32;

/** Whether `value` can be a token: a whole number from 0 to {@link MAX_TOKEN}. */
export function isToken(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= MAX_TOKEN;
}
