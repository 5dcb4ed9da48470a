import { existsSync, readFileSync, readlinkSync } from 'node:fs';
import type { RegistryView } from '../../src/registry/view.ts';
import { hashUnitFile, parseUnitFile } from '../../src/unit/unit-file.ts';
import { insideAll, runningServices } from '../support/cluster.ts';
import { type EventLog, LEADER, type RegistryEvent } from './event-log.ts';
import type { SoakContext } from './fault-injection.ts';
import { copyOverlaps, type FencedCopies, type LeaseExpiry, pathOnDisk } from './fenced-copies.ts';
import type { Run } from './runs.ts';
import { hashOf, isGlobal, RUN_LOG } from './units.ts';

const OURS = /^_?(global-|plain-|conflict-|instance@|fenced-|stubborn-)/;

/** A sentence for each unit that does not run on exactly the machines of the registry. */
export function misplaced({ machines }: SoakContext, registry: RegistryView): readonly string[] {
  const names = namesById(registry);
  const seen = new Map<string, string[]>();
  for (const [machine, units] of runningServices(machines, OURS)) {
    for (const unit of units) seen.set(unit, [...(seen.get(unit) ?? []), machine]);
  }
  const problems: string[] = [];
  for (const [unit, { target, machine }] of registry.units) {
    const home = isGlobal(unit) ? machines : [names.get(machine) ?? 'no machine'];
    const wanted = target === 'launched' ? home : [];
    const runsOn = seen.get(unit) ?? [];
    seen.delete(unit);
    if (`${wanted}` !== `${runsOn}`)
      problems.push(`${unit} should run on [${wanted}] and runs on [${runsOn}]`);
  }
  for (const [unit, runsOn] of seen) problems.push(`${unit} is destroyed and runs on [${runsOn}]`);
  return problems;
}

/** Units whose file on a machine has another hash than in the registry. */
export function outdated({ machines }: SoakContext, registry: RegistryView): readonly string[] {
  const names = namesById(registry);
  const wanted = [...registry.units].filter(([, { target }]) => target === 'launched');
  const placed = wanted.flatMap(([unit, { machine, hash }]) =>
    (isGlobal(unit) ? machines : [names.get(machine) ?? '']).map((name) => ({ unit, name, hash })),
  );
  return placed.flatMap(({ unit, name, hash }) => {
    const path = pathOnDisk(name, `/etc/systemd/system/${unit}`);
    const found = existsSync(path) ? hashUnitFile(parseUnitFile(readFileSync(path, 'utf8'))) : 'missing';
    return found === hash ? [] : [`${unit} on ${name} is ${found}, not ${hash}`];
  });
}

function namesById({ machines }: RegistryView): ReadonlyMap<string | undefined, string> {
  return new Map([...machines].map(([name, { id }]) => [id, name]));
}

/** The run log of each machine, with lines of all units. */
export function readRunLogs(machines: readonly string[]): Promise<readonly string[]> {
  return insideAll(machines, `cat ${RUN_LOG} || true`);
}

/** Fenced units of which two copies ran at once without an excuse. */
export function doubledCopies({ runs }: FencedCopies): readonly string[] {
  return copyOverlaps(runs)
    .filter(({ isExcused }) => !isExcused)
    .map(
      ({ unit, machines, from, ms }) =>
        `${unit} on ${machines} for ${Math.round(ms)} ms from ${new Date(from).toISOString()}`,
    );
}

/** Machines in another time namespace: the times in their logs cannot be compared. */
export async function machinesWithOtherClock(machines: readonly string[]): Promise<readonly string[]> {
  const own = readlinkSync('/proc/self/ns/time');
  const others = await insideAll(machines, 'readlink /proc/1/ns/time');
  return machines
    .filter((_, i) => others[i]?.trim() !== own)
    .map((machine) => `${machine} has another clock`);
}

/** The stops without a reason: no decision about the unit, command, reboot, or end of a lease. */
export function unexplainedStops(
  runs: readonly Run[],
  { expiries }: FencedCopies,
  log: EventLog,
): readonly string[] {
  return runs
    .filter((run) => run.isStop && !isExplained(run, expiries, log))
    .map(
      ({ unit, machine, version, from, to }) =>
        `${unit} on ${machine}, text ${version}, started ${iso(from)}, stopped ${iso(to)}; events: ${log.registryEvents
          .filter(({ event }) => 'unit' in event && event.unit === unit)
          .map(({ at, event }) => `${iso(at)} ${JSON.stringify(event)}`)
          .join(', ')}`,
    );
}

function isExplained(run: Run, expiries: readonly LeaseExpiry[], log: EventLog): boolean {
  return (
    isDecided(run, log) ||
    isByAction(run, log) ||
    log.faultsOf(run.machine, run.to, run.to).some(({ kind }) => kind === 'reboot') ||
    expiries.some((expiry) => isExpiryFor(run, expiry) && hasReason(expiry, log))
  );
}

/** Whether the registry wanted the unit elsewhere, stopped, or with another text at some time while it ran. */
function isDecided({ unit, machine, version, from, to }: Run, log: EventLog): boolean {
  const hash = hashOf(unit, Number(version));
  const differs = (target: Target): boolean =>
    !target.isWanted || target.hash !== hash || (target.home !== machine && !isGlobal(unit));
  const targets = targetsOf(unit, log.registryEvents);
  return targets.some(
    (target, i) =>
      differs(target) && target.since <= to && (targets[i + 1]?.since ?? Number.POSITIVE_INFINITY) > from,
  );
}

/** The state of a unit that the registry wants from a time on, epoch ms. */
type Target = {
  readonly since: number;
  readonly isWanted: boolean;
  readonly home: string | undefined;
  readonly hash: string | undefined;
};

function targetsOf(unit: string, events: readonly RegistryEvent[]): readonly Target[] {
  const targets: Target[] = [{ since: 0, isWanted: false, home: undefined, hash: undefined }];
  for (const { at: since, event } of events) {
    const last = targets.at(-1);
    if (!('unit' in event) || event.unit !== unit || last === undefined) continue;
    targets.push({
      since,
      isWanted:
        event.kind === 'target' ? event.target === 'launched' : event.kind !== 'destroy' && last.isWanted,
      home: 'to' in event ? event.to.name : last.home,
      hash: event.kind === 'text' ? event.hash : last.hash,
    });
  }
  return targets;
}

/** How long a machine may take after a fault to run commands that were sent before, in ms. */
const DELAY_MS = 2_000;

/** Whether a command or a stop by hand caused it. A frozen machine runs the commands it got once it resumes. */
function isByAction({ unit, machine, to }: Run, log: EventLog): boolean {
  return log.actions
    .filter(
      ({ words }) =>
        (words[0] === 'restart' && words.includes(unit)) ||
        (words[0] === 'by-hand' && words[1] === unit && words[2] === machine),
    )
    .some((action) => {
      const ends = log.faultsOf(machine, action.from, action.to).map((fault) => fault.to + DELAY_MS);
      return action.from <= to && to <= Math.max(action.to, ...ends);
    });
}

function isExpiryFor({ unit, machine, from, to }: Run, expiry: LeaseExpiry): boolean {
  return expiry.unit === unit && expiry.machine === machine && from <= expiry.at && expiry.at <= to;
}

/** Whether a fault or a leader change explains that the machine got no lease. It lasts up to two leases: one to expire, one to return. */
export function hasReason({ machine, at }: LeaseExpiry, log: EventLog): boolean {
  const from = at - 2 * log.ttlMs;
  const isLost = log.registryEvents.some(
    (logged) =>
      logged.event.kind === 'machine-lost' &&
      logged.event.machine === machine &&
      logged.at > from &&
      logged.at < at,
  );
  if (isLost || log.leaderChanges.some((change) => change > from && change <= at)) return true;
  return [machine, LEADER].some((victim) => log.faultsOf(victim, from, at).length > 0);
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
