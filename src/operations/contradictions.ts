import { FleetError } from '../base/errors.ts';
import { stopTies, type Tie, tieText, upholdTies } from '../cluster/dependencies.ts';
import type { DesiredUnit } from '../cluster/snapshot.ts';
import type { RegistryView } from '../registry/view.ts';
import type { UnitProblem } from './unit-result.ts';

type LoweringVerb = 'stop' | 'unload' | 'destroy';

/** A unit that stays wanted, and the words for why another one cannot be lowered without it. */
type Obstacle = { readonly unit: string; readonly why: string };

/**
 * Units that cannot be lowered alone, because one that stays wanted would be taken down with them, would start them
 * again, or needs their file: what is tied to them and launched on the same machine, and for `unload` and `destroy`
 * what triggers them. A unit that is refused stays wanted, so that those it is tied to are refused as well.
 */
export function contradictionsOf(
  selected: readonly DesiredUnit[],
  verb: LoweringVerb,
  { units }: Pick<RegistryView, 'units'>,
): readonly UnitProblem[] {
  const obstaclesTo = obstaclesOf(verb, units);
  const obstacles = new Map(selected.map((unit) => [unit.name, obstaclesTo(unit)]));
  const refused = new Map<string, Obstacle>();
  let before: number;
  do {
    before = refused.size;
    for (const [name, found] of obstacles) {
      const obstacle = found.find(({ unit }) => !obstacles.has(unit) || refused.has(unit));
      if (obstacle !== undefined && !refused.has(name)) refused.set(name, obstacle);
    }
  } while (refused.size > before);
  const names = [...refused.keys()];
  for (const name of names) {
    const unit = units.get(name);
    const found = obstacles.get(name) ?? (unit === undefined ? [] : obstaclesTo(unit));
    for (const { unit: other } of found) if (!names.includes(other)) names.push(other);
  }
  // Those that depend on others come first.
  const words = names.toReversed().join(' ');
  const hint = `Name ${names.length === 2 ? 'both' : 'all of them'}: fleetctl ${verb} ${words}`;
  return [...refused].map(([unit, { why }]) => ({
    unit,
    error: new FleetError('contradiction', `Cannot ${verb} unit "${unit}": ${why}`, { hint }),
  }));
}

/** Unit → everything that stays wanted unless it is lowered too, and keeps the unit from being lowered alone. */
function obstaclesOf(
  verb: LoweringVerb,
  units: RegistryView['units'],
): (unit: DesiredUnit) => readonly Obstacle[] {
  const all = [...units.values()];
  const upholders = upholdTies(all);
  const stops = stopTies(all);
  return (unit) => {
    const beside = (tie: Tie): DesiredUnit | undefined => {
      const other = units.get(tie.unit);
      return other !== undefined && shareMachine(other, unit) ? other : undefined;
    };
    const isLaunchedBeside = (tie: Tie): boolean => beside(tie)?.target === 'launched';
    // A stop also reaches units behind loaded ones.
    const followers: Tie[] = [];
    const waiting = [unit.name];
    for (const name of waiting) {
      for (const tie of stops.get(name) ?? []) {
        if ((beside(tie)?.target ?? 'inactive') === 'inactive' || waiting.includes(tie.unit)) continue;
        waiting.push(tie.unit);
        followers.push(tie);
      }
    }
    const triggers = verb === 'stop' ? [] : all.filter((other) => other.triggers === unit.name);
    return [
      ...triggers
        .filter(({ target }) => target !== 'inactive')
        .map(({ name, target }) => ({ unit: name, why: `"${name}", which is ${target}, starts it` })),
      ...followers.filter(isLaunchedBeside).map((tie) => ({
        unit: tie.unit,
        why: `"${tie.unit}", which is launched, would go down with it (${tieText(tie)})`,
      })),
      ...(upholders.get(unit.name) ?? []).filter(isLaunchedBeside).map((tie) => ({
        unit: tie.unit,
        why: `"${tie.unit}", which is launched, would start it again (${tieText(tie)})`,
      })),
    ];
  };
}

function shareMachine(one: DesiredUnit, other: DesiredUnit): boolean {
  return one.placement.global || other.placement.global || one.machine === other.machine;
}
