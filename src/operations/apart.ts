import type { DesiredUnit } from '../cluster/snapshot.ts';
import { type Dependency, EFFECTS } from '../unit/dependencies.ts';

/** A unit whose text names another one that is on another machine, where systemd does not find it. */
export type Apart = { readonly unit: string; readonly dependency: Dependency };

/** Those of `names`, each with the first unit of the registry that it needs and that is on another machine. */
export function unitsApart(names: ReadonlySet<string>, units: readonly DesiredUnit[]): readonly Apart[] {
  const placed = new Map(
    units.flatMap((unit) =>
      unit.target === 'inactive' || unit.machine === undefined ? [] : [[unit.name, unit] as const],
    ),
  );
  return [...names].flatMap((name) => {
    const unit = placed.get(name);
    const dependency = unit?.dependencies.find((each) => {
      const machine = placed.get(each.unit)?.machine;
      return EFFECTS[each.kind].needed === 'named' && machine !== undefined && machine !== unit.machine;
    });
    return dependency === undefined ? [] : [{ unit: name, dependency }];
  });
}
