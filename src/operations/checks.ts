import type { ErrorCode, FleetError } from '../base/errors.ts';
import { parseMachineId } from '../machine/machine.ts';
import { NotTried } from '../ssh/failure.ts';
import type { Login } from '../ssh/transport.ts';
import type { Examination, FolderFact, SpaceFact } from '../systemd/examination.ts';

/** The finding of a check, worded in output/. */
export type Finding =
  /** No problem, and no details. */
  | { readonly code: 'well' }
  /** The connection failed at this check. */
  | { readonly code: 'error'; readonly message: string; readonly hint: string | undefined }
  | { readonly code: 'address'; readonly address: string }
  | { readonly code: 'credential'; readonly user: string; readonly credential: string }
  | { readonly code: 'uid'; readonly uid: number }
  | { readonly code: 'systemd'; readonly version: number; readonly state: string }
  | { readonly code: 'no-systemd' }
  | { readonly code: 'not-writable'; readonly folders: readonly FolderFact[] }
  | { readonly code: 'absent'; readonly tools: readonly string[] }
  /** Installed tools that do not work. */
  | { readonly code: 'broken'; readonly tools: readonly string[] }
  /** The text in place of a machine id. */
  | { readonly code: 'no-id'; readonly text: string }
  /** Another machine, by its name, answers with the same id. */
  | { readonly code: 'same-id'; readonly id: string; readonly other: string }
  /** The registry has another id for its name. */
  | { readonly code: 'other-id'; readonly id: string; readonly known: string }
  | { readonly code: 'cluster'; readonly cluster: string | undefined }
  | { readonly code: 'clock'; readonly offsetSeconds: number }
  | { readonly code: 'space'; readonly least: SpaceFact }
  | { readonly code: 'journal'; readonly said: string }
  | { readonly code: 'containers'; readonly tools: readonly string[] }
  | { readonly code: 'units'; readonly unknown: Examination['unknown'] }
  | { readonly code: 'occupied'; readonly occupied: Examination['occupied'] }
  | { readonly code: 'altered'; readonly altered: Examination['altered'] };

/** A check is skipped if an earlier check that it needs has failed. */
export type CheckStatus = 'ok' | 'failed' | 'skipped';

type Verdict = { readonly status: CheckStatus; readonly finding: Finding };

export type CheckResult = Verdict & { readonly check: CheckName };

/** The input of the checks of one machine. */
export type HealthInput = {
  readonly user: string;
  readonly login: Login | FleetError;
  /** Undefined without a login. */
  readonly examination: Examination | FleetError | undefined;
  /** The offset of its clock from the local one, in seconds; 0 within the accuracy, undefined if unknown. */
  readonly offsetSeconds: number | undefined;
  /** The cluster of the registry; undefined for an empty registry. */
  readonly clusterId: string | undefined;
  /** The name of another machine that has answered with the same id. */
  readonly sameId: string | undefined;
  /** The id that the registry has for the machine's name. */
  readonly known: string | undefined;
};

/** The oldest systemd that counts restarts (NRestarts=), which a start needs to verify that a unit stays up. */
export const OLDEST_SYSTEMD = 235;
/** The largest tolerated offset of a clock, in seconds: beyond it, merged journals are noticeably out of order. */
const MOST_OFFSET = 5;
/** The free space that unit files and records need. */
const LEAST_KIB = 16_384;
const LEAST_INODES = 100;

/** The results of all checks, in order. */
export function judge(input: HealthInput): readonly CheckResult[] {
  const { login, examination } = input;
  const broken = login instanceof Error ? login : examination instanceof Error ? examination : undefined;
  const connection = connectionChecks(input, broken);
  if (broken !== undefined || examination === undefined || examination instanceof Error)
    return CHECKS.map((check) => connection.get(check) ?? { check, ...SKIPPED });
  return CHECKS.map(
    (check) => connection.get(check) ?? { check, ...INNER[check as Inner].judge(examination, input) },
  );
}

/** The check to which an error of the connection belongs; `shell` for other codes. */
const AT: Partial<Record<ErrorCode, CheckName>> = {
  'ssh-name': 'name',
  'ssh-refused': 'port',
  'ssh-timeout': 'port',
  'ssh-lost': 'port',
  'ssh-turned-away': 'port',
  'ssh-local': 'port',
  'ssh-host-key': 'host-key',
  'ssh-authentication': 'login',
  'become-password': 'root',
  'become-refused': 'root',
  'become-denied': 'root',
  'become-tty': 'root',
  'become-missing': 'root',
};

/**
 * The results of the connection checks, up to the one that failed. If the machine was not tried, the checks before it have
 * no result.
 */
function connectionChecks(
  { login, user }: HealthInput,
  broken: FleetError | undefined,
): ReadonlyMap<CheckName, CheckResult> {
  const isIn = !(login instanceof Error);
  const end = broken && (AT[broken.code] === 'port' && isIn ? 'shell' : (AT[broken.code] ?? 'shell'));
  const wasTried = isIn || !(broken instanceof NotTried);
  const made = end === undefined ? Object.keys(CONNECTION).length : CHECKS.indexOf(end);
  const reached = CHECKS.slice(0, wasTried ? made : 0);
  const results = reached.map((check): CheckResult => {
    if (check === 'port' && isIn && login.address !== undefined)
      return { check, ...well({ code: 'address', address: login.address }) };
    if (check === 'login' && isIn && login.credential !== undefined)
      return { check, ...well({ code: 'credential', user, credential: login.credential }) };
    return { check, ...well() };
  });
  if (end !== undefined && broken !== undefined)
    results.push({ check: end, ...failed({ code: 'error', message: broken.message, hint: broken.hint }) });
  return new Map(results.map((result) => [result.check, result]));
}

type Judge = (examination: Examination, input: HealthInput) => Verdict;

const SKIPPED: Verdict = { status: 'skipped', finding: { code: 'well' } };

/** The text of the manual about a check, in Markdown. The build leaves it out. */
type Documented = { readonly manual: string };

/** The checks that a connection makes. */
const CONNECTION = {
  name: { manual: 'Its name resolves.' },
  port: { manual: 'An SSH server answers there.' },
  'host-key': { manual: 'The host key is known.' },
  login: { manual: 'The user may log in. The detail names the key that was used.' },
  shell: { manual: '`/bin/sh` starts.' },
} as const satisfies Readonly<Record<string, Documented>>;

/** The checks that need a root shell, in their order. */
const INNER = {
  root: {
    manual: 'The shell has root rights.',
    judge: ({ uid }) => verdict(uid === 0, { code: 'uid', uid }),
  },
  systemd: {
    manual: `systemd is version ${OLDEST_SYSTEMD} or later, and is the init of the machine.`,
    judge: ({ systemd }) =>
      systemd === undefined
        ? verdict(false, { code: 'no-systemd' })
        : verdict(systemd.version >= OLDEST_SYSTEMD && systemd.state !== 'offline', {
            code: 'systemd',
            ...systemd,
          }),
  },
  folders: {
    manual: '`/etc/systemd/system`, `/var/lib/fleet` and `/run/fleet` are writable.',
    judge: ({ folders }) => {
      const closed = folders.filter(({ obstacle }) => obstacle !== undefined);
      return closed.length === 0 ? well() : failed({ code: 'not-writable', folders: closed });
    },
  },
  tools: {
    manual: '`flock` of util-linux and the tools of coreutils exist and work.',
    judge: judgeTools,
  },
  id: {
    manual:
      'The machine has an id, it is the one in the registry, and no other machine that answers has the same id.',
    judge: ({ machineId }, { sameId, known }) => {
      const id = parseMachineId(machineId);
      if (id === undefined) return failed({ code: 'no-id', text: machineId });
      if (sameId !== undefined) return failed({ code: 'same-id', id, other: sameId });
      return known === undefined || known === id ? well() : failed({ code: 'other-id', id, known });
    },
  },
  cluster: {
    manual: 'The machine belongs to this cluster, or to none yet.',
    judge: ({ cluster }, { clusterId }) =>
      verdict(cluster === undefined || clusterId === undefined || cluster === clusterId, {
        code: 'cluster',
        cluster,
      }),
  },
  clock: {
    manual: `The clock differs from the local one by at most ${MOST_OFFSET} s.`,
    judge: (_, { offsetSeconds }) =>
      offsetSeconds === undefined
        ? SKIPPED
        : verdict(Math.abs(offsetSeconds) <= MOST_OFFSET, { code: 'clock', offsetSeconds }),
  },
  space: {
    manual: `${LEAST_KIB / 1024} MiB and ${LEAST_INODES} inodes are free where fleet writes.`,
    judge: ({ space }) => judgeSpace(space),
  },
  journal: {
    manual: 'journalctl reads the journal.',
    judge: ({ journalObstacle }) =>
      journalObstacle === undefined ? well() : failed({ code: 'journal', said: journalObstacle }),
  },
  containers: {
    manual: 'podman or docker is installed where units of fleet use it.',
    judge: ({ containers }) => {
      const lacking = containers.filter(({ present }) => !present).map(({ tool }) => tool);
      const used = containers.map(({ tool }) => tool);
      return lacking.length === 0
        ? well(used.length === 0 ? undefined : { code: 'containers', tools: used })
        : failed({ code: 'containers', tools: lacking });
    },
  },
  units: {
    manual: 'systemd can show every unit that fleet installed, and nothing is in the place of its files.',
    judge: ({ unknown, occupied, altered }) => {
      if (unknown.length > 0) return failed({ code: 'units', unknown });
      if (occupied.length > 0) return failed({ code: 'occupied', occupied });
      return altered.length > 0 ? failed({ code: 'altered', altered }) : well();
    },
  },
} satisfies Readonly<Record<string, Documented & { readonly judge: Judge }>>;

type Inner = keyof typeof INNER;
export type CheckName = keyof typeof CONNECTION | Inner;

/** The checks of a machine with their texts; each may need the ones before it. */
export const DOCUMENTED_CHECKS: Readonly<Record<CheckName, Documented>> = { ...CONNECTION, ...INNER };
export const CHECKS = Object.keys(DOCUMENTED_CHECKS) as readonly CheckName[];

/** Skipped if there was no writable folder for the tests; then the check `folders` has failed. */
function judgeTools({ absent, broken }: Examination): Verdict {
  if (absent.length > 0) return failed({ code: 'absent', tools: absent });
  if (broken === undefined) return SKIPPED;
  return broken.length === 0 ? well() : failed({ code: 'broken', tools: broken });
}

/** The folder with the least free space, and whether that is enough. */
function judgeSpace(space: readonly SpaceFact[]): Verdict {
  const [least] = space.toSorted((a, b) => Number(hasRoom(a)) - Number(hasRoom(b)) || a.kib - b.kib);
  if (least === undefined) return SKIPPED;
  return verdict(hasRoom(least), { code: 'space', least });
}

function hasRoom(fact: SpaceFact): boolean {
  return fact.kib >= LEAST_KIB && hasInodes(fact);
}

/** Whether enough new files can be made there, however small. */
export function hasInodes({ inodes = LEAST_INODES }: SpaceFact): boolean {
  return inodes >= LEAST_INODES;
}

function verdict(isWell: boolean, finding: Finding): Verdict {
  return { status: isWell ? 'ok' : 'failed', finding };
}

function well(finding: Finding = { code: 'well' }): Verdict {
  return verdict(true, finding);
}

function failed(finding: Finding): Verdict {
  return verdict(false, finding);
}
