import { FleetError } from '../base/errors.ts';
import { startTies } from '../cluster/dependencies.ts';
import type { DesiredUnit } from '../cluster/snapshot.ts';
import type { RegistryView } from '../registry/view.ts';
import type { UnitProblem } from './unit-result.ts';

type LoweringVerb = 'stop' | 'unload' | 'destroy';

/**
 * Units that cannot be lowered alone, because another one that stays wanted would start them again or needs their file:
 * what requires them and is launched on the same machine, and for `unload` and `destroy` what triggers them.
 */
export function contradictionsOf(
  selected: readonly DesiredUnit[],
  verb: LoweringVerb,
  { units }: Pick<RegistryView, 'units'>,
): readonly UnitProblem[] {
  const lowered = new Set(selected.map(({ name }) => name));
  const staying = [...units.values()].filter(
    ({ name, target }) => target !== 'inactive' && !lowered.has(name),
  );
  const ties = startTies([...units.values()]);
  const byName = new Map(staying.map((unit) => [unit.name, unit]));
  return selected.flatMap((unit): readonly UnitProblem[] => {
    const trigger = verb === 'stop' ? undefined : staying.find(({ triggers }) => triggers === unit.name);
    if (trigger !== undefined) {
      const why = `"${trigger.name}", which is ${trigger.target}, starts it`;
      return [problemOf(unit.name, trigger.name, verb, why)];
    }
    const tie = ties.get(unit.name)?.find((each) => {
      const other = byName.get(each.unit);
      return other?.target === 'launched' && shareMachine(other, unit);
    });
    if (tie === undefined) return [];
    const { kind, unit: named, line } = tie.dependency;
    const why = `"${tie.unit}", which is launched, would start it again (${kind}=${named} in line ${line} of "${tie.declaredBy}")`;
    return [problemOf(unit.name, tie.unit, verb, why)];
  });
}

function shareMachine(one: DesiredUnit, other: DesiredUnit): boolean {
  return one.placement.global || other.placement.global || one.machine === other.machine;
}

function problemOf(unit: string, other: string, verb: LoweringVerb, why: string): UnitProblem {
  const error = new FleetError('contradiction', `Cannot ${verb} unit "${unit}": ${why}`, {
    hint: `Name both: fleetctl ${verb} ${other} ${unit}`,
  });
  return { unit, error };
}
