import { sha256 } from '../../src/base/hash.ts';
import type {
  ClusterSnapshot,
  DesiredUnit,
  MachineView,
  Unreachable,
  UnreachableView,
} from '../../src/cluster/snapshot.ts';
import type { ObservedUnit, SystemdState, TargetState, UnitRecord } from '../../src/cluster/unit-state.ts';
import type { MachineId, Metadata } from '../../src/machine/machine.ts';
import { type DependencyKind, readDependencies, triggeredUnit } from '../../src/unit/dependencies.ts';
import { parsePlacement } from '../../src/unit/placement.ts';
import { hashUnitFile, parseUnitFile } from '../../src/unit/unit-file.ts';
import { parseUnitName } from '../../src/unit/unit-name.ts';

export const NOW = Date.UTC(2024, 0, 1);
export const TTL_MS = 30_000;
export const CLUSTER_ID = '0b1fda7c-6a4e-4bb5-9a54-7f6d1c3d2e10';

/** The machine id for a name; ids sort like names. */
export function idOf(machine: string): MachineId {
  return Buffer.from(machine).toString('hex').padEnd(32, '0');
}

/** Properties that systemd shows in each relevant state, recorded from systemd 252. */
const STATES = {
  running: { load: 'loaded', active: 'active', sub: 'running', invocation: 'run1' },
  waiting: { load: 'loaded', active: 'active', sub: 'waiting', type: '', invocation: 'run1' },
  dead: { load: 'loaded', active: 'inactive', sub: 'dead' },
  unknown: { load: 'not-found', active: 'inactive', sub: 'dead', type: '', fragment: '' },
  failed: {
    load: 'loaded',
    active: 'failed',
    sub: 'failed',
    result: 'exit-code',
    exitStatus: 1,
    exitCode: 1,
    invocation: 'run1',
  },
  restarting: {
    load: 'loaded',
    active: 'activating',
    sub: 'auto-restart',
    result: 'exit-code',
    exitStatus: 1,
    exitCode: 1,
    invocation: 'run1',
  },
  starting: { load: 'loaded', active: 'activating', sub: 'start', invocation: 'run1' },
  stopping: { load: 'loaded', active: 'deactivating', sub: 'stop-sigterm', invocation: 'run1' },
  reloading: { load: 'loaded', active: 'reloading', sub: 'reload', invocation: 'run1' },
  finished: {
    load: 'loaded',
    active: 'inactive',
    sub: 'dead',
    type: 'oneshot',
    exitCode: 1,
    invocation: 'run1',
  },
} as const satisfies Readonly<Record<string, Partial<SystemdState>>>;

export type StateName = keyof typeof STATES;

export function systemdState(name: StateName, changes: Partial<SystemdState> = {}): SystemdState {
  return {
    result: 'success',
    type: 'simple',
    exitStatus: 0,
    exitCode: 0,
    restarts: 0,
    invocation: '',
    fragment: '/etc/systemd/system/a.service',
    loadError: '',
    since: NOW - 60_000,
    memoryBytes: 5_452_595,
    cpuNs: 15_000_000,
    ...STATES[name],
    ...changes,
  };
}

export type UnitOptions = {
  readonly target?: TargetState;
  /** Name of the machine it is assigned to. */
  readonly machine?: string;
  readonly token?: number;
  /** The unit file; by default it is generated around the lines of `[X-Fleet]`. */
  readonly text?: string;
};

/** A unit in the registry. `fleet` are the lines of its `[X-Fleet]` section. */
export function desiredUnit(name: string, fleet = '', options: UnitOptions = {}): DesiredUnit {
  const unitName = parseUnitName(name);
  const text = options.text ?? `${BODIES[unitName.type] ?? '[Unit]\nDescription=x\n'}\n[X-Fleet]\n${fleet}\n`;
  const file = parseUnitFile(text, name);
  return {
    name,
    text,
    hash: hashUnitFile(file),
    digest: sha256(text),
    placement: parsePlacement(file, unitName),
    triggers: triggeredUnit(file, unitName),
    dependencies: readDependencies(file, unitName),
    target: options.target ?? 'launched',
    machine: options.machine === undefined ? undefined : idOf(options.machine),
    token: options.token ?? 1,
  };
}

const BODIES: Readonly<Record<string, string>> = {
  service: '[Service]\nExecStart=/bin/sleep infinity\n',
  timer: '[Timer]\nOnActiveSec=1h\n',
  socket: '[Socket]\nListenStream=/run/x\n',
  path: '[Path]\nPathExists=/run/x\n',
};

/** The record that fleet writes to a machine together with `unit`. */
export function recordOf(unit: DesiredUnit, changes: Partial<UnitRecord> = {}): UnitRecord {
  const { name, token, hash, digest, target } = unit;
  return { unit: name, token, hash, digest, target, ...changes };
}

/** A unit on a machine, in the desired state. */
export function observedUnit(unit: DesiredUnit, changes: Partial<ObservedUnit> = {}): ObservedUnit {
  const state = systemdState(unit.target === 'launched' ? 'running' : 'dead');
  return { name: unit.name, state, record: recordOf(unit), digest: unit.digest, ...changes };
}

/** A unit of that name that fleet does not manage. */
export function foreignUnit(name: string, changes: Partial<SystemdState> = {}): ObservedUnit {
  const fragment = `/usr/lib/systemd/system/${name}`;
  return {
    name,
    state: systemdState('dead', { fragment, ...changes }),
    record: undefined,
    digest: undefined,
  };
}

type MachineOptions = {
  /** The cluster that owns it; CLUSTER_ID by default. */
  readonly cluster?: string | undefined;
  readonly units?: readonly ObservedUnit[];
};

/** Builds a snapshot of a cluster. Every method returns a new builder. */
export type ClusterBuilder = {
  /** A machine that answers. */
  machine(name: string, metadata?: Metadata, options?: MachineOptions): ClusterBuilder;
  /** A machine that has been unreachable for so many ms. */
  unreachable(
    name: string,
    forMs: number,
    metadata?: Metadata,
    details?: Partial<Unreachable>,
  ): ClusterBuilder;
  /** A machine that has never answered, so that its id is not known. */
  never(name: string, metadata?: Metadata): ClusterBuilder;
  unit(name: string, fleet?: string, options?: UnitOptions): ClusterBuilder;
  snapshot(changes?: Partial<ClusterSnapshot>): ClusterSnapshot;
};

export function cluster(
  machines: readonly MachineView[] = [],
  units: readonly DesiredUnit[] = [],
): ClusterBuilder {
  return {
    machine: (name, metadata = {}, options = {}) =>
      cluster([...machines, answering(name, metadata, options)], units),
    unreachable: (name, forMs, metadata = {}, details = {}) =>
      cluster([...machines, unreachableFor(name, forMs, metadata, details)], units),
    never: (name, metadata = {}) =>
      cluster([...machines, { ...unreachableFor(name, 0, metadata), id: undefined }], units),
    unit: (name, fleet, options) => cluster(machines, [...units, desiredUnit(name, fleet, options)]),
    snapshot: (changes = {}) => ({
      now: NOW,
      agentTtlMs: TTL_MS,
      cutOff: 0.5,
      clusterId: CLUSTER_ID,
      revision: 100,
      units,
      machines,
      cordons: new Map(),
      drained: undefined,
      ...changes,
    }),
  };
}

function answering(name: string, metadata: Metadata, options: MachineOptions): MachineView {
  return {
    machine: { name, address: `10.0.0.${name.replaceAll(/\D/g, '') || '0'}`, metadata },
    id: idOf(name),
    observation: {
      id: idOf(name),
      cluster: 'cluster' in options ? options.cluster : CLUSTER_ID,
      bootId: `boot of ${name}`,
      uptimeSeconds: 1000,
      units: options.units ?? [],
    },
    backSince: undefined,
  };
}

function unreachableFor(
  name: string,
  ms: number,
  metadata: Metadata,
  details: Partial<Unreachable> = {},
): UnreachableView {
  return {
    machine: answering(name, metadata, {}).machine,
    id: idOf(name),
    unreachable: {
      since: NOW - ms,
      code: 'ssh-timeout',
      message: `Cannot reach machine "${name}"`,
      hint: undefined,
      ...details,
    },
  };
}

const SECTIONS: Partial<Record<DependencyKind, string>> = {
  RequiredBy: 'Install',
  UpheldBy: 'Install',
  Slice: 'Service',
  Sockets: 'Service',
};

const TYPES: Partial<Record<DependencyKind, string>> = {
  Slice: 'slice',
  Sockets: 'socket',
  RequiresMountsFor: 'mount',
};

/** The line with that option for a unit b. */
export function lineOf(kind: DependencyKind): string {
  return `${kind}=${kind === 'RequiresMountsFor' ? '/b' : `b.${TYPES[kind] ?? 'service'}`}`;
}

/** a.service, which depends on a unit b of a suitable type through that option, and unit b. */
export function dependentPair(
  kind: DependencyKind,
  section = SECTIONS[kind] ?? 'Unit',
  [first, second]: readonly [UnitOptions?, UnitOptions?] = [],
): readonly [DesiredUnit, DesiredUnit] {
  const other = `b.${TYPES[kind] ?? 'service'}`;
  const text = `[${section}]\n${lineOf(kind)}\n[Service]\nExecStart=/bin/sleep infinity\n`;
  return [desiredUnit('a.service', '', { ...first, text }), desiredUnit(other, '', second)];
}
