import { FleetError } from '../base/errors.ts';
import type { ClusterSnapshot } from '../cluster/snapshot.ts';
import { chooseVoters } from '../quorum/choose.ts';
import { viewsOf } from '../reconcile/observe.ts';
import type { Ports } from '../reconcile/ports.ts';
import { snapshotOf } from '../reconcile/snapshot.ts';
import { candidatesOf, tendVoters } from '../reconcile/voters.ts';
import { currentName } from '../registry/inventory.ts';
import type { RegistryView } from '../registry/view.ts';

/** A removed machine must not be a voter; a drained one may be, if the other voters are enough without it. */
export type Departure = { readonly machine: string; readonly kind: 'drain' | 'remove' };

/** A departing voter, with the cluster as it is now. */
type DepartingVoter = {
  readonly view: RegistryView;
  readonly snapshot: ClusterSnapshot;
  readonly voters: NonNullable<Ports['voters']>;
  /** The names of all voters. */
  readonly names: readonly string[];
};

/**
 * Changes nothing. Throws FleetError `registry-unavailable` if the machine is a voter of the registry that the machines which
 * answer cannot replace.
 */
export async function refuseNeededVoter(ports: Ports, departure: Departure): Promise<void> {
  const departing = await departingVoter(ports, departure);
  if (departing !== undefined && isNeeded(departing, departure)) throw needed(departure);
}

/**
 * Replaces the machine if it is a voter of the registry, and reads the voters again. Throws like {@link refuseNeededVoter}.
 */
export async function releaseVoter(ports: Ports, departure: Departure): Promise<void> {
  const departing = await departingVoter(ports, departure);
  if (departing === undefined) return;
  const { snapshot, view, voters } = departing;
  await tendVoters(ports, snapshot, view, leavingOf(departure));
  const names = await voters.names();
  if (isAmong(names, departure, view) && !isEnough({ ...departing, names }, names, departure))
    throw needed(departure);
}

/** Undefined if the machine is no voter. */
async function departingVoter(ports: Ports, departure: Departure): Promise<DepartingVoter | undefined> {
  const { voters, registry } = ports;
  if (voters === undefined) return undefined;
  const view = await registry.load();
  const names = await voters.names();
  if (!isAmong(names, departure, view)) return undefined;
  const views = await viewsOf(ports, view, { names: [], digests: false });
  return { view, snapshot: snapshotOf(ports, view, views, departure.machine), voters, names };
}

/** Whether the machine is needed even after all changes of the voters that are possible now. */
function isNeeded(departing: DepartingVoter, departure: Departure): boolean {
  const { snapshot, view, voters, names } = departing;
  const candidates = candidatesOf(snapshot, view, voters.marks, leavingOf(departure));
  let after = names;
  for (const _ of names) after = chooseVoters(after, candidates);
  return isAmong(after, departure, view) && !isEnough(departing, after, departure);
}

/** Whether a majority of these voters answers without the machine, and it may stay one. */
function isEnough(
  { snapshot, view }: DepartingVoter,
  names: readonly string[],
  { machine, kind }: Departure,
): boolean {
  const answering = new Set(
    snapshot.machines.flatMap((each) => (each.observation === undefined ? [] : [each.machine.name])),
  );
  const others = names.filter((name) => {
    const current = currentName(name, view);
    return current !== machine && answering.has(current);
  });
  return kind === 'drain' && others.length * 2 > names.length;
}

function isAmong(names: readonly string[], { machine }: Departure, view: RegistryView): boolean {
  return names.some((name) => currentName(name, view) === machine);
}

function leavingOf({ machine, kind }: Departure): string | undefined {
  return kind === 'remove' ? machine : undefined;
}

function needed({ machine, kind }: Departure): FleetError {
  return new FleetError(
    'registry-unavailable',
    `Cannot ${kind} machine "${machine}": it stores the registry, and no other machine can replace it now`,
    {
      hint: 'Start or add another machine that may be a voter; fleetctl registry lists the voters',
    },
  );
}
