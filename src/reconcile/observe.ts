import { isFleetError } from '../base/errors.ts';
import { mayBeDown } from '../cluster/silence.ts';
import type { MachineView, Observation, Token } from '../cluster/snapshot.ts';
import type { Machine } from '../machine/machine.ts';
import type { Edit } from '../registry/edit.ts';
import { type RegistryView, UNKNOWN_MACHINE } from '../registry/view.ts';
import type { MachineSession, ObserveRequest, SystemdDriver } from '../systemd/driver.ts';
import { observeQuery } from '../systemd/observation.ts';
import type { Tell } from './events.ts';
import { logSilences } from './log.ts';
import { aheadOf, isOutdated } from './outdated.ts';
import { isKnownSilent, remembered, silentSince, type Watchman } from './silence.ts';
import { type Known, trustedViews, withoutAhead } from './trust.ts';

/** What the machines answered, and the open sessions of those that did, by machine name. */
export type Sighting = {
  readonly views: readonly MachineView[];
  readonly sessions: ReadonlyMap<string, MachineSession>;
};

/** What an observation works with: the edges of a pass have it all. */
type Witness = {
  readonly driver: SystemdDriver;
  readonly machines: readonly Machine[];
  readonly tell: Tell;
} & Watchman;

/** Units that should be on the machine and are not in its answer: one that has lost its record is shown only by name. */
export function unseenBy({ id, units: there }: Observation, { units }: RegistryView): readonly string[] {
  const seen = new Set(there.map(({ name }) => name));
  return [...units.values()]
    .filter(({ name, machine, target }) => machine === id && target !== 'inactive' && !seen.has(name))
    .map(({ name }) => name);
}

/**
 * Asks all machines at once. A machine that does not answer, or contradicts what the registry remembers of it, is data,
 * not an error. The caller closes the sessions; after an error none is open.
 */
export async function observe(
  { driver, machines, clock, observer, tell }: Witness,
  registry: Known,
  request: ObserveRequest,
): Promise<Sighting> {
  const sessions = new Map<string, MachineSession>();
  const query = observeQuery(request);
  const look = async (machine: Machine): Promise<MachineView> => {
    const { name } = machine;
    const memory = registry.machines.get(name);
    tell({ kind: 'machine-asked', machine: name });
    try {
      const session = driver.connect(machine);
      sessions.set(name, session);
      const observation = await session.ask(query);
      const { id } = observation;
      tell({ kind: 'machine-answered', machine: name, id });
      const now = clock.now();
      // The clock of another operator may be ahead.
      const known = memory?.backSince === undefined ? undefined : Math.min(memory.backSince, now);
      const backSince = memory !== undefined && isKnownSilent(memory) ? now : known;
      return { machine, id, observation, silence: undefined, backSince };
    } catch (error) {
      // What this computer lacks says nothing about the machine.
      if (!isFleetError(error) || error.code === 'local') throw error;
      const { code, message, hint } = error;
      const since = (mayBeDown(error) ? silentSince(memory, { clock, observer }) : undefined) ?? clock.now();
      const silence = { since, code, message, hint };
      tell({ kind: 'machine-silent', machine: name, id: memory?.id, silence });
      return { machine, id: memory?.id, observation: undefined, silence, backSince: undefined };
    }
  };
  try {
    const views = trustedViews(await all(machines.map(look)), registry, clock.now());
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

/** Like Promise.all, but nothing is under way any more when it rejects. */
async function all<T>(work: readonly Promise<T>[]): Promise<readonly T[]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}

/**
 * What the registry should remember of this sighting: ids, which machines fell silent or came back, and which are ahead
 * of it alone: its own revision soon hides that. None where it knows everything already.
 */
export function memories(
  views: readonly MachineView[],
  registry: RegistryView,
  by: Watchman,
): readonly Edit[] {
  const now = by.clock.now();
  const ahead = isOutdated(registry, views) ? new Map<string, Token>() : aheadOf(registry, views);
  const trusted = withoutAhead(trustedViews(views, registry, now), ahead, now);
  const edits = trusted.flatMap((view): readonly Edit[] => {
    const { name } = view.machine;
    const before = registry.machines.get(name) ?? UNKNOWN_MACHINE;
    const known = remembered(view, before, by);
    const token = ahead.get(name);
    if (token === undefined && known === before) return [];
    return [{ kind: 'put-machine', name, known: token === undefined ? known : { ...known, ahead: token } }];
  });
  return [...edits, ...logSilences(trusted, registry, now)];
}
