import { FleetError } from '../base/errors.ts';
import type { RegistryView } from '../registry/view.ts';

/**
 * What stays on a machine that leaves fleet.conf: the global units that are wanted, as far as the registry knows.
 * Throws FleetError `usage` while units are assigned to it: they would be lost from sight.
 */
export function leaveMachine(registry: RegistryView, name: string): readonly string[] {
  const id = registry.machines.get(name)?.id;
  const units = [...registry.units.values()];
  const assigned = id === undefined ? [] : units.filter(({ machine }) => machine === id);
  if (assigned.length > 0) {
    const names = assigned.map((unit) => unit.name).join(' ');
    throw new FleetError('usage', `Cannot remove machine "${name}": units are assigned to it: ${names}`, {
      hint: `Take them off it first: fleetctl unload ${names}; started again without it, they go to another machine`,
    });
  }
  return id === undefined
    ? []
    : units
        .filter(({ placement, target }) => placement.global && target !== 'inactive')
        .map((unit) => unit.name);
}
