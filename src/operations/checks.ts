import type { ErrorCode, FleetError } from '../base/errors.ts';
import { parseMachineId } from '../machine/machine.ts';
import { NotTried } from '../ssh/failure.ts';
import type { Login } from '../ssh/transport.ts';
import type { Examination, FolderFact, SpaceFact } from '../systemd/examination.ts';

/** Everything that is looked at on a machine, in the order in which one thing needs the other. */
export const CHECKS = [
  'name',
  'port',
  'host-key',
  'login',
  'shell',
  'root',
  'systemd',
  'folders',
  'tools',
  'id',
  'cluster',
  'clock',
  'space',
  'journal',
  'containers',
  'units',
] as const;

export type CheckName = (typeof CHECKS)[number];

/** What a check found, worded in output/. */
export type Finding =
  /** Nothing to tell. */
  | { readonly code: 'well' }
  /** The way there ended here. */
  | { readonly code: 'error'; readonly message: string; readonly hint: string | undefined }
  | { readonly code: 'address'; readonly address: string }
  | { readonly code: 'credential'; readonly user: string; readonly credential: string }
  | { readonly code: 'uid'; readonly uid: number }
  | { readonly code: 'systemd'; readonly version: number; readonly state: string }
  | { readonly code: 'no-systemd' }
  | { readonly code: 'not-writable'; readonly folders: readonly FolderFact[] }
  | { readonly code: 'absent'; readonly tools: readonly string[] }
  /** Tools that are there and do not do their work. */
  | { readonly code: 'broken'; readonly tools: readonly string[] }
  /** What stands in the place of a machine id. */
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
  | { readonly code: 'altered'; readonly altered: Examination['altered'] };

/** A check that was not made, because what it needs has failed, is skipped. */
export type CheckStatus = 'ok' | 'failed' | 'skipped';

export type CheckResult = {
  readonly check: CheckName;
  readonly status: CheckStatus;
  readonly finding: Finding;
};

/** What is known of one machine: how far the way there went, and how the machine is. */
export type HealthInput = {
  readonly user: string;
  readonly login: Login | FleetError;
  /** Undefined without a login. */
  readonly examination: Examination | FleetError | undefined;
  /** How far its clock is ahead of the one here, in seconds; 0 within the accuracy, undefined where it sent nothing. */
  readonly offsetSeconds: number | undefined;
  /** The cluster of the registry; undefined for one that holds nothing yet. */
  readonly clusterId: string | undefined;
  /** The name of another machine that has answered with the same id. */
  readonly sameId: string | undefined;
  /** The id that the registry has for the machine's name. */
  readonly known: string | undefined;
};

/** The oldest systemd that counts restarts (NRestarts=, systemd 235), which tells whether a unit stays up. */
export const OLDEST_SYSTEMD = 235;
/** How far clocks may be apart before journals of several machines are merged in a wrong order, in seconds. */
const MOST_OFFSET = 5;
/** What must be free for unit files and records. */
const LEAST_KIB = 16_384;
const LEAST_INODES = 100;

/** Judges every check, in their order; what needs one that failed is skipped. */
export function judge(sight: HealthInput): readonly CheckResult[] {
  const { login, examination } = sight;
  const broken = login instanceof Error ? login : examination instanceof Error ? examination : undefined;
  const way = connectionChecks(sight, broken);
  if (broken !== undefined || examination === undefined || examination instanceof Error)
    return CHECKS.map((check) => way.get(check) ?? skipped(check));
  return CHECKS.map((check) => way.get(check) ?? JUDGES[check as Inner](examination, sight, check));
}

/** The checks that a root shell answers. */
type Inner = Exclude<CheckName, (typeof WAY)[number]>;
type Judge = (examination: Examination, sight: HealthInput, check: CheckName) => CheckResult;

const WAY = ['name', 'port', 'host-key', 'login', 'shell'] as const;
const WELL: Finding = { code: 'well' };

/** Which check an error of the way there belongs to; the others of that kind come after the login. */
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
 * The results up to the one at which the way there ended, if it did. Where it ended before the machine was tried,
 * nothing is known of what comes before that.
 */
function connectionChecks(
  { login, user }: HealthInput,
  broken: FleetError | undefined,
): ReadonlyMap<CheckName, CheckResult> {
  const isIn = !(login instanceof Error);
  const end = broken && (AT[broken.code] === 'port' && isIn ? 'shell' : (AT[broken.code] ?? 'shell'));
  const wasTried = isIn || !(broken instanceof NotTried);
  const made = end === undefined ? WAY.length : CHECKS.indexOf(end);
  const reached = CHECKS.slice(0, wasTried ? made : 0);
  const results = reached.map((check): CheckResult => {
    if (check === 'port' && isIn && login.address !== undefined)
      return well(check, { code: 'address', address: login.address });
    if (check === 'login' && isIn && login.credential !== undefined)
      return well(check, { code: 'credential', user, credential: login.credential });
    return well(check);
  });
  if (end !== undefined && broken !== undefined) {
    const finding: Finding = { code: 'error', message: broken.message, hint: broken.hint };
    results.push({ check: end, status: 'failed', finding });
  }
  return new Map(results.map((result) => [result.check, result]));
}

const JUDGES: Readonly<Record<Inner, Judge>> = {
  root: ({ uid }) => verdict('root', uid === 0, { code: 'uid', uid }),
  systemd: ({ systemd }) =>
    systemd === undefined
      ? verdict('systemd', false, { code: 'no-systemd' })
      : verdict('systemd', systemd.version >= OLDEST_SYSTEMD && systemd.state !== 'offline', {
          code: 'systemd',
          ...systemd,
        }),
  folders: ({ folders }) => {
    const closed = folders.filter(({ obstacle }) => obstacle !== undefined);
    return closed.length === 0
      ? well('folders')
      : failed('folders', { code: 'not-writable', folders: closed });
  },
  tools: judgeTools,
  id: ({ machineId }, { sameId, known }) => {
    const id = parseMachineId(machineId);
    if (id === undefined) return failed('id', { code: 'no-id', text: machineId });
    if (sameId !== undefined) return failed('id', { code: 'same-id', id, other: sameId });
    return known === undefined || known === id ? well('id') : failed('id', { code: 'other-id', id, known });
  },
  cluster: ({ cluster }, { clusterId }) =>
    verdict('cluster', cluster === undefined || clusterId === undefined || cluster === clusterId, {
      code: 'cluster',
      cluster,
    }),
  clock: (_, { offsetSeconds }) =>
    offsetSeconds === undefined
      ? skipped('clock')
      : verdict('clock', Math.abs(offsetSeconds) <= MOST_OFFSET, { code: 'clock', offsetSeconds }),
  space: ({ space }) => judgeSpace(space),
  journal: ({ journalObstacle }) =>
    journalObstacle === undefined
      ? well('journal')
      : failed('journal', { code: 'journal', said: journalObstacle }),
  containers: ({ containers }) => {
    const lacking = containers.filter(({ present }) => !present).map(({ tool }) => tool);
    const used = containers.map(({ tool }) => tool);
    return lacking.length === 0
      ? well('containers', used.length === 0 ? WELL : { code: 'containers', tools: used })
      : failed('containers', { code: 'containers', tools: lacking });
  },
  units: ({ unknown, altered }) => {
    if (unknown.length > 0) return failed('units', { code: 'units', unknown });
    return altered.length > 0 ? failed('units', { code: 'altered', altered }) : well('units');
  },
};

/** That a tool does its work is not known where there is no folder to try it in; that check has failed then. */
function judgeTools({ absent, broken }: Examination): CheckResult {
  if (absent.length > 0) return failed('tools', { code: 'absent', tools: absent });
  if (broken === undefined) return skipped('tools');
  return broken.length === 0 ? well('tools') : failed('tools', { code: 'broken', tools: broken });
}

/** The folder with the least room, and whether that is enough. */
function judgeSpace(space: readonly SpaceFact[]): CheckResult {
  const [least] = space.toSorted((a, b) => Number(hasRoom(a)) - Number(hasRoom(b)) || a.kib - b.kib);
  if (least === undefined) return skipped('space');
  return verdict('space', hasRoom(least), { code: 'space', least });
}

function hasRoom(fact: SpaceFact): boolean {
  return fact.kib >= LEAST_KIB && hasInodes(fact);
}

/** Whether enough new files can be made there, however small. */
export function hasInodes({ inodes = LEAST_INODES }: SpaceFact): boolean {
  return inodes >= LEAST_INODES;
}

function verdict(check: CheckName, isWell: boolean, finding: Finding): CheckResult {
  return { check, status: isWell ? 'ok' : 'failed', finding };
}

function well(check: CheckName, finding: Finding = WELL): CheckResult {
  return verdict(check, true, finding);
}

function skipped(check: CheckName): CheckResult {
  return { check, status: 'skipped', finding: WELL };
}

function failed(check: CheckName, finding: Finding): CheckResult {
  return verdict(check, false, finding);
}
