/** The state of a unit on one machine: values of `systemctl show`, in the spelling of systemd. */
export type SystemdState = {
  /** LoadState: `loaded`, `not-found`, `bad-setting`, `masked`, `error`. */
  readonly load: string;
  /** ActiveState: `active`, `inactive`, `failed`, `activating`, `deactivating`, `reloading`, `refreshing`. */
  readonly active: string;
  /** SubState: `running`, `dead`, `auto-restart`, … */
  readonly sub: string;
  /** Result: `success`, `exit-code`, `signal`, `timeout`, … Empty if systemd reports none. */
  readonly result: string;
  /** Type of a service: `simple`, `oneshot`, … Empty for other units. */
  readonly type: string;
  /** RemainAfterExit: the service stays active after a successful run, so that inactive means stopped. */
  readonly remains?: boolean;
  /** Exit status or signal number of the main process, and CLD code (1 exited, 2 killed, 3 dumped). */
  readonly exitStatus: number;
  readonly exitCode: number;
  /** NRestarts: automatic restarts so far; 0 before systemd 235. */
  readonly restarts: number;
  /** InvocationID: the id of the current or last run; empty if the unit has not run since boot. */
  readonly invocation: string;
  /** FragmentPath: the unit file; empty if there is none. */
  readonly fragment: string;
  /** LoadError: systemd's reason why the unit file could not be loaded; empty if it could. */
  readonly loadError: string;
  /** Epoch ms of the last change of state, by the machine's clock; undefined if the state never changed. */
  readonly since: number | undefined;
  /** MemoryCurrent; undefined if systemd does not account it, as for units that do not run. */
  readonly memoryBytes: number | undefined;
  /** CPU time of its current or last run, in ns; undefined if systemd does not account it. */
  readonly cpuNs: number | undefined;
  /** Epoch ms of the end of its last run, by the machine's clock; undefined before the end of its first run. */
  readonly activeExit?: number | undefined;
  /** Epoch ms at which a timer elapses next and elapsed last, by the machine's clock; undefined for never, and for other units. */
  readonly nextElapse?: number | undefined;
  readonly lastTrigger?: number | undefined;
  /** Its queued job; undefined for none. */
  readonly jobId?: number | undefined;
  /** Drop-ins that fleet did not write; undefined for none. */
  readonly dropIns?: readonly string[];
};

/**
 * Properties of a state and of an observation that change although nothing happens. `nextElapse` is among them because
 * it is converted from a time since boot with a clock that counts in seconds.
 */
export const MEASURES: ReadonlySet<string> = new Set([
  ...(['memoryBytes', 'cpuNs', 'nextElapse'] satisfies (keyof SystemdState)[]),
  ...['uptimeSeconds', 'clock', 'deadline', 'vitals'],
]);

/** Whether two observations are equal except for measures. An absent property equals an undefined one. */
export function isAlike(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [left, right] = [a as Readonly<Record<string, unknown>>, b as Readonly<Record<string, unknown>>];
  const hasAlike = (key: string): boolean => MEASURES.has(key) || isAlike(left[key], right[key]);
  return (
    Object.keys(left).every(hasAlike) &&
    Object.keys(right).every((key) => right[key] === undefined || key in left || MEASURES.has(key))
  );
}

/** The record that fleet stores on a machine with a unit. */
export type UnitRecord = {
  readonly unit: string;
  /** The token of the last decision about it. */
  readonly token: number;
  /** fleet's hash of the unit file (40 hex digits). */
  readonly hash: string;
  /** SHA-256 of the unit file's bytes. */
  readonly digest: string;
  readonly target: TargetState;
};

/** One unit on one machine, as observed. */
export type ObservedUnit = {
  readonly name: string;
  readonly state: SystemdState;
  /** Undefined if fleet did not write the unit. */
  readonly record: UnitRecord | undefined;
  /** Set if the record on the machine is lost. `record` is then the one that a pass writes; undefined if it must not. */
  readonly lost?: 'missing' | 'damaged' | undefined;
  /** SHA-256 of the present unit file; undefined if there is none or it was not requested. */
  readonly digest: string | undefined;
  /** Links that make other units pull it in, `fleet.target.wants/web.service`; undefined if not requested. */
  readonly links?: readonly string[];
  /** SHA-256 of the drop-in that ties it to the lease; undefined if there is none or it was not requested. */
  readonly fence?: string | undefined;
};

/**
 * The state of a unit that the machine could not report: it may or may not run. `why` is one line with the error of the
 * machine. No decision may depend on such a state.
 */
export function unknownState(why: string): SystemdState {
  return { ...NO_STATE, load: UNKNOWN, active: UNKNOWN, sub: UNKNOWN, loadError: why };
}

/** A state with only LoadState, ActiveState and SubState. */
export const NO_STATE: Omit<SystemdState, 'load' | 'active' | 'sub'> = {
  result: '',
  type: '',
  exitStatus: 0,
  exitCode: 0,
  restarts: 0,
  invocation: '',
  fragment: '',
  loadError: '',
  since: undefined,
  memoryBytes: undefined,
  cpuNs: undefined,
};

/** LoadState, ActiveState and SubState of {@link unknownState}; systemd itself has no such value. */
const UNKNOWN = 'unknown';

export function isUnknown({ load }: Pick<SystemdState, 'load'>): boolean {
  return load === UNKNOWN;
}

/** Whether `systemctl mask` keeps the unit from being started. */
export function isMasked({ load }: Pick<SystemdState, 'load'>): boolean {
  return load === 'masked';
}

/** Whether `systemctl is-active` returns 0; `refreshing` is new in systemd 257. */
export function isActive({ active }: Pick<SystemdState, 'active'>): boolean {
  return ['active', 'reloading', 'refreshing'].includes(active);
}

/**
 * Whether a launched unit is up: active and not between automatic restarts, or a oneshot that has succeeded
 * (systemd.service(5): a oneshot without RemainAfterExit= is inactive after it ran).
 */
export function isUp(state: SystemdState): boolean {
  return isActive(state) || isFinished(state);
}

/** In ms: after this time, a running unit counts as successfully started, even if no pass has verified its start. */
export const STEADY_MS = 60_000;

/** Since when a unit that is up has been up, epoch ms. A oneshot that has succeeded proves its text immediately. */
export function upSince(state: SystemdState): number {
  return isFinished(state) ? Number.NEGATIVE_INFINITY : (state.since ?? Number.POSITIVE_INFINITY);
}

/** A oneshot without RemainAfterExit= that has succeeded since the machine booted. */
export function isFinished(state: SystemdState): boolean {
  // A unit file that systemd cannot load has no type; one without ExecStart= counts as a oneshot.
  return (
    state.load === 'loaded' &&
    state.type === 'oneshot' &&
    state.remains !== true &&
    state.active === 'inactive' &&
    state.result === 'success' &&
    state.invocation !== ''
  );
}

/**
 * Whether a unit that was just started stays up: it is up, in the same run as at the start of the settle window.
 * `systemctl start` returns 0 for a Type=simple service that exits a moment later, and with Restart= such a service
 * does not become `failed`.
 */
export function hasStarted(before: SystemdState, after: SystemdState): boolean {
  return isUp(after) && after.restarts === before.restarts && after.invocation === before.invocation;
}

/**
 * Whether a unit is down for a reason outside its text: systemd started no process of it, because of a failed condition or a
 * missing requirement, or something else has stopped it. A process that has ended by itself has the CLD code 1.
 */
export function isDownByOthers({ load, active, result, exitCode }: SystemdState): boolean {
  return load === 'loaded' && active === 'inactive' && result === 'success' && exitCode !== 1;
}

/** Whether systemd is about to start it again after its end. From version 254, the time from the job to its start has a second name. */
function waitsForRestart({ sub }: SystemdState): boolean {
  return sub === 'auto-restart' || sub === 'auto-restart-queued';
}

/** Whether its start is still under way. */
export function isStarting(state: SystemdState): boolean {
  return state.active === 'activating' && !waitsForRestart(state);
}

/** Whether systemd has processes or jobs of the unit to stop. */
export function isRunning(state: SystemdState): boolean {
  return state.active !== 'inactive' && state.active !== 'failed';
}

/** A unit of the machine that fleet did not write. systemd can load any slice, so a slice counts only with a file. */
export function isForeign({ name, record, lost, state }: ObservedUnit): boolean {
  if (record !== undefined || lost !== undefined) return false;
  if (name.endsWith('.slice') && state.load === 'loaded') return state.fragment !== '';
  return state.load !== 'not-found' || isRunning(state);
}

/** The file of a unit that fleet did not write; empty without one. Before systemd 248, the file of a mask is `/dev/null`. */
export function fileOf({ state }: Pick<ObservedUnit, 'state'>): string {
  return isMasked(state) && state.fragment === '/dev/null' ? '' : state.fragment;
}

/** The same for people, and whether the unit is masked. */
export function originOf(unit: Pick<ObservedUnit, 'name' | 'state'>): string {
  return originText(unit.name, fileOf(unit), isMasked(unit.state));
}

/** The file of a unit, or its name if it is masked and has none. */
export function originText(unit: string, file: string, masked: boolean): string {
  return masked ? `${file === '' ? unit : file} (masked)` : file;
}

/** Whether fleet wrote the unit. */
export function isOurs({ record, lost }: ObservedUnit): boolean {
  return record !== undefined || lost !== undefined;
}

/** The target state that a unit has reached on a machine. */
export function reachedState(unit: ObservedUnit): TargetState {
  if (unit.record === undefined || unit.state.load === 'not-found') return 'inactive';
  return unit.record.target === 'launched' && isUp(unit.state) ? 'launched' : 'loaded';
}

/** The target states, weakest first: submitted, assigned to a machine, running. */
export const TARGET_STATES = ['inactive', 'loaded', 'launched'] as const;

export type TargetState = (typeof TARGET_STATES)[number];
