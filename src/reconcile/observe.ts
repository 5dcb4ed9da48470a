import { isFleetError } from '../base/errors.ts';
import type { MachineView, Observation, Token } from '../cluster/snapshot.ts';
import { mayBeDown } from '../cluster/unreachable.ts';
import type { Machine } from '../machine/machine.ts';
import { type Edit, type KnownMachine, UNKNOWN_MACHINE } from '../registry/edit.ts';
import { clusterMachines } from '../registry/inventory.ts';
import type { RegistryView } from '../registry/view.ts';
import type { MachineSession } from '../systemd/driver.ts';
import { type ObserveRequest, observeQuery } from '../systemd/observation.ts';
import { logReachability } from './log.ts';
import { aheadOf, isOutdated } from './outdated.ts';
import type { ObserverClocks, Ports } from './ports.ts';
import { type KnownMachines, trustedViews, withoutAhead } from './trust.ts';

/** The views of all machines, and the open sessions of those that answered, by machine name. */
export type Observations = {
  readonly views: readonly MachineView[];
  readonly sessions: ReadonlyMap<string, MachineSession>;
};

/** The units that are assigned to the machine and missing in its answer. Without a record, a unit is shown only by name. */
export function unseenBy({ id, units: there }: Observation, { units }: RegistryView): readonly string[] {
  const seen = new Set(there.map(({ name }) => name));
  return [...units.values()]
    .filter(({ name, machine, target }) => machine === id && target !== 'inactive' && !seen.has(name))
    .map(({ name }) => name);
}

/** What an observation needs. */
type ObservingPorts = Pick<Ports, 'driver' | 'machines' | 'clock' | 'observer' | 'emit'>;

/**
 * Observes machines in parallel, by default all of the cluster. A machine that does not answer, or contradicts the registry, is data, not an error.
 * Their sessions are open while `work` runs.
 */
export async function withObservations<T>(
  ports: ObservingPorts,
  registry: KnownMachines,
  request: ObserveRequest,
  work: (observations: Observations) => Promise<T>,
  machines?: readonly Machine[],
): Promise<T> {
  const observations = await observe(ports, registry, request, machines);
  try {
    return await work(observations);
  } finally {
    for (const session of observations.sessions.values()) session.close();
  }
}

/** Observes all machines once. */
export function viewsOf(
  ports: ObservingPorts,
  registry: KnownMachines,
  request: ObserveRequest,
): Promise<readonly MachineView[]> {
  return withObservations(ports, registry, request, async ({ views }) => views);
}

/** The caller closes the sessions; after an error none is open. */
async function observe(
  ports: ObservingPorts,
  registry: KnownMachines,
  request: ObserveRequest,
  machines: readonly Machine[] = clusterMachines(registry, ports.machines),
): Promise<Observations> {
  const { driver, clock, observer, emit } = ports;
  const sessions = new Map<string, MachineSession>();
  const query = observeQuery(request);
  const observeOne = async (machine: Machine): Promise<MachineView> => {
    const { name } = machine;
    const memory = registry.machines.get(name);
    emit({ kind: 'machine-asked', machine: name });
    try {
      const session = driver.connect(machine);
      sessions.set(name, session);
      const observation = await session.ask(query);
      const { id } = observation;
      emit({ kind: 'machine-answered', machine: name, id });
      const now = clock.now();
      // The clock of another operator may be ahead.
      const known = memory?.backSince === undefined ? undefined : Math.min(memory.backSince, now);
      const backSince = memory !== undefined && isKnownUnreachable(memory) ? now : known;
      return { machine, id, observation, backSince };
    } catch (error) {
      // An error of this computer is no information about the machine.
      if (!isFleetError(error) || error.code === 'local') throw error;
      const { code, message, hint } = error;
      const since =
        (mayBeDown(error) ? unreachableSince(memory, { clock, observer }) : undefined) ?? clock.now();
      const unreachable = { since, code, message, hint };
      emit({ kind: 'machine-unreachable', machine: name, id: memory?.id, unreachable });
      return { machine, id: memory?.id, unreachable };
    }
  };
  try {
    const views = trustedViews(await all(machines.map(observeOne)), registry, clock.now());
    for (const { machine, observation } of views) {
      if (observation === undefined) sessions.get(machine.name)?.close();
      if (observation === undefined) sessions.delete(machine.name);
    }
    return { views, sessions };
  } catch (error) {
    for (const session of sessions.values()) session.close();
    throw error;
  }
}

/** Like Promise.all, but it settles after all promises have settled. */
async function all<T>(work: readonly Promise<T>[]): Promise<readonly T[]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}

/**
 * The edits that store an observation of machines: their ids, which became unreachable or came back, and which single ones
 * are ahead of the registry, because later revisions would hide that. None if the registry has it all.
 */
export function machineEdits(
  views: readonly MachineView[],
  registry: RegistryView,
  clocks: ObserverClocks,
): readonly Edit[] {
  const now = clocks.clock.now();
  const ahead = isOutdated(registry, views) ? new Map<string, Token>() : aheadOf(registry, views);
  const trusted = withoutAhead(trustedViews(views, registry, now), ahead, now);
  const edits = trusted.flatMap((view): readonly Edit[] => {
    const { name } = view.machine;
    const before = registry.machines.get(name) ?? UNKNOWN_MACHINE;
    const known = updatedMachine(view, before, clocks);
    const token = ahead.get(name);
    if (token === undefined && known === before) return [];
    return [{ kind: 'put-machine', name, known: token === undefined ? known : { ...known, ahead: token } }];
  });
  return [...edits, ...logReachability(trusted, registry, now)];
}

/** In ms: observations that are further apart are no proof for the time in between. */
const GAP_MS = 3_600_000;
/** Start times that differ by less, in ms, count as the same: the two clocks are not read at one moment. */
const SLACK_MS = 100;
/** The limit of recorded observers of one machine; the oldest one is removed first. */
const MOST_OBSERVERS = 16;

/** Epoch ms since when the observer has found the machine unreachable; undefined without a recent observation. */
function unreachableSince(
  known: KnownMachine | undefined,
  { clock, observer }: ObserverClocks,
): number | undefined {
  const seen = known?.silence?.seenBy[observer.id];
  const uptime = observer.uptime.now();
  if (seen === undefined || seen.last > uptime || uptime - seen.last > GAP_MS) return undefined;
  return clock.now() - (uptime - seen.first);
}

/** Whether any observer has recorded that the machine is unreachable; version 0.1.0 records only `silentSince`. */
function isKnownUnreachable({ silence, silentSince }: KnownMachine): boolean {
  return silence !== undefined || silentSince !== undefined;
}

/**
 * The registry's data about a machine after this observation; the same object if nothing is new, so that nothing is
 * written. An error that does not suggest that the machine is down resets the time of this observer.
 */
function updatedMachine(view: MachineView, known: KnownMachine, by: ObserverClocks): KnownMachine {
  const { id, unreachable, backSince } = view;
  if (unreachable === undefined) {
    const isKnown = known.id === id && known.backSince === backSince && !isKnownUnreachable(known);
    return isKnown ? known : { ...known, id, backSince, silence: undefined, silentSince: undefined };
  }
  const next = mayBeDown(unreachable)
    ? recordUnreachable(known, unreachable.since, by)
    : forgetUnreachable(known, by);
  return next === known && known.id === id ? known : { ...next, id };
}

function recordUnreachable(
  known: KnownMachine,
  since: number,
  { clock, observer }: ObserverClocks,
): KnownMachine {
  const last = observer.uptime.now();
  const first = last - Math.max(0, clock.now() - since);
  const seenBy = known.silence?.seenBy ?? {};
  const before = seenBy[observer.id];
  const isKnown =
    before !== undefined &&
    Math.abs(before.first - first) < SLACK_MS &&
    before.last <= last &&
    last - before.last < GAP_MS / 2;
  if (isKnown && known.backSince === undefined) return known;
  const others = Object.entries(seenBy).filter(([id]) => id !== observer.id);
  const entries = [...others, [observer.id, { first, last }] as const].slice(-MOST_OBSERVERS);
  const silence = { at: known.silence?.at ?? since, seenBy: Object.fromEntries(entries) };
  return { ...known, silence, backSince: undefined };
}

function forgetUnreachable(known: KnownMachine, { observer }: ObserverClocks): KnownMachine {
  if (known.silence?.seenBy[observer.id] === undefined) return known;
  const { [observer.id]: _, ...seenBy } = known.silence.seenBy;
  return { ...known, silence: { ...known.silence, seenBy } };
}
