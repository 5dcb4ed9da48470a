import { type MachineView, UNLISTED } from '../cluster/snapshot.ts';
import type { Machine } from '../machine/machine.ts';
import type { RegistryView } from '../registry/view.ts';

/**
 * The same machines, and those that units are assigned to and this fleet.conf lacks: another operator's may have them,
 * so they count as machines that do not answer here, and no unit leaves them. Only `machines remove` ends what the
 * registry knows of a machine. `now` is epoch ms; of
 * `inventory` only some may have been asked.
 */
export function withUnlisted(
  machines: readonly MachineView[],
  registry: RegistryView,
  now: number,
  inventory: readonly Machine[] = [],
): readonly MachineView[] {
  const listed = machines.filter(({ unreachable }) => unreachable?.code !== UNLISTED);
  const names = new Set([...inventory, ...listed.map(({ machine }) => machine)].map(({ name }) => name));
  const ids = new Set(listed.map(({ id }) => id));
  const assigned = new Set([...registry.units.values()].map(({ machine }) => machine));
  const unlisted = [...registry.machines].flatMap(([name, { id }]): readonly MachineView[] => {
    if (id === undefined || names.has(name) || ids.has(id) || !assigned.has(id)) return [];
    ids.add(id);
    const unreachable = {
      since: now,
      code: UNLISTED,
      message: `Machine "${name}" is not in this fleet.conf`,
      hint: `Add it to fleet.conf; or, if it has left the cluster: fleetctl machines remove ${name}`,
    };
    const machine = { name, address: '', metadata: {} };
    return [{ machine, id, observation: undefined, unreachable, backSince: undefined }];
  });
  return [...listed, ...unlisted];
}
