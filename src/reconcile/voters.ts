import { isFleetError } from '../base/errors.ts';
import type { LoggedEvent } from '../cluster/logged-event.ts';
import { type ClusterSnapshot, type MachineView, machineNamed } from '../cluster/snapshot.ts';
import { mayBeDown } from '../cluster/unreachable.ts';
import type { VoterCandidate } from '../quorum/choose.ts';
import type { VoterChange } from '../quorum/electorate.ts';
import type { FormerRegistry } from '../quorum/eras.ts';
import { conditionOf, currentName } from '../registry/inventory.ts';
import type { RegistryView } from '../registry/view.ts';
import { isCutOff } from '../schedule/schedule.ts';
import type { Ports } from './ports.ts';

/** How many times `agent_ttl` a voter is unreachable before it counts as lost, because a reboot must not move it. */
const LOST_TTLS = 10;

/**
 * Replaces voters that are drained, distrusted, lost, removed or without their state, and renames those whose machine has another name.
 * Reports replacements, and former registries that were seen, and logs both in the registry. Resolves with the replacements.
 * Nothing is asked if no voter has to be replaced. An error is left for the next time, because a majority remains. `leaving` is a machine
 * that will be removed.
 */
export async function tendVoters(
  { voters, registry, emit }: Pick<Ports, 'voters' | 'registry' | 'emit'>,
  snapshot: ClusterSnapshot,
  known: RegistryView,
  leaving?: string,
): Promise<readonly VotersEvent[]> {
  if (voters === undefined || snapshot.clusterId === undefined) return [];
  let replaced: readonly VotersEvent[] = [];
  try {
    const changes = await voters.tend(candidatesOf(snapshot, known, voters.marks, leaving));
    const events = changes.flatMap((change) => replacement(change, known));
    replaced = events;
    for (const event of events) emit(event);
    if (events.length > 0) await registry.update(() => [{ kind: 'log', events }]);
    // A machine that becomes a voter again has its former registry no more.
    if (unreported(voters.former(), known).length === 0) return replaced;
    let news: readonly FormerEvent[] = [];
    await registry.update((view) => {
      news = unreported(voters.former(), view);
      return news.length === 0 ? [] : [{ kind: 'log', events: news }];
    });
    for (const event of news) emit(event);
  } catch (error) {
    if (!isFleetError(error)) throw error;
  }
  return replaced;
}

type VotersEvent = Extract<LoggedEvent, { kind: 'voters' }>;

/** The event of a change, without machines that only have another name than the voter that they were. */
function replacement({ gone, come }: VoterChange, known: RegistryView): readonly VotersEvent[] {
  const isRenamed = (name: string): boolean => {
    const current = currentName(name, known);
    return current !== name && come.includes(current);
  };
  const renamed = gone.filter(isRenamed).map((name) => currentName(name, known));
  const left = gone.filter((name) => !isRenamed(name));
  const fresh = come.filter((name) => !renamed.includes(name));
  return left.length + fresh.length === 0 ? [] : [{ kind: 'voters', gone: left, come: fresh }];
}

type FormerEvent = Extract<LoggedEvent, { kind: 'former-registry' }>;

/** What the log of the registry does not have. */
function unreported(former: readonly FormerRegistry[], known: RegistryView): readonly FormerEvent[] {
  return former.flatMap(({ machine, revision }) => {
    const isIt = (event: LoggedEvent): boolean =>
      event.kind === 'former-registry' && event.machine === machine && event.revision === revision;
    const isLogged = known.events.some(({ events }) => events.some(isIt));
    return isLogged ? [] : [{ kind: 'former-registry', machine, revision }];
  });
}

/** Asks machines that answer again for registries from before a recovery, for the next {@link tendVoters}. */
export async function lookForFormer(
  { voters }: Pick<Ports, 'voters'>,
  snapshot: ClusterSnapshot,
  known: RegistryView,
): Promise<void> {
  await voters?.look(candidatesOf(snapshot, known, voters.marks));
}

/**
 * The machines that may be voters. One that only the registry has is a candidate that does not answer, because another operator's
 * fleet.conf may have it.
 */
export function candidatesOf(
  snapshot: ClusterSnapshot,
  known: Pick<RegistryView, 'machines' | 'removed'>,
  marks: ReadonlyMap<string, boolean>,
  leaving?: string,
): readonly VoterCandidate[] {
  const names = new Set([...snapshot.machines.map((view) => view.machine.name), ...known.machines.keys()]);
  if (leaving !== undefined) names.delete(leaving);
  const isOnline = !isCutOff(snapshot);
  return [...names].map((machine) => {
    const view = machineNamed(machine, snapshot);
    const isLost = isOnline && view !== undefined && isLongGone(view, snapshot);
    const condition = snapshot.drained === machine ? 'drained' : conditionOf(machine, known);
    return {
      machine,
      answers: view?.observation !== undefined,
      condition: isLost && condition !== 'excluded' ? 'lost' : condition,
      mark: marks.get(machine),
    };
  });
}

function isLongGone({ unreachable }: MachineView, { now, agentTtlMs }: ClusterSnapshot): boolean {
  return (
    unreachable !== undefined && mayBeDown(unreachable) && now - unreachable.since >= LOST_TTLS * agentTtlMs
  );
}
