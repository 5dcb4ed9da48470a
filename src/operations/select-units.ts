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
 * `web@*.service` too, and never for a template), each once; and a problem for every argument that names none, and
 * for every unit that cannot be read.
 */
export function selectUnits(
  arguments_: readonly string[],
  registry: Known,
): { readonly units: readonly DesiredUnit[]; readonly problems: readonly UnitProblem[] } {
  const units = new Map<string, DesiredUnit>();
  const problems: UnitProblem[] = [];
  for (const argument of arguments_) {
    const names = namesOf(argument, registry);
    const found = names.flatMap((name) => registry.units.get(name) ?? []);
    const unreadable = names.flatMap((unit) => {
      const error = registry.unreadable?.get(unit) ?? registry.lost?.(unit);
      return error === undefined ? [] : [{ unit, error }];
    });
    for (const unit of found) units.set(unit.name, unit);
    problems.push(...unreadable);
    if (found.length + unreadable.length === 0) problems.push(noSuchUnit(argument));
  }
  return { units: [...units.values()], problems };
}

/** What is asked of a registry here. */
type Known = Pick<RegistryView, 'units'> & Partial<Pick<RegistryView, 'unreadable' | 'lost'>>;

/** The names an argument may mean; throws FleetError `unit-name` for what can be no name. */
function namesOf(argument: string, { units, unreadable }: Known): readonly string[] {
  const pattern = basename(argument);
  if (!isGlob(pattern)) return [unitNameOf(argument).text];
  return [...units.keys(), ...(unreadable?.keys() ?? [])].filter(
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
