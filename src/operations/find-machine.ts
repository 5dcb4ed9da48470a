import { FleetError, isFleetError } from '../base/errors.ts';
import { type DesiredUnit, otherCluster } from '../cluster/snapshot.ts';
import type { Machine } from '../machine/machine.ts';
import {
  describeMachine,
  type IdentifiedMachine,
  isIdPrefix,
  matchMachines,
  selectMachine,
} from '../machine/selector.ts';
import type { Ports } from '../reconcile/ports.ts';
import type { RegistryView } from '../registry/view.ts';
import { unitNameOf } from './local-file.ts';
import { observeCluster } from './observe-cluster.ts';

/** What a person calls a machine: by itself, by a unit that is there, or by a word that may be either. */
export type MachineQuestion = { readonly kind: 'machine' | 'unit' | 'either'; readonly text: string };

/**
 * The one machine that is meant. The registry knows where standard units are and what most machines' ids are;
 * machines are asked about global units, and about ids that the registry does not know. Throws FleetError
 * `machine-not-found`, `unit-not-found`, `not-loaded` for a unit that is nowhere, and `usage` when several
 * machines may be meant.
 */
export async function findMachine(ports: Ports, { kind, text }: MachineQuestion): Promise<Machine> {
  const registry = await ports.registry.load();
  const unit = kind === 'machine' ? undefined : unitCalled(text, registry, kind);
  if (kind === 'unit') return machineOf(ports, unit ?? missingUnit(text), registry);
  const known = identified(ports.machines, registry);
  const found = matchMachines(text, known);
  if (unit !== undefined && found.length > 0) throw bothKinds(text, found, unit);
  if (unit !== undefined) return machineOf(ports, unit, registry);
  // Asked even if every id is known: a machine may have been reinstalled.
  const machines = found.length === 0 && isIdPrefix(text) ? (await observeCluster(ports)).machines : known;
  if (kind === 'either' && matchMachines(text, machines).length === 0) throw neitherKind(text);
  return selectMachine(text, machines).machine;
}

function identified(machines: readonly Machine[], registry: RegistryView): readonly IdentifiedMachine[] {
  return machines.map((machine) => ({ machine, id: registry.machines.get(machine.name)?.id }));
}

/** The unit of that name; a word that can be no unit name at all is an error only where a unit is meant. */
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
  const found = identified(ports.machines, registry).find(({ id }) => id === unit.machine);
  if (found !== undefined) return found.machine;
  // The id was forgotten, or its machine is under a new name.
  return selectMachine(unit.machine, (await observeCluster(ports)).machines).machine;
}

/** The machine that a global unit is on, if it is one. */
async function onlyHolder(ports: Ports, unit: DesiredUnit): Promise<Machine> {
  const snapshot = await observeCluster(ports);
  const holders = snapshot.machines.filter(
    (view) =>
      otherCluster(view, snapshot) === undefined &&
      view.observation?.units.some(({ name, record }) => name === unit.name && record !== undefined),
  );
  const [holder] = holders;
  if (holder === undefined) throw nowhere(unit);
  if (holders.length === 1) return holder.machine;
  throw new FleetError(
    'usage',
    `Cannot tell which machine of unit "${unit.name}" is meant: ${holders.map(describeMachine).join(', ')}`,
    { hint: `Name one of them: fleetctl ssh ${holder.machine.name}` },
  );
}

function bothKinds(text: string, machines: readonly IdentifiedMachine[], unit: DesiredUnit): FleetError {
  const list = machines.map((machine) => `machine ${describeMachine(machine)}`).join(', ');
  return new FleetError('usage', `Cannot tell what "${text}" is: ${list}, or unit "${unit.name}"`, {
    hint: `Say which: --machine ${text} or --unit ${text}`,
  });
}

function neitherKind(text: string): FleetError {
  return new FleetError('machine-not-found', `No such machine or unit: "${text}"`, {
    hint: 'Machines: fleetctl list-machines --fields machine,name,ip; units: fleetctl list-unit-files',
  });
}

function missingUnit(text: string): never {
  throw new FleetError('unit-not-found', `No such unit: "${unitNameOf(text).text}"`, {
    hint: 'Units in the registry: fleetctl list-unit-files',
  });
}

function nowhere({ name }: DesiredUnit): FleetError {
  return new FleetError('not-loaded', `Cannot tell the machine of unit "${name}": it is on none`, {
    hint: `Start it first: fleetctl start ${name}`,
  });
}
