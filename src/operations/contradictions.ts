import { FleetError } from '../base/errors.ts';
import { stopTies, upholdTies } from '../cluster/dependencies.ts';
import { type Tie, tieText } from '../cluster/reason.ts';
import type { DesiredUnit } from '../cluster/snapshot.ts';
import type { RegistryView } from '../registry/view.ts';
import { type Selection, selectUnits } from './select-units.ts';
import type { UnitProblem } from './unit-result.ts';

type LoweringVerb = 'stop' | 'unload' | 'destroy';

/** A unit that stays loaded or launched, and the reason why another one cannot be lowered without it. */
type Obstacle = { readonly unit: string; readonly why: string };

/** The units of the registry that arguments name; those that cannot be lowered alone are problems instead. */
export function selectToLower(
  arguments_: readonly string[],
  verb: LoweringVerb,
  view: RegistryView,
): Selection {
  const { units, problems, templates } = selectUnits(arguments_, view);
  const contradictions = contradictionsOf(units, verb, view);
  const refused = new Set(contradictions.map(({ unit }) => unit));
  return {
    units: units.filter(({ name }) => !refused.has(name)),
    problems: [...problems, ...contradictions],
    templates,
  };
}

/**
 * The units that cannot be lowered alone, because a launched unit on the same machine would stop with them or start them
 * again, or, for `unload` and `destroy`, because a trigger needs their files. A refused unit stays, so units with ties to
 * it may be refused as well.
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

/** Unit → its obstacles, each of which disappears if that unit is lowered too. */
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
        why: `"${tie.unit}", which is launched, would stop with it (${tieText(tie)})`,
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
