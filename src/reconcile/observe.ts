import { FleetError, isFleetError } from '../base/errors.ts';
import { mayBeDown } from '../cluster/silence.ts';
import type { MachineView } from '../cluster/snapshot.ts';
import type { Machine } from '../machine/machine.ts';
import { formatMachineId } from '../machine/machine-id.ts';
import type { Edit } from '../registry/edit.ts';
import { type RegistryView, UNKNOWN_MACHINE } from '../registry/view.ts';
import type { MachineSession, ObserveRequest, SystemdDriver } from '../systemd/driver.ts';
import type { Tell } from './events.ts';
import { logSilences } from './log.ts';
import { isKnownSilent, remembered, silentSince, type Watchman } from './silence.ts';

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

/**
 * Asks all machines at once. A machine that does not answer is data, not an error; two machines with one id
 * are an error, for nothing could tell them apart. The caller closes the sessions; after an error none is open.
 */
export async function observe(
  { driver, machines, clock, observer, tell }: Witness,
  { machines: known }: Pick<RegistryView, 'machines'>,
  request: ObserveRequest,
): Promise<Sighting> {
  const sessions = new Map<string, MachineSession>();
  const look = async (machine: Machine): Promise<MachineView> => {
    const { name } = machine;
    const memory = known.get(name);
    tell({ kind: 'machine-asked', machine: name });
    try {
      const session = await driver.connect(machine);
      sessions.set(name, session);
      const observation = await session.observe(request);
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
    const views = await all(machines.map(look));
    return { views: settleViews(views), sessions };
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
 * What machines were seen to be, put together. Throws FleetError `duplicate-machine-id` where two answered with the
 * same id.
 */
export function settleViews(views: readonly MachineView[]): readonly MachineView[] {
  refuseDuplicates(views);
  return withoutTakenIds(views);
}

/** An id that another machine answers with is no longer that of the silent one that had it. */
function withoutTakenIds(views: readonly MachineView[]): readonly MachineView[] {
  const taken = new Set(views.flatMap(({ observation }) => observation?.id ?? []));
  return views.map((view) =>
    view.silence !== undefined && view.id !== undefined && taken.has(view.id)
      ? { ...view, id: undefined }
      : view,
  );
}

/**
 * What the registry should remember of this sighting: ids, and which machines fell silent or came back. None where it
 * knows everything already.
 */
export function memories(
  views: readonly MachineView[],
  registry: RegistryView,
  by: Watchman,
): readonly Edit[] {
  const edits = views.flatMap((view): readonly Edit[] => {
    const { name } = view.machine;
    const before = registry.machines.get(name) ?? UNKNOWN_MACHINE;
    const known = remembered(view, before, by);
    return known === before ? [] : [{ kind: 'put-machine', name, known }];
  });
  return [...edits, ...logSilences(views, registry, by.clock.now())];
}

function refuseDuplicates(views: readonly MachineView[]): void {
  const seen = new Map<string, string>();
  for (const { machine, observation } of views) {
    if (observation === undefined) continue;
    const first = seen.get(observation.id);
    seen.set(observation.id, machine.name);
    if (first === undefined) continue;
    const id = formatMachineId(observation.id);
    throw new FleetError(
      'duplicate-machine-id',
      `Machines "${first}" and "${machine.name}" have the same machine id: ${id}`,
      {
        hint: 'If they are one machine, remove one section from fleet.conf; if one is a copy of the other, run "rm /etc/machine-id && systemd-machine-id-setup" on it and restart it',
      },
    );
  }
}
