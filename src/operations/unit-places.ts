import { FleetError } from '../base/errors.ts';
import { groupBy } from '../base/group-by.ts';
import { compareText } from '../base/text.ts';
import { type Drift, driftOf } from '../cluster/drift.ts';
import {
  type ClusterSnapshot,
  type DesiredUnit,
  isChangeable,
  type MachineView,
  observedOn,
} from '../cluster/snapshot.ts';
import { isOurs, type SystemdState } from '../cluster/unit-state.ts';
import type { Machine } from '../machine/machine.ts';
import { type Observations, withObservations } from '../reconcile/observe.ts';
import type { Ports } from '../reconcile/ports.ts';
import { snapshotOf } from '../reconcile/snapshot.ts';
import { clusterMachines } from '../registry/inventory.ts';
import type { RegistryView } from '../registry/view.ts';
import type { MachineSession } from '../systemd/driver.ts';
import { isTemplate, isTemplateName, parseUnitName, templateOf, type UnitName } from '../unit/unit-name.ts';
import { findMachine } from './find-machine.ts';
import { mayBeOn } from './list-units.ts';
import {
  awaitedConfirmations,
  type HeldUnit,
  heldUnits,
  type UnconfirmedUnit,
  type UnreachableMachine,
  unreachableMachines,
} from './listing.ts';
import { namedUnitOf } from './local-file.ts';
import { type Selection, selectUnits } from './select-units.ts';
import type { UnitProblem } from './unit-result.ts';

/** The requested units, as names or globs, and optionally a machine. */
export type PlacesRequest = {
  /** The command, for hints. */
  readonly verb: string;
  readonly units: readonly string[];
  readonly machine: string | undefined;
};

/** A unit on a machine that answered. */
export type UnitPlace = {
  readonly unit: string;
  readonly view: MachineView;
  /** Undefined for a unit that should be there but that systemd does not know. */
  readonly state: SystemdState | undefined;
  readonly drift: Drift | undefined;
};

export type UnitPlaces = {
  /** In the order of units, and of machines. */
  readonly places: readonly UnitPlace[];
  /** Units that do not exist, and units that are on no machine. */
  readonly problems: readonly UnitProblem[];
  /** The machines that may have one of the units, and did not answer. */
  readonly unreachable: readonly UnreachableMachine[];
  /** Those of the units that are held, and those of which a change is not confirmed. */
  readonly held: readonly HeldUnit[];
  readonly unconfirmed: readonly UnconfirmedUnit[];
};

/**
 * Finds the machines of units: for a standard unit its assignment, for a global one the machines that have it. Only machines
 * that may have one are observed; their sessions, by machine name, are open while `work` runs.
 */
export async function withPlaces<T>(
  ports: Ports,
  request: PlacesRequest,
  work: (found: UnitPlaces, sessions: ReadonlyMap<string, MachineSession>) => Promise<T>,
): Promise<T> {
  const registry = await ports.registry.load();
  const { units, problems } = selectNamed(request, registry);
  const only =
    request.machine === undefined
      ? undefined
      : await findMachine(ports, { kind: 'machine', text: request.machine });
  const observed = units.length === 0 ? [] : only === undefined ? candidates(ports, units, registry) : [only];
  const names = units.map(({ name }) => name);
  // Journals do not depend on the unit files.
  const digests = request.verb === 'status';
  const locateAndWork = ({ views, sessions }: Observations): Promise<T> => {
    const found = locate(units, snapshotOf(ports, registry, views));
    const missing = found.missing.map((unit) => nowhere(unit, only));
    return work({ ...found, problems: [...problems, ...missing] }, sessions);
  };
  return withObservations(ports, registry, { names, digests }, locateAndWork, observed);
}

/** The machines of places, each with the units there. */
export function byMachine(
  places: readonly UnitPlace[],
): readonly { readonly view: MachineView; readonly units: readonly string[] }[] {
  const groups = groupBy(places, ({ view }) => view);
  return [...groups].map(([view, here]) => ({ view, units: here.map(({ unit }) => unit) }));
}

/** The units of the arguments. A glob does not match templates; a named template is an error. */
function selectNamed(
  { units: arguments_, verb }: PlacesRequest,
  registry: RegistryView,
): Pick<Selection, 'units' | 'problems'> {
  for (const argument of arguments_) {
    const name = namedUnitOf(argument);
    if (name !== undefined && isTemplate(name)) throw notRunning(name, verb, registry);
  }
  const { units, problems } = selectUnits(arguments_, registry);
  return { units: units.filter(({ name }) => !isTemplateName(name)), problems };
}

/** The error for a template, which has no state; its instances run, or one service per connection of its socket. */
function notRunning({ text, prefix }: UnitName, verb: string, { units, machines }: RegistryView): FleetError {
  const socket = [...units.values()].find(
    ({ triggers, target }) => triggers === text && target !== 'inactive',
  );
  const isInstance = (name: string): boolean => templateOf(parseUnitName(name))?.text === text;
  if (socket === undefined) {
    return new FleetError(
      'usage',
      `Template "${text}" is on no machine: it is a pattern for units, not a unit`,
      {
        hint: [...units.keys()].some(isInstance)
          ? `Name its instances: fleetctl ${verb} '${prefix}@*'`
          : `It has no instances; start one: fleetctl start ${text.replace('@', '@NAME')}`,
      },
    );
  }
  const [machine] = [...machines].find(([, { id }]) => id !== undefined && id === socket.machine) ?? [];
  const place = machine === undefined ? '' : ` on machine "${machine}"`;
  return new FleetError(
    'usage',
    `Template "${text}" has no state: its file is beside "${socket.name}"${place}, for one service per connection`,
    {
      hint: `To see the journal of all connections: fleetctl ssh ${socket.name} journalctl -u '${prefix}@*'`,
    },
  );
}

/** The machines to observe: those of the units, or all if one unit is global or on a machine with an unknown name. */
function candidates(
  ports: Pick<Ports, 'machines'>,
  units: readonly DesiredUnit[],
  registry: RegistryView,
): readonly Machine[] {
  const machines = clusterMachines(registry, ports.machines);
  const ids = new Set(units.flatMap(({ machine }) => machine ?? []));
  const holders = machines.filter(({ name }) => ids.has(registry.machines.get(name)?.id ?? ''));
  const isEnough = holders.length === ids.size && !units.some(({ placement }) => placement.global);
  return isEnough ? holders : machines;
}

function locate(
  units: readonly DesiredUnit[],
  snapshot: ClusterSnapshot,
): Omit<UnitPlaces, 'problems'> & { readonly missing: readonly DesiredUnit[] } {
  const requested = new Set(units.map(({ name }) => name));
  const isUsable = (view: MachineView): boolean => isChangeable(view, snapshot);
  const places = snapshot.machines.filter(isUsable).flatMap((view) =>
    units
      .filter((unit) => isOn(unit, view))
      .map((unit): UnitPlace => {
        const observed = observedOn(view, unit.name);
        const drift = observed === undefined ? undefined : driftOf(observed, unit);
        return { unit: unit.name, view, state: observed?.state, drift };
      }),
  );
  const unread = snapshot.machines.flatMap((view) => {
    const expected = isUsable(view) ? [] : mayBeOn(view, snapshot).map(({ name }) => name);
    const names = expected.filter((name) => requested.has(name));
    return names.length === 0 ? [] : [{ machine: view.machine.name, names }];
  });
  const seen = new Set([...places.map(({ unit }) => unit), ...unread.flatMap(({ names }) => names)]);
  const unreachable = new Set(unread.map(({ machine }) => machine));
  return {
    places: places.toSorted(
      (a, b) => compareText(a.unit, b.unit) || compareText(a.view.machine.name, b.view.machine.name),
    ),
    missing: units.filter(({ name }) => !seen.has(name)),
    unreachable: unreachableMachines(snapshot).filter(({ machine }) => unreachable.has(machine.name)),
    held: heldUnits(snapshot).filter(({ unit }) => requested.has(unit)),
    unconfirmed: awaitedConfirmations(snapshot).filter(({ unit }) => requested.has(unit)),
  };
}

function isOn({ name, machine, placement }: DesiredUnit, view: MachineView): boolean {
  if (placement.global)
    return view.observation?.units.some((unit) => unit.name === name && isOurs(unit)) ?? false;
  return machine !== undefined && machine === view.id;
}

function nowhere({ name, target }: DesiredUnit, only: Machine | undefined): UnitProblem {
  const error =
    only === undefined
      ? new FleetError('not-loaded', `Unit "${name}" is on no machine: it is ${target} in the registry`, {
          hint: target === 'inactive' ? `Start it: fleetctl start ${name}` : `Why: fleetctl explain ${name}`,
        })
      : new FleetError('not-loaded', `Unit "${name}" is not on machine "${only.name}"`, {
          hint: 'Where it is: fleetctl list-units',
        });
  return { unit: name, error };
}
