import { FleetError } from '../base/errors.ts';
import type { Registry } from '../registry/registry.ts';
import type { RegistryView } from '../registry/view.ts';

/** Forgets what was said of a machine that has left fleet.conf: under that name another one may come. */
export async function forgetMachine(registry: Registry, name: string): Promise<void> {
  await registry.update(({ machines }) => {
    const known = machines.get(name);
    return known?.cordon === undefined
      ? []
      : [{ kind: 'put-machine', name, known: { ...known, cordon: undefined } }];
  });
}

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
      hint: `Move them to other machines first: fleetctl machines remove ${name} --drain; or end them: fleetctl unload ${names}`,
    });
  }
  return id === undefined
    ? []
    : units
        .filter(({ placement, target }) => placement.global && target !== 'inactive')
        .map((unit) => unit.name);
}
