import { isFleetError } from '../base/errors.ts';
import type { ClusterSnapshot, MachineView } from '../cluster/snapshot.ts';
import { mayBeDown } from '../cluster/unreachable.ts';
import type { Candidate } from '../quorum/choose.ts';
import { conditionOf } from '../registry/inventory.ts';
import type { RegistryView } from '../registry/view.ts';
import { isCutOff } from '../schedule/schedule.ts';
import type { Ports } from './ports.ts';

/** How many times `agent_ttl` a voter is unreachable before it counts as lost, because a reboot must not move it. */
const LOST_TTLS = 10;

/**
 * Replaces voters that are drained, distrusted, lost, removed or without their state, reports it, and logs it in the registry. Nothing is
 * asked if no voter has to be replaced. An error is left for the next time, because a majority remains. `leaving` is a machine
 * that will be removed.
 */
export async function tendVoters(
  { voters, registry, emit }: Pick<Ports, 'voters' | 'registry' | 'emit'>,
  snapshot: ClusterSnapshot,
  known: RegistryView,
  leaving?: string,
): Promise<void> {
  if (voters === undefined || snapshot.clusterId === undefined) return;
  try {
    const changes = await voters.tend(candidatesOf(snapshot, known, voters.marks, leaving));
    if (changes.length === 0) return;
    const events = changes.map((change) => ({ kind: 'voters', ...change }) as const);
    for (const event of events) emit(event);
    await registry.update(() => [{ kind: 'log', events }]);
  } catch (error) {
    if (!isFleetError(error)) throw error;
  }
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
): readonly Candidate[] {
  const views = new Map(snapshot.machines.map((view) => [view.machine.name, view]));
  const names = new Set([...views.keys(), ...known.machines.keys()]);
  if (leaving !== undefined) names.delete(leaving);
  const isOnline = !isCutOff(snapshot);
  return [...names].map((machine) => {
    const view = views.get(machine);
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
