import { FleetError } from '../base/errors.ts';
import type { Registry } from '../registry/registry.ts';
import type { RegistryView } from '../registry/view.ts';

/**
 * Takes a machine out of the registry: under that name another one may come, and units that are still assigned to it move
 * to other machines with the next pass. Resolves with these units.
 */
export async function forgetMachine(registry: Registry, name: string): Promise<readonly string[]> {
  let units: readonly string[] = [];
  await registry.update((view) => {
    units = assignedTo(name, view);
    return view.machines.has(name) ? [{ kind: 'delete-machine', name }] : [];
  });
  return units;
}

function assignedTo(name: string, { machines, units }: RegistryView): readonly string[] {
  const id = machines.get(name)?.id;
  if (id === undefined) return [];
  return [...units.values()].filter(({ machine }) => machine === id).map((unit) => unit.name);
}

/**
 * What stays on a machine that leaves fleet.conf: the global units that are wanted, as far as the registry knows.
 * Throws FleetError `usage` while units are assigned to it: they would be lost from sight.
 */
export function leaveMachine(registry: RegistryView, name: string): readonly string[] {
  const assigned = assignedTo(name, registry);
  if (assigned.length > 0) {
    const names = assigned.join(' ');
    throw new FleetError('usage', `Cannot remove machine "${name}": units are assigned to it: ${names}`, {
      hint: `Move them to other machines first: fleetctl machines remove ${name} --drain; or end them: fleetctl unload ${names}`,
    });
  }
  if (registry.machines.get(name)?.id === undefined) return [];
  return [...registry.units.values()]
    .filter(({ placement, target }) => placement.global && target !== 'inactive')
    .map((unit) => unit.name);
}
