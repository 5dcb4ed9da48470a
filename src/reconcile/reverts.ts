import type { Confirmation } from '../cluster/confirmation.ts';
import { type MachineView, type NewRevert, otherCluster } from '../cluster/snapshot.ts';
import type { MachineId } from '../machine/machine.ts';
import { olderText } from '../registry/kept-texts.ts';
import type { RegistryView } from '../registry/view.ts';

/** The texts that machines have reverted, as far as they are believed, and the registry does not know it. */
export function newReverts(machines: readonly MachineView[], registry: RegistryView): readonly NewRevert[] {
  return machines.flatMap((view) => {
    const { machine, id, observation } = view;
    if (id === undefined || otherCluster(view, registry) !== undefined) return [];
    return (observation?.confirmations ?? []).flatMap((each): readonly NewRevert[] => {
      if (each.state !== 'reverted' || !isNews(each, id, registry)) return [];
      const { unit, digest, at, why, windowMs } = each;
      const cause = { kind: 'reverted', why, windowMs } as const;
      return [{ unit, digest, held: { at, machines: [{ id, name: machine.name }], cause } }];
    });
  });
}

/**
 * A machine can only report about its own units, and about their texts with `Confirm=`. A report about a decision before the
 * release of the text (`--retry`) is outdated.
 */
function isNews({ unit, digest, token }: Confirmation, id: MachineId, registry: RegistryView): boolean {
  const wanted = registry.units.get(unit);
  if (wanted === undefined || token > wanted.token) return false;
  if (!wanted.placement.global && wanted.machine !== id) return false;
  const text = wanted.digest === digest ? wanted : olderText(registry, wanted, digest);
  if (text?.placement.confirmMs === undefined) return false;
  const released = registry.released(unit);
  if (released?.digest === digest && token <= released.token) return false;
  return registry.verdicts(unit)[digest]?.held?.machines.every((known) => known.id !== id) ?? true;
}
