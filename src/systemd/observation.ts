import type { Observation } from '../cluster/snapshot.ts';
import { parseMachineId } from '../machine/machine.ts';
import { quote } from '../ssh/shell.ts';
import { readConfirmations } from './confirmation.ts';
import type { MachineSession, Query, Respondent } from './driver.ts';
import { findSection, type Section } from './frame.ts';
import {
  bootTime,
  invalidAnswer,
  readAsked,
  readFacts,
  readMachine,
  readShown,
  readUnits,
  readVitals,
} from './observation-sections.ts';
import observeShell from './observe.sh';
import { readBackup, readHighestToken } from './record.ts';
import { complete, withoutComments } from './script.ts';
import type { ShownUnit } from './show.ts';
import { readListing, type ShowCache } from './show-cache.ts';

/** What an observation reads beside the units that fleet put on the machine. */
export type ObserveRequest = {
  /** Units to report if systemd knows them, no matter where they come from. */
  readonly names: readonly string[];
  /** Whether to read every unit file and report its digest. */
  readonly digests: boolean;
  /** Whether to read the text of every unit file, and every token: `backup` of the observation. */
  readonly backup?: boolean;
  /** Whether to read the highest token that the machine has seen, removed units included: `token`. */
  readonly token?: boolean;
  /** Whether to read the load of the machine: `vitals` of the observation. */
  readonly vitals?: boolean;
  /**
   * For repeated observations in one session. The properties of a unit that is listed unchanged may then be two minutes
   * old. The list of units, their files, whether they run and in which run are always current.
   */
  readonly shown?: ShowCache;
  /** The limit for the answer, in ms; no tool that was started for it runs longer than a second more. */
  readonly withinMs?: number;
};

type ObserveQuery = Query<Observation, 'observation', ObserveRequest>;

/** Reads the machine and its units. */
export function observeQuery(request: ObserveRequest): ObserveQuery {
  const { backup = false, token = false, shown: cache } = request;
  const script = complete(
    'observe',
    partsOf(request).map(([line]) => line),
  );
  return {
    kind: 'observation',
    request,
    script: (backup || token || cache ? withoutComments(observeShell) : '') + script,
    isPublic: true,
    most: backup ? 'text' : 'answer',
    read: async (sections, from) => {
      const shown = cache && (await showChanged(cache, sections, from));
      return readObservation(from.name, request, sections, shown);
    },
  };
}

/** The same session, in which `observe` answers observations. */
export function observedBy(
  session: MachineSession,
  observe: (query: ObserveQuery) => Promise<Observation>,
): MachineSession {
  const isObservation = (query: Query<unknown>): query is ObserveQuery => query.kind === 'observation';
  return {
    ...session,
    ask: <T>(query: Query<T>) => (isObservation(query) ? (observe(query) as Promise<T>) : session.ask(query)),
  };
}

/** A line of the script; a section that must be complete for the observation to be usable, and what it contains. */
type Part = readonly [script: string, section?: string, content?: string];

/**
 * The parts of an observation, in their order. With `names`, `units` always runs, so that an unresponsive systemd is
 * detected. Digests take a read of every unit file.
 */
function partsOf(request: ObserveRequest): readonly Part[] {
  const { names, digests, backup = false, vitals = false, token = false, shown, withinMs } = request;
  const asks = names.length > 0;
  const words = names.map(quote).join(' ');
  const when = (isAsked: boolean, ...parts: readonly Part[]): readonly Part[] => (isAsked ? parts : []);
  return [
    ...when(withinMs !== undefined, [`S=${Math.ceil((withinMs ?? 0) / 1000) + 1}`]),
    [`section facts facts ${digests ? 'clock' : "''"}`],
    ...when(vitals, ['recent_version </dev/null'], ['section vitals vitals']),
    ['set --'],
    // Without records the pattern stays as it is.
    ['[ ! -d "$L/units" ] || { cd "$L/units" && set -- *; [ "$*" != "*" ] || [ -e "$1" ] || set --; }'],
    ['section records records "$@"', 'records', RECORDS],
    // Left out where no unit has Confirm=.
    ['[ ! -d "$L/confirm" ] || section confirm each cat "$L"/confirm/*/armed "$L"/confirm/*/reverted'],
    ['recorded "$@"', 'recorded', RECORDS],
    ...when(backup, ['section texts texts "$@"', 'texts', 'its unit files']),
    ...when(backup || token, ['section tokens tokens', 'tokens', 'the tokens it has seen']),
    ['known=" $* "'],
    ...when(asks, [`find_units ${words}`, 'found', 'which units it has']),
    // Some shells take a backslash for a pattern of file names.
    ...when(asks, ['set -f\nset -- "$@" $found\nset +f']),
    ...when(
      digests,
      ['section digests digests "$@"', 'digests', 'the digests of its unit files'],
      ['section links links', 'links', 'the links to its unit files'],
    ),
    ...when(
      shown !== undefined,
      ['[ $# -eq 0 ] || section listed list_units "$@"'],
      ['[ $# -eq 0 ] || section invocations invocations "$@"'],
    ),
    ...when(shown === undefined, [`${asks ? '' : '[ $# -eq 0 ] || '}section units show "$@"`]),
    // Its section is left out if there is nothing to add.
    ...when(asks, [`added ${words}`]),
    // The session may be used for a change.
    ...when(withinMs !== undefined, ['unset S']),
  ];
}

const RECORDS = 'the records of fleet';

/**
 * Reads the sections of the answer to `request`; `shown` is the result of systemctl show for all these units, unless it
 * is among the sections. Throws a FleetError `remote-script` when a requested part is missing, because a machine whose
 * records cannot be read is not a machine without units; `bad-answer` for values that neither fleet nor systemd writes.
 */
export function readObservation(
  machine: string,
  request: ObserveRequest,
  sections: readonly Section[],
  shown: readonly ShownUnit[] = readShown(machine, sections, bootTime(sections)),
): Observation {
  const find = (name: string): Section | undefined => findSection(sections, name);
  const facts = readFacts(find('facts'));
  const id = parseMachineId(facts.get('machine-id') ?? '');
  if (id === undefined)
    throw invalidAnswer(machine, 'it has no machine id in /etc/machine-id', find('facts'));
  for (const [, name, content] of partsOf(request))
    if (name !== undefined && find(name)?.status !== 0)
      throw invalidAnswer(machine, `${content} cannot be read`, find(name));
  if ((find('added')?.status ?? 0) !== 0)
    throw invalidAnswer(machine, `${RECORDS} cannot be read`, find('added'));
  if ((find('confirm')?.status ?? 0) !== 0)
    throw invalidAnswer(machine, 'the changes to confirm cannot be read', find('confirm'));
  const confirmations = readConfirmations(find('confirm')?.stdout ?? '');
  const texts = find('texts')?.stdout;
  const tokens = find('tokens')?.stdout;
  const vitals = find('vitals');
  return {
    id,
    ...readMachine(facts),
    units: readUnits(request.names, sections, shown),
    ...(confirmations.length > 0 && { confirmations }),
    ...(texts !== undefined && { backup: readBackup(texts, tokens ?? '') }),
    ...(tokens !== undefined && { token: readHighestToken(tokens) }),
    ...(vitals !== undefined && { vitals: readVitals(readFacts(vitals)) }),
  };
}

/** The result of systemctl show for all units; only those that are listed differently are asked for. */
async function showChanged(
  cache: ShowCache,
  sections: readonly Section[],
  { ask }: Respondent,
): Promise<readonly ShownUnit[]> {
  const units = readAsked(sections);
  const listing = readListing(sections);
  const now = performance.now();
  const stale = cache.stale(units, listing, now);
  if (stale.length > 0) cache.update(stale, listing, await ask(showQuery(stale, bootTime(sections))), now);
  return cache.retain(units);
}

function showQuery(units: readonly string[], booted: number | undefined): Query<readonly ShownUnit[]> {
  return {
    kind: 'shown',
    request: units,
    script: complete('showing', [`section units show ${units.map(quote).join(' ')}`]),
    isPublic: true,
    read: (sections, { name }) => readShown(name, sections, booted),
  };
}
