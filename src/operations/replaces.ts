import { FleetError } from '../base/errors.ts';
import type { DesiredUnit } from '../cluster/snapshot.ts';

type Lookup = (name: string) => DesiredUnit | undefined;

/**
 * Throws FleetError `placement` when a unit replaces itself by way of others: fleet refuses it, for the start of
 * either would end the other.
 */
export function refuseCircle(unit: DesiredUnit, lookup: Lookup): void {
  const seen = new Set<string>();
  const waiting = unit.placement.replaces.map((name) => ({ name, way: [name] }));
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { name, way } = next;
    if (name === unit.name) {
      throw new FleetError(
        'placement',
        `Cannot use unit "${unit.name}": it replaces itself, by way of ${way
          .slice(0, -1)
          .map((each) => `"${each}"`)
          .join(', ')}`,
        { hint: 'Remove Replaces= from one of them' },
      );
    }
    if (seen.has(name)) continue;
    seen.add(name);
    const further = lookup(name)?.placement.replaces ?? [];
    waiting.push(...further.map((each) => ({ name: each, way: [...way, each] })));
  }
}
