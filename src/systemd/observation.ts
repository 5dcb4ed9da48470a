import type { Observation } from '../cluster/snapshot.ts';
import { quote } from '../ssh/shell.ts';
import backupShell from './backup.sh';
import type { MachineSession, ObserveRequest, Query, Respondent } from './driver.ts';
import type { Section } from './frame.ts';
import glanceShell from './glance.sh';
import { readLooks, type ShownUnits } from './glance.ts';
import { bootTime, readAsked, readObservation, readShown } from './read-observation.ts';
import { complete, withoutComments } from './script.ts';
import type { ShownUnit } from './show.ts';

type ObserveQuery = Query<Observation, 'observation', ObserveRequest>;

/** What the machine and its units are like. */
export function observeQuery(request: ObserveRequest): ObserveQuery {
  return {
    kind: 'observation',
    request,
    script: observeScript(request),
    isPublic: true,
    most: request.backup ? 'text' : 'answer',
    read: async (sections, from) => {
      const shown = request.shown && (await showChanged(request.shown, sections, from));
      return readObservation(from.name, request, sections, shown);
    },
  };
}

/** The same session, in which `observe` answers observations. */
export function observedBy(
  session: MachineSession,
  observe: (query: ObserveQuery) => Promise<Observation>,
): MachineSession {
  return {
    ...session,
    ask: <T>(query: Query<T>) => (isObservation(query) ? (observe(query) as Promise<T>) : session.ask(query)),
  };
}

function isObservation(query: Query<unknown>): query is ObserveQuery {
  return query.kind === 'observation';
}

/**
 * Reads the machine: sections `facts`, `records`, `recorded` (the names of all records), `digests`, `links` and `units`,
 * about every unit fleet put there and those of the units `names` that systemd there may know something of; and `late`
 * about those of them that another process put there meanwhile. With `names`, a systemd that does not answer is noticed in
 * any case. `digests` costs a read of every unit file, `vitals` a process. With `token` also `tokens`; with `backup` that
 * and `texts`, what a registry is rebuilt from. With `shown` it has `glance` and `runs` in place of `units`. The section
 * `there` has the names that the answer is about.
 */
function observeScript({
  names,
  digests,
  backup = false,
  vitals = false,
  token = false,
  shown,
  withinMs,
}: ObserveRequest): string {
  const asks = names.length > 0;
  const words = names.map(quote).join(' ');
  const more = (backup || token ? backupShell : '') + (shown ? glanceShell : '');
  const script = complete('observe', [
    ...(withinMs === undefined ? [] : [`S=${Math.ceil(withinMs / 1000) + 1}`]),
    `section facts facts ${digests ? 'clock' : "''"}`,
    ...(vitals ? ['section vitals vitals'] : []),
    'set --',
    // Where there are none, the pattern stands for itself.
    '[ ! -d "$L/units" ] || { cd "$L/units" && set -- *; [ "$*" != "*" ] || [ -e "$1" ] || set --; }',
    'section records records "$@"',
    'section recorded recorded "$@"',
    ...(backup ? ['section texts texts "$@"'] : []),
    ...(backup || token ? ['section tokens tokens'] : []),
    'known=" $* "',
    // Some shells take a backslash for a pattern of file names.
    ...(asks ? [`there ${words}`, 'set -f', 'set -- "$@" $there', 'set +f'] : []),
    ...(digests ? ['section digests digests "$@"', 'section links links'] : []),
    ...(shown
      ? ['[ $# -eq 0 ] || section glance glance "$@"', '[ $# -eq 0 ] || section runs runs "$@"']
      : [asks ? 'section units show "$@"' : '[ $# -eq 0 ] || section units show "$@"']),
    ...(asks ? [`late ${words}`] : []),
  ]);
  return withoutComments(more) + script;
}

/** What systemd tells of all units, of which only those are asked for that do not look as they did. */
async function showChanged(
  memory: ShownUnits,
  glance: readonly Section[],
  { ask }: Respondent,
): Promise<readonly ShownUnit[]> {
  const units = readAsked(glance);
  const looks = readLooks(glance);
  const now = performance.now();
  const missing = memory.missing(units, looks, now);
  if (missing.length > 0) memory.learn(missing, looks, await ask(showQuery(missing, bootTime(glance))), now);
  return memory.keep(units);
}

/** What systemd tells of `units`; `booted` is {@link bootTime}. */
function showQuery(units: readonly string[], booted: number | undefined): Query<readonly ShownUnit[]> {
  return {
    kind: 'shown',
    request: units,
    script: complete('showing', [`section units show ${units.map(quote).join(' ')}`]),
    isPublic: true,
    read: (sections, { name }) => readShown(name, sections, booted),
  };
}
