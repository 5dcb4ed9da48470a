import { basename } from 'node:path';
import { FleetError } from '../base/errors.ts';
import { isGlob, matchesGlob } from '../base/glob.ts';
import type { DesiredUnit } from '../cluster/snapshot.ts';
import type { RegistryView } from '../registry/view.ts';
import { isTemplate, parseUnitName } from '../unit/unit-name.ts';
import { unitNameOf } from './local-file.ts';
import type { UnitProblem } from './unit-result.ts';

/**
 * The units of the registry that arguments name, as names, paths or globs (`web@*`, which stands for
 * `web@*.service` too, and never for a template), each once; and a problem for every argument that names none.
 */
export function selectUnits(
  arguments_: readonly string[],
  registry: Pick<RegistryView, 'units'>,
): { readonly units: readonly DesiredUnit[]; readonly problems: readonly UnitProblem[] } {
  const units = new Map<string, DesiredUnit>();
  const problems: UnitProblem[] = [];
  for (const argument of arguments_) {
    const found = namesOf(argument, registry).flatMap((name) => registry.units.get(name) ?? []);
    for (const unit of found) units.set(unit.name, unit);
    if (found.length === 0) problems.push(noSuchUnit(argument));
  }
  return { units: [...units.values()], problems };
}

/** The names an argument may mean; throws FleetError `unit-name` for what can be no name. */
function namesOf(argument: string, registry: Pick<RegistryView, 'units'>): readonly string[] {
  const pattern = basename(argument);
  if (!isGlob(pattern)) return [unitNameOf(argument).text];
  return [...registry.units.keys()].filter(
    (name) =>
      !isTemplate(parseUnitName(name)) &&
      (matchesGlob(pattern, name) || matchesGlob(`${pattern}.service`, name)),
  );
}

/** The problem of an argument, a glob perhaps, that names no unit. */
export function noSuchUnit(argument: string): UnitProblem {
  const glob = isGlob(basename(argument));
  const unit = glob ? argument : unitNameOf(argument).text;
  const error = new FleetError(
    'unit-not-found',
    glob ? `No unit matches "${unit}"` : `No such unit: "${unit}"`,
    {
      hint: 'Units in the registry: fleetctl list-unit-files',
    },
  );
  return { unit, error };
}
