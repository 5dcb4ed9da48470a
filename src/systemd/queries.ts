import { FleetError } from '../base/errors.ts';
import { quoted } from '../base/visible.ts';
import type { Lease } from '../cluster/snapshot.ts';
import { parseAddress } from '../config/address.ts';
import { readWord } from '../machine/limits.ts';
import type { Machine } from '../machine/machine.ts';
import { encodeForPrintf, quote } from '../ssh/shell.ts';
import type { Query } from './driver.ts';
import { findSection, type Section } from './frame.ts';
import leaseShell from './lease.sh';
import { invalidAnswer } from './observation-sections.ts';
import observeShell from './observe.sh';
import { complete, withoutComments } from './script.ts';
import { parseShow } from './show.ts';

/** Extends the lease of the machine up to its deadline; false if that has passed there, or the machine has rebooted. */
export function extendQuery(lease: Lease): Query<boolean, 'extension', Lease> {
  return {
    kind: 'extension',
    request: lease,
    script: withoutComments(leaseShell) + complete('extension', [`step extend extend ${leaseWords(lease)}`]),
    read: (sections, { name }) => readExtension(sections, name),
  };
}

/** Boot id and deadline, the latter in hundredths of a second, as machines count. */
export function leaseWords({ bootId, deadline }: Lease): string {
  return `${quote(bootId)} ${Math.floor(deadline * 100)}`;
}

/** Whether the machine took the lease; throws a FleetError `remote-script` if an error prevented that. */
export function readExtension(sections: readonly Section[], machine: string): boolean {
  const section = findSection(sections, 'extend');
  if (section?.status === 0) return true;
  if (section?.status === 10 || section?.status === 11) return false;
  const said = section?.stderr ?? '';
  // systemd starts no unit that a queued shutdown job would stop.
  if (/ is destructive/.test(said))
    throw new FleetError('machine-stopping', `Machine "${machine}" is shutting down`);
  throw new FleetError(
    'remote-script',
    `Cannot give machine "${machine}" a lease${said === '' ? '' : `: ${quoted(said)}`}`,
  );
}

type StatusRequest = { readonly units: readonly string[]; readonly lines: number };

/** The output of `systemctl status` for each unit, with up to `lines` lines of its journal, in the order of `units`. */
export function statusQuery(request: StatusRequest): Query<readonly string[], 'status', StatusRequest> {
  const { units, lines } = request;
  return {
    kind: 'status',
    request,
    script: complete(
      'statuses',
      units.map((unit, index) => `section status:${index} from status_of ${quote(unit)} ${lines}`),
    ),
    isPublic: true,
    most: 'text',
    read: (sections, { name }) =>
      units.map((_, index) => {
        const section = findSection(sections, `status:${index}`);
        if (section === undefined)
          throw invalidAnswer(name, 'its answer lacks the status of a unit', undefined);
        return section.stdout || section.stderr;
      }),
  };
}

/** The file of a unit in the folder of the administrator, and its path; undefined unless it is a regular file. */
export function unitFileQuery(
  unit: string,
): Query<{ readonly path: string; readonly text: string } | undefined, 'unit-file', string> {
  return {
    kind: 'unit-file',
    request: unit,
    script:
      withoutComments(observeShell) +
      complete('file', [`[ -L "$D"/${quote(unit)} ] || section texts texts ${quote(unit)}`]),
    most: 'text',
    read: (sections, { name, paths }) => {
      const section = findSection(sections, 'texts');
      if (section === undefined) return undefined;
      if (section.status !== 0)
        throw invalidAnswer(name, `the file of unit "${unit}" cannot be read`, section);
      const [, encoded] = section.stdout.trim().split(' ');
      if (encoded === undefined) return undefined;
      return { path: `${paths.units}/${unit}`, text: Buffer.from(encoded, 'base64').toString('utf8') };
    },
  };
}

/** The states of units that have changed since a change script of this session has reported them. */
export function statesQuery(units: readonly string[]): Query<readonly Section[]> {
  return {
    kind: 'states',
    request: units,
    script: complete('states', [`report units ${units.map(quote).join(' ')}`]),
    read: (sections) => sections,
  };
}

/** Those of the units that have failed; none if that cannot be read. */
export function failedQuery(units: readonly string[]): Query<readonly string[], 'failed', readonly string[]> {
  return {
    kind: 'failed',
    request: units,
    script: complete('failed', [`section units show ${units.map(quote).join(' ')}`]),
    isPublic: true,
    read: (sections) => {
      const shown = parseShow(findSection(sections, 'units')?.stdout ?? '');
      return shown.flatMap(({ names, state }) =>
        state.active === 'failed' ? units.filter((unit) => names.includes(unit)) : [],
      );
    },
  };
}

/** The number of lines of a journal that a failure shows. */
const JOURNAL_LINES = 10;

/** The last lines of the journal of each unit since a change script of this session began, by unit. */
export function journalsQuery(units: readonly string[]): Query<ReadonlyMap<string, readonly string[]>> {
  return {
    kind: 'journals',
    request: units,
    script: complete('journals', [
      // Otherwise journald may not have read yet what a process wrote just before it ended.
      'journalctl --quiet --sync </dev/null >/dev/null 2>&1',
      ...units.map(
        (unit, index) => `section journal:${index} from journal ${quote(unit)} ${JOURNAL_LINES} "$began"`,
      ),
    ]),
    isPublic: true,
    read: (sections) =>
      new Map(
        units.map((unit, index) => {
          const text = findSection(sections, `journal:${index}`)?.stdout ?? '';
          return [unit, text.split('\n').filter((line) => line !== '')];
        }),
      ),
  };
}

/** Unit files that belong together, and the units among them to check. */
export type VerifyRequest = {
  readonly files: readonly { readonly name: string; readonly text: string }[];
  readonly units: readonly string[];
};

/**
 * The problems that `systemd-analyze verify` finds in unit files that are not installed yet, one per line. They are
 * written to a temporary folder. The query is not public, because unit files may contain secrets.
 */
export function verifyQuery(request: VerifyRequest): Query<readonly string[], 'verification', VerifyRequest> {
  const { files, units } = request;
  return {
    kind: 'verification',
    request,
    script: complete('verification', [
      'step stage stage || return',
      ...files.map(({ name, text }) => `printf '%b' ${encodeForPrintf(text)} >"$V"/${quote(name)}`),
      `section verify from analyze ${units.map((unit) => quote(`./${unit}`)).join(' ')}`,
      'rm -rf "$V"',
    ]),
    read: (sections) => readVerification(request, sections),
  };
}

/**
 * The problems, one per line; none if the units pass. Since version 250 the exit status counts warnings
 * (`--recursive-errors=`); before that, every message about one of the files counts.
 */
export function readVerification({ files }: VerifyRequest, sections: readonly Section[]): readonly string[] {
  const verify = findSection(sections, 'verify');
  if (verify === undefined)
    return [findSection(sections, 'stage')?.stderr || 'the unit files could not be put there'];
  const said = verify.stderr
    .split('\n')
    .map((line) => line.split(' ').map(withoutFolder).join(' ').trim())
    // systemd before version 213 warns about sections in X-.
    .filter((line) => line !== '' && !/Unknown section '?X-Fleet/.test(line));
  const ours = said.filter((line) => files.some(({ name }) => line.includes(name)));
  if (verify.status === 0) return Number(verify.stdout) >= 250 ? [] : [...new Set(ours)];
  const problems = ours.length > 0 ? ours : said;
  return problems.length > 0
    ? [...new Set(problems)]
    : [`systemd-analyze ended with status ${verify.status}`];
}

/** A word without the temporary folder. */
function withoutFolder(word: string): string {
  const [folder] = /\/verify\.[A-Za-z0-9]+\//.exec(word) ?? [];
  if (folder === undefined) return word;
  const end = word.lastIndexOf(folder) + folder.length;
  return word.slice(0, word.indexOf('/')) + word.slice(end);
}

/** A voter of the registry, and where it is. */
export type VoterPlace = Pick<Machine, 'name' | 'address'>;

/** The most voters that are read, because anything can be in the file of a machine. */
const MOST_VOTERS = 9;

/** The words of `/var/lib/fleet/voters`: names and addresses. */
export function voterWords(voters: readonly VoterPlace[]): readonly string[] {
  return voters.flatMap(({ name, address }) => [name, address]);
}

/**
 * Where the voters of its registry are, as the machine knows it: none if no change has told it. It is only a place to ask, because
 * the machine may be wrong or lie.
 */
export function voterPlacesQuery(): Query<readonly VoterPlace[], 'voters', undefined> {
  return {
    kind: 'voters',
    request: undefined,
    script: complete('voters', ['[ ! -f "$L/voters" ] || section voters from head -c 4096 -- "$L/voters"']),
    isPublic: true,
    read: (sections) => readVoterPlaces(findSection(sections, 'voters')?.stdout ?? ''),
  };
}

/** Throws FleetError `bad-answer` for other text than names and addresses. */
export function readVoterPlaces(text: string): readonly VoterPlace[] {
  const words = text.split(/\s+/).filter((word) => word !== '');
  const voters: VoterPlace[] = [];
  for (let i = 0; i < words.length && voters.length < MOST_VOTERS; i += 2) {
    const name = readWord(words[i] ?? '', /^[a-z0-9][a-z0-9._-]{0,252}$/i, 'the name of a machine');
    const address = words[i + 1] ?? '';
    if (parseAddress(address) === undefined)
      throw new FleetError('bad-answer', `it sent ${quoted(address, 60)}, which is not an address`);
    voters.push({ name, address });
  }
  return voters;
}
