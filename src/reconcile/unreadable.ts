import type { MachineView, UnreadableUnit } from '../cluster/snapshot.ts';
import type { RegistryView } from '../registry/view.ts';

/**
 * Units about which the registry cannot tell what is wanted: those whose documents cannot be read, and those that
 * machines of this cluster have and whose documents are lost.
 */
export function unreadableUnits(
  registry: RegistryView,
  machines: readonly MachineView[],
): readonly UnreadableUnit[] {
  const found = machines.flatMap(({ observation }) =>
    (observation?.units ?? []).flatMap(({ name, record }) => (record === undefined ? [] : [name])),
  );
  const lost = [...new Set(found)].flatMap((name) => {
    const error = registry.units.has(name) ? undefined : registry.lost(name);
    return error === undefined ? [] : [[name, error] as const];
  });
  return [...registry.unreadable, ...lost].map(([unit, { message, hint }]) => ({ unit, message, hint }));
}
