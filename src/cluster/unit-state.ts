/** What systemd says of a unit on one machine: values of `systemctl show`, as systemd spells them. */
export type SystemdState = {
  /** LoadState: `loaded`, `not-found`, `bad-setting`, `masked`, `error`. */
  readonly load: string;
  /** ActiveState: `active`, `inactive`, `failed`, `activating`, `deactivating`, `reloading`, `refreshing`. */
  readonly active: string;
  /** SubState: `running`, `dead`, `auto-restart`, … */
  readonly sub: string;
  /** Result: `success`, `exit-code`, `signal`, `timeout`, … Empty where systemd reports none. */
  readonly result: string;
  /** Type of a service: `simple`, `oneshot`, … Empty for other units. */
  readonly type: string;
  /** RemainAfterExit: a service of which a run that succeeded leaves it active, so that inactive means stopped. */
  readonly remains?: boolean;
  /** Exit status or signal number of the main process, and CLD code (1 exited, 2 killed, 3 dumped). */
  readonly exitStatus: number;
  readonly exitCode: number;
  /** NRestarts: automatic restarts so far; 0 before systemd 235. */
  readonly restarts: number;
  /** The id of the current or last run; empty when the unit has not run since boot. */
  readonly invocation: string;
  /** The file systemd read the unit from; empty when there is none. */
  readonly fragment: string;
  /** Why the unit file could not be loaded, in systemd's words; empty when it could. */
  readonly loadError: string;
  /** Epoch ms since when it has been in this state, by the machine's clock; undefined for one that never was in another. */
  readonly since: number | undefined;
  /** What its processes use now; undefined where systemd does not count it, as for units that do not run. */
  readonly memoryBytes: number | undefined;
  /** CPU time of its current or last run, in ns; undefined where systemd does not count it. */
  readonly cpuNs: number | undefined;
  /** Epoch ms at which its last run ended, by the machine's clock; undefined for one whose first run is not over. */
  readonly activeExit?: number | undefined;
  /** Epoch ms at which a timer elapses next and did last, by the machine's clock; undefined for never, and for others. */
  readonly nextElapse?: number | undefined;
  readonly lastTrigger?: number | undefined;
  /** The job that systemd has queued for it; undefined for none. */
  readonly jobId?: number | undefined;
  /** Files that add to its text and that fleet did not put there; undefined for none. */
  readonly dropIns?: readonly string[];
};

/**
 * Properties of a state and of an observation that change although nothing happens. `nextElapse` is one because a time
 * since boot is converted by a clock that counts in seconds.
 */
const MEASURES: ReadonlySet<string> = new Set([
  ...(['memoryBytes', 'cpuNs', 'nextElapse'] satisfies (keyof SystemdState)[]),
  ...['uptimeSeconds', 'clock', 'deadline', 'vitals'],
]);

/** The text that two observations share when nothing but their measures differs. */
export function withoutMeasures(observation: object): string {
  return JSON.stringify(observation, (key, held: unknown) => (MEASURES.has(key) ? undefined : held));
}

/** What fleet noted on a machine when it put a unit there. */
export type UnitRecord = {
  readonly unit: string;
  /** The token of the decision that put it there. */
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
  /** Undefined when fleet did not put the unit there. */
  readonly record: UnitRecord | undefined;
  /** How the record on the machine is lost: `record` is what a pass writes in its place, undefined where it must not. */
  readonly lost?: 'missing' | 'damaged' | undefined;
  /** SHA-256 of the unit file that is there now; undefined when there is none or it was not asked for. */
  readonly digest: string | undefined;
  /** Links that make other units pull it in, `fleet.target.wants/web.service`; undefined when not asked for. */
  readonly links?: readonly string[];
  /** SHA-256 of the drop-in that ties it to the lease; undefined when there is none or it was not asked for. */
  readonly fence?: string | undefined;
};

/**
 * The state of a unit that the machine could not show: it may run, and it may not. `why` is one line, in the words of
 * the machine. No decision may rest on such a state.
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

/**
 * Whether a launched unit is as a user wants it: active and not between automatic restarts, or a oneshot that
 * has run and succeeded (systemd.service(5): a oneshot without RemainAfterExit= is inactive after it ran).
 */
export function isUp(state: SystemdState): boolean {
  // The three that `systemctl is-active` takes for active; `refreshing` came with systemd 257.
  return ['active', 'reloading', 'refreshing'].includes(state.active) || isFinished(state);
}

/** A oneshot that ran to success since the machine booted, and is not one that stays active after that. */
export function isFinished(state: SystemdState): boolean {
  // A text that systemd cannot use has no type; one without ExecStart= counts as a oneshot.
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
 * Whether a unit that was just started is really up: up now, and the same run that was up when the settle
 * window began. `systemctl start` returns 0 for a Type=simple service that dies a moment later, and Restart=
 * keeps such a service out of `failed`.
 */
export function hasStarted(before: SystemdState, after: SystemdState): boolean {
  return isUp(after) && after.restarts === before.restarts && after.invocation === before.invocation;
}

/** Whether systemd has processes or jobs of the unit to stop. */
export function isRunning(state: SystemdState): boolean {
  return state.active !== 'inactive' && state.active !== 'failed';
}

/** A unit that systemd knows and that fleet did not put there. It knows every slice, also one that has no file. */
export function isForeign({ name, record, lost, state }: ObservedUnit): boolean {
  if (record !== undefined || lost !== undefined) return false;
  if (name.endsWith('.slice') && state.load === 'loaded') return state.fragment !== '';
  return state.load !== 'not-found' || isRunning(state);
}

/** Whether fleet put it there. */
export function isOurs({ record, lost }: ObservedUnit): boolean {
  return record !== undefined || lost !== undefined;
}

/** The target state that a unit has reached on a machine. */
export function reachedState(unit: ObservedUnit): TargetState {
  if (unit.record === undefined || unit.state.load === 'not-found') return 'inactive';
  return unit.record.target === 'launched' && isUp(unit.state) ? 'launched' : 'loaded';
}

/** What a user wants of a unit, weakest first: known, placed on a machine, running. */
export const TARGET_STATES = ['inactive', 'loaded', 'launched'] as const;

export type TargetState = (typeof TARGET_STATES)[number];
