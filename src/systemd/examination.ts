import { isUnknown } from '../cluster/unit-state.ts';
import { readNumber } from '../machine/limits.ts';
import doctorShell from './doctor.sh';
import type { Query } from './driver.ts';
import type { Section } from './frame.ts';
import { invalidAnswer, readCluster, readFacts } from './observation-sections.ts';
import { complete } from './script.ts';
import { parseShow } from './show.ts';

/** What cannot be done without on a machine; all but the first are of coreutils, which is everywhere. */
const TOOLS = [
  'flock',
  'sha256sum',
  'base64',
  'mktemp',
  'sync',
  'tail',
  'mv',
  'ln',
  'rm',
  'mkdir',
  'sleep',
  'stat',
  'timeout',
];

/** A folder of fleet on a machine, and why it cannot be written; undefined when it can. */
export type FolderFact = { readonly folder: string; readonly obstacle: string | undefined };

/** What is free where a folder is; undefined for inodes where the file system has none to count. */
export type SpaceFact = {
  readonly folder: string;
  readonly kib: number;
  readonly inodes: number | undefined;
};

/** How a machine is, as its root shell found it. */
export type Examination = {
  readonly uid: number;
  readonly machineId: string;
  /** undefined where systemctl does not answer; `state` is what `is-system-running` says. */
  readonly systemd: { readonly version: number; readonly state: string } | undefined;
  /** Unit files, what fleet knows, its lock: in this order. */
  readonly folders: readonly FolderFact[];
  readonly absent: readonly string[];
  /** Tools that are there and do not do their work; undefined where there was no folder to try them in. */
  readonly broken: readonly string[] | undefined;
  /** The cluster that owns the machine; undefined for none. */
  readonly cluster: string | undefined;
  /** Its clock, in epoch seconds; undefined when it did not say. */
  readonly clock: number | undefined;
  readonly space: readonly SpaceFact[];
  /** Why the journal cannot be read. */
  readonly journalObstacle: string | undefined;
  /** Tools for containers that its units use. */
  readonly containers: readonly { readonly tool: string; readonly present: boolean }[];
  /** The units of fleet there that systemd cannot show, and why. */
  readonly unknown: readonly { readonly unit: string; readonly why: string }[];
  /** Those whose record, or else file, is not as fleet left it, and those that a drop-in changes. */
  readonly altered: readonly { readonly unit: string; readonly what: 'damaged' | 'altered' | 'drop-in' }[];
};

/** More than any section has that is no list of units. */
const MOST_LINES = 100;

/** The folders that are looked at, by the names they have in scripts. */
const FOLDERS = ['D', 'L', 'R'] as const;

/** How the machine is: everything that fleet needs of it. */
export function examineQuery(): Query<Examination, 'examination', undefined> {
  return {
    kind: 'examination',
    request: undefined,
    script: complete('examination', [
      doctorShell,
      'section identity identity',
      'section facts facts',
      'section systemd systemctl --version',
      'section state systemctl is-system-running',
      ...FOLDERS.map((name) => `section folder writable "$${name}"`),
      `section absent absent ${TOOLS.join(' ')}`,
      'section broken broken',
      'section clock date +%s',
      `section space space ${FOLDERS.map((name) => `"$${name}"`).join(' ')}`,
      'section journal journalctl --quiet --no-pager --lines=1 --output=cat',
      'section containers containers',
      'section units shown',
      'section altered altered',
    ]),
    isPublic: true,
    read: (sections, { name, paths: { units, state, run } }) =>
      readExamination(name, sections, [units, state, run]),
  };
}

/** Without these, nothing that they would tell may count as in order. */
const REQUIRED = ['identity', 'facts', 'absent', 'containers', 'units'];

/**
 * Reads its answer; `folders` are those of the script. Throws FleetError `remote-script` for an answer without a part that
 * tells of trouble, `bad-answer` for values that no machine has.
 */
function readExamination(
  machine: string,
  sections: readonly Section[],
  folders: readonly string[],
): Examination {
  const missing = REQUIRED.find((name) => !sections.some((section) => section.name === name));
  if (missing !== undefined)
    throw invalidAnswer(machine, `its answer lacks the section "${missing}"`, undefined);
  const text = (name: string): string => sections.find((section) => section.name === name)?.stdout ?? '';
  const lines = (name: string): readonly string[] => text(name).split('\n', MOST_LINES).filter(Boolean);
  const [uid = '', machineId = ''] = lines('identity');
  const version = /^systemd (\d+)/.exec(text('systemd'))?.[1];
  const journal = sections.find(({ name }) => name === 'journal');
  const probes = sections.filter(({ name }) => name === 'folder');
  const clock = text('clock').trim();
  const shown = parseShow(text('units'));
  return {
    uid: readNumber(uid, 'count'),
    machineId,
    systemd: version === undefined ? undefined : { version: Number(version), state: text('state').trim() },
    folders: folders.map((folder, index) => ({ folder, obstacle: obstacleOf(probes[index]) })),
    absent: lines('absent'),
    broken: sections.find(({ name }) => name === 'broken')?.status === 0 ? lines('broken') : undefined,
    cluster: readCluster(readFacts(sections.find(({ name }) => name === 'facts'))),
    clock: clock === '' ? undefined : readNumber(clock, 'clock'),
    space: lines('space').map(readSpace),
    journalObstacle: obstacleOf(journal),
    containers: lines('containers').map((line) => {
      const [tool = '', present] = line.split(' ');
      return { tool, present: present === 'yes' };
    }),
    unknown: shown
      .filter(({ state }) => isUnknown(state))
      .map(({ names: [unit = ''], state }) => ({ unit, why: state.loadError })),
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

/** The last thing that a part of the script said, when it failed. */
function obstacleOf(section: Section | undefined): string | undefined {
  if (section?.status === 0) return undefined;
  // `sh: 7: cannot create /etc/x: Read-only file system`: the folder is known.
  const said = section?.stderr.split('\n').at(-1)?.split(': ').at(-1) ?? '';
  return said === '' ? 'no reason given' : said;
}
