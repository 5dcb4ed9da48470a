import { groupWith } from '../plan/rollout.ts';
import type { Edit } from '../registry/edit.ts';
import type { RegistryView } from '../registry/view.ts';

/**
 * The edits that let passes try the texts of held units again, of those in `names` and of the instances with the same text.
 * None for a unit that is not held.
 */
export function releaseEdits(names: Iterable<string>, view: RegistryView): readonly Edit[] {
  const units = [...names].flatMap((name) => view.units.get(name) ?? []);
  const group = units.flatMap((unit) => [unit, ...groupWith(unit, view.units.values())]);
  const held = new Set(group.filter((unit) => unit.held !== undefined).map(({ name }) => name));
  return [...held].map((unit) => ({ kind: 'release-text', unit }));
}
