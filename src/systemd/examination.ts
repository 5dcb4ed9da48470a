import { isUnknown } from '../cluster/unit-state.ts';
import { readNumber } from '../machine/limits.ts';
import doctorShell from './doctor.sh';
import type { Query } from './driver.ts';
import { findSection, type Section } from './frame.ts';
import { invalidAnswer, readCluster, readFacts } from './observation-sections.ts';
import { complete } from './script.ts';
import { parseShow } from './show.ts';

/** Required tools; all but the first are part of coreutils. */
const TOOLS = 'flock sha256sum base64 mktemp sync tail mv ln rm mkdir sleep stat timeout';

/** A folder of fleet on a machine, and why it is not writable; undefined if it is. */
export type FolderFact = { readonly folder: string; readonly obstacle: string | undefined };

/** The free space at a folder; undefined for inodes on a file system without a limit of them. */
export type SpaceFact = {
  readonly folder: string;
  readonly kib: number;
  readonly inodes: number | undefined;
};

/** The state of a machine, as its root shell found it. */
export type Examination = {
  readonly uid: number;
  readonly machineId: string;
  /** Undefined if systemctl fails; `state` is that of `is-system-running`. */
  readonly systemd: { readonly version: number; readonly state: string } | undefined;
  /** The folders of unit files, of fleet, and of the lock, in this order. */
  readonly folders: readonly FolderFact[];
  readonly absent: readonly string[];
  /** Installed tools that do not work; undefined if there was no folder for the tests. */
  readonly broken: readonly string[] | undefined;
  /** The cluster that owns the machine; undefined for none. */
  readonly cluster: string | undefined;
  /** Its clock, in epoch seconds; undefined if unknown. */
  readonly clock: number | undefined;
  readonly space: readonly SpaceFact[];
  /** Why the journal cannot be read; undefined if it can. */
  readonly journalObstacle: string | undefined;
  /** Container tools in unit files. */
  readonly containers: readonly { readonly tool: string; readonly present: boolean }[];
  /** The units of fleet that systemd cannot show, and why. */
  readonly unknown: readonly { readonly unit: string; readonly why: string }[];
  /** What is in the place of a file of fleet, as lines `PATH is a directory`. */
  readonly occupied: readonly string[];
  /** Units with an invalid record, a file that differs from it, or a drop-in. */
  readonly altered: readonly { readonly unit: string; readonly what: 'damaged' | 'altered' | 'drop-in' }[];
};

/** More lines than any section has that is not about units. */
const MOST_LINES = 100;

/** The folders by their names in scripts. */
const FOLDERS = ['D', 'L', 'R'] as const;

/** Checks everything on the machine that fleet needs. */
export function examineQuery(): Query<Examination, 'examination', undefined> {
  return {
    kind: 'examination',
    request: undefined,
    script: complete('examination', [
      doctorShell,
      'section identity from identity',
      'section facts facts',
      'section systemd from systemctl --version',
      'section state from systemctl is-system-running',
      ...FOLDERS.map((name) => `section folder from writable "$${name}"`),
      `section absent absent ${TOOLS}`,
      'section broken from broken',
      'section clock from date +%s',
      `section space from space ${FOLDERS.map((name) => `"$${name}"`).join(' ')}`,
      'section journal from journalctl --quiet --no-pager --lines=1 --output=cat',
      'section containers from containers',
      'section units shown',
      'section occupied from occupied',
      'section altered from altered',
    ]),
    isPublic: true,
    read: (sections, { name, paths: { units, state, run } }) =>
      readExamination(name, sections, [units, state, run]),
  };
}

/** An answer without these sections must not count as healthy. */
const REQUIRED = ['identity', 'facts', 'absent', 'containers', 'units'];

/**
 * Reads its answer; `folders` are those of the script. Throws FleetError `remote-script` for an answer without a required
 * section, `bad-answer` for invalid values.
 */
function readExamination(
  machine: string,
  sections: readonly Section[],
  folders: readonly string[],
): Examination {
  const missing = REQUIRED.find((name) => findSection(sections, name) === undefined);
  if (missing !== undefined)
    throw invalidAnswer(machine, `its answer lacks the section "${missing}"`, undefined);
  const find = (name: string): Section | undefined => findSection(sections, name);
  const text = (name: string): string => find(name)?.stdout ?? '';
  const lines = (name: string): readonly string[] => text(name).split('\n', MOST_LINES).filter(Boolean);
  const [uid = '', machineId = ''] = lines('identity');
  const version = /^systemd (\d+)/.exec(text('systemd'))?.[1];
  const probes = sections.filter(({ name }) => name === 'folder');
  const clock = text('clock').trim();
  const shown = parseShow(text('units'));
  return {
    uid: readNumber(uid, 'count'),
    machineId,
    systemd: version === undefined ? undefined : { version: Number(version), state: text('state').trim() },
    folders: folders.map((folder, index) => ({ folder, obstacle: obstacleOf(probes[index]) })),
    absent: lines('absent'),
    broken: find('broken')?.status === 0 ? lines('broken') : undefined,
    cluster: readCluster(readFacts(find('facts'))),
    clock: clock === '' ? undefined : readNumber(clock, 'clock'),
    space: lines('space').map(readSpace),
    journalObstacle: obstacleOf(find('journal')),
    containers: lines('containers').map((line) => {
      const [tool = '', present] = line.split(' ');
      return { tool, present: present === 'yes' };
    }),
    unknown: shown
      .filter(({ state }) => isUnknown(state))
      .map(({ names: [unit = ''], state }) => ({ unit, why: state.loadError })),
    occupied: lines('occupied'),
    altered: [
      ...lines('altered').map((line) => {
        const [unit = '', what] = line.split(' ');
        return { unit, what: what === 'damaged' ? what : 'altered' } as const;
      }),
      ...shown
        .filter(({ state }) => state.dropIns !== undefined)
        .map(({ names: [unit = ''] }) => ({ unit, what: 'drop-in' }) as const),
    ],
  };
}

function readSpace(line: string): SpaceFact {
  const [kib = '', inodes = '', ...folder] = line.split(' ');
  return {
    folder: folder.join(' '),
    kib: readNumber(kib, 'kib'),
    inodes: inodes === '-' || inodes === '' ? undefined : readNumber(inodes, 'inodes'),
  };
}

/** The error message of a failed part of the script. */
function obstacleOf(section: Section | undefined): string | undefined {
  if (section?.status === 0) return undefined;
  // `sh: 7: cannot create /etc/x: Read-only file system`: the folder is known.
  const said = section?.stderr.split('\n').at(-1)?.split(': ').at(-1) ?? '';
  return said === '' ? 'no reason given' : said;
}
