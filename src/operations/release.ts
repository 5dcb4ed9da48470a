import type { DesiredUnit } from '../cluster/snapshot.ts';
import { groupsIn } from '../plan/rollout.ts';
import type { Edit } from '../registry/edit.ts';
import type { RegistryView } from '../registry/view.ts';

/**
 * The edits that let passes try the texts of held units again, of those in `names` and of the instances with the same text.
 * None for a unit that is not held, unless a machine may have reverted its text.
 */
export function releaseEdits(names: Iterable<string>, view: RegistryView): readonly Edit[] {
  const units = [...names].flatMap((name) => view.units.get(name) ?? []);
  const group = units.flatMap(groupsIn(view.units.values()));
  const isHeld = ({ held, placement }: DesiredUnit): boolean =>
    held !== undefined || placement.confirmMs !== undefined;
  const held = new Set(group.filter(isHeld).map(({ name }) => name));
  return [...held].map((unit) => ({ kind: 'release-text', unit }));
}
