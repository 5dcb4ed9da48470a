import { FleetError, isFleetError } from '../base/errors.ts';
import { type DesiredUnit, isChangeable } from '../cluster/snapshot.ts';
import type { Machine } from '../machine/machine.ts';
import {
  describeMachine,
  type IdentifiedMachine,
  isIdPrefix,
  matchMachines,
  selectMachine,
} from '../machine/selector.ts';
import type { Ports } from '../reconcile/ports.ts';
import { asProposed, clusterMachines } from '../registry/inventory.ts';
import type { RegistryView } from '../registry/view.ts';
import { unitNameOf } from './local-file.ts';
import { observeCluster } from './observe-cluster.ts';
import { noSuchUnit } from './select-units.ts';

/** A reference to a machine: by its name, address or id, by a unit on it, or by a word that may be either. */
export type MachineQuestion = { readonly kind: 'machine' | 'unit' | 'either'; readonly text: string };

/**
 * Resolves a reference to a machine. The registry has the assignments of standard units and most ids; machines are
 * observed for global units and unknown ids. Throws FleetError `machine-not-found`, `unit-not-found`, `not-loaded` for a
 * unit without a machine, and `usage` if several machines match.
 */
export async function findMachine(ports: Ports, { kind, text }: MachineQuestion): Promise<Machine> {
  const registry = await ports.registry.load();
  const unit = kind === 'machine' ? undefined : unitCalled(text, registry, kind);
  if (kind === 'unit') {
    if (unit === undefined) throw noSuchUnit(text).error;
    return machineOf(ports, unit, registry);
  }
  const known = identified(ports, registry);
  const found = matchMachines(text, known);
  if (unit !== undefined && found.length > 0) throw bothKinds(text, found, unit);
  if (unit !== undefined) return machineOf(ports, unit, registry);
  // Machines are observed even if every id is known, because one may have been reinstalled.
  const machines = found.length === 0 && isIdPrefix(text) ? (await observeCluster(ports)).machines : known;
  if (kind === 'either' && matchMachines(text, machines).length === 0) throw neitherKind(text);
  return selectMachine(text, machines).machine;
}

/** The machine of that name. Throws FleetError `machine-not-found`. */
export function machineNamed(name: string, machines: readonly Machine[]): Machine {
  const machine = machines.find((each) => each.name === name);
  if (machine !== undefined) return machine;
  throw new FleetError('machine-not-found', `No such machine: "${name}"`, {
    hint: 'Machines: fleetctl list-machines',
  });
}

/**
 * {@link findMachine} for a login. If the registry cannot be read, the sections of fleet.conf answer, and `onUnread` gets the reason. This
 * is safe because a login verifies the host key in any case.
 */
export async function findLogin(
  ports: Ports,
  question: MachineQuestion,
  onUnread: (error: FleetError) => void,
): Promise<Machine> {
  try {
    return await findMachine(ports, question);
  } catch (error) {
    if (!isFleetError(error) || !error.code.startsWith('registry-') || question.kind === 'unit') throw error;
    const proposed = asProposed(ports.machines).map((machine) => ({ machine, id: undefined }));
    const [found, ...others] = matchMachines(question.text, proposed);
    if (found === undefined || others.length > 0) throw error;
    onUnread(error);
    return found.machine;
  }
}

function identified({ machines }: Ports, registry: RegistryView): readonly IdentifiedMachine[] {
  return clusterMachines(registry, machines).map((machine) => ({
    machine,
    id: registry.machines.get(machine.name)?.id,
  }));
}

/** The unit of that name. An invalid unit name is an error only if the reference must be a unit. */
function unitCalled(
  text: string,
  registry: RegistryView,
  kind: MachineQuestion['kind'],
): DesiredUnit | undefined {
  try {
    return registry.units.get(unitNameOf(text).text);
  } catch (error) {
    if (kind === 'unit' || !isFleetError(error, 'unit-name')) throw error;
    return undefined;
  }
}

async function machineOf(ports: Ports, unit: DesiredUnit, registry: RegistryView): Promise<Machine> {
  if (unit.placement.global) return onlyHolder(ports, unit);
  if (unit.machine === undefined) throw nowhere(unit);
  const found = identified(ports, registry).find(({ id }) => id === unit.machine);
  if (found !== undefined) return found.machine;
  // The registry has lost the id, or the machine has a new name.
  return selectMachine(unit.machine, (await observeCluster(ports)).machines).machine;
}

/** The machine that a global unit is on, if it is one. */
async function onlyHolder(ports: Ports, unit: DesiredUnit): Promise<Machine> {
  const snapshot = await observeCluster(ports);
  const holders = snapshot.machines.filter(
    (view) =>
      isChangeable(view, snapshot) &&
      view.observation?.units.some(({ name, record }) => name === unit.name && record !== undefined),
  );
  const [holder] = holders;
  if (holder === undefined) throw nowhere(unit);
  if (holders.length === 1) return holder.machine;
  throw new FleetError(
    'usage',
    `Unit "${unit.name}" is on several machines: ${holders.map(describeMachine).join(', ')}`,
    { hint: `Name one of them: fleetctl ssh ${holder.machine.name}` },
  );
}

function bothKinds(text: string, machines: readonly IdentifiedMachine[], unit: DesiredUnit): FleetError {
  const list = machines.map((machine) => `machine ${describeMachine(machine)}`).join(', ');
  return new FleetError('usage', `"${text}" is ambiguous: ${list}, or unit "${unit.name}"`, {
    hint: `Use --machine ${text} or --unit ${text}`,
  });
}

function neitherKind(text: string): FleetError {
  return new FleetError('machine-not-found', `No such machine or unit: "${text}"`, {
    hint: 'Machines: fleetctl list-machines --fields machine,name,ip; units: fleetctl list-unit-files',
  });
}

function nowhere({ name }: DesiredUnit): FleetError {
  return new FleetError('not-loaded', `Unit "${name}" is on no machine`, {
    hint: `Start it first: fleetctl start ${name}`,
  });
}
