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
 * what triggers them.
 */
export function contradictionsOf(
  selected: readonly DesiredUnit[],
  verb: LoweringVerb,
  { units }: Pick<RegistryView, 'units'>,
): readonly UnitProblem[] {
  const all = [...units.values()];
  const lowered = new Set(selected.map(({ name }) => name));
  const upholders = upholdTies(all);
  const stops = stopTies(all);
  const obstaclesTo = (unit: DesiredUnit): readonly Obstacle[] => {
    const triggers = verb === 'stop' ? [] : all.filter((other) => other.triggers === unit.name);
    const isLaunchedBeside = ({ unit: name }: Tie): boolean => {
      const other = units.get(name);
      return other?.target === 'launched' && shareMachine(other, unit);
    };
    const obstacles = [
      ...triggers
        .filter(({ target }) => target !== 'inactive')
        .map(({ name, target }) => ({ unit: name, why: `"${name}", which is ${target}, starts it` })),
      ...(stops.get(unit.name) ?? []).filter(isLaunchedBeside).map((tie) => ({
        unit: tie.unit,
        why: `"${tie.unit}", which is launched, would go down with it (${tieText(tie)})`,
      })),
      ...(upholders.get(unit.name) ?? []).filter(isLaunchedBeside).map((tie) => ({
        unit: tie.unit,
        why: `"${tie.unit}", which is launched, would start it again (${tieText(tie)})`,
      })),
    ];
    return obstacles.filter((obstacle) => !lowered.has(obstacle.unit));
  };
  return selected.flatMap((unit): readonly UnitProblem[] => {
    const [first] = obstaclesTo(unit);
    if (first === undefined) return [];
    const names = withObstacles(unit, (name) => {
      const other = units.get(name);
      return other === undefined ? [] : obstaclesTo(other).map((obstacle) => obstacle.unit);
    });
    const error = new FleetError('contradiction', `Cannot ${verb} unit "${unit.name}": ${first.why}`, {
      hint: `Name ${names.length === 2 ? 'both' : 'all of them'}: fleetctl ${verb} ${names.join(' ')}`,
    });
    return [{ unit: unit.name, error }];
  });
}

/** The unit and everything that has to be lowered with it, those that depend on others first. */
function withObstacles(
  { name }: DesiredUnit,
  obstaclesTo: (name: string) => readonly string[],
): readonly string[] {
  const found = [name];
  for (const each of found) {
    for (const other of obstaclesTo(each)) if (!found.includes(other)) found.push(other);
  }
  return found.toReversed();
}

function shareMachine(one: DesiredUnit, other: DesiredUnit): boolean {
  return one.placement.global || other.placement.global || one.machine === other.machine;
}
