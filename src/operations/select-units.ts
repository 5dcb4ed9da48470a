import { FleetError } from '../base/errors.ts';
import type { DesiredUnit } from '../cluster/snapshot.ts';
import type { RegistryView } from '../registry/view.ts';
import { isTemplateName } from '../unit/unit-name.ts';
import { namedUnitOf, unitMatcher } from './local-file.ts';
import type { UnitProblem } from './unit-result.ts';

/** The units of the registry that arguments name. */
export type Selection = {
  readonly units: readonly DesiredUnit[];
  /** A problem for every argument that names no unit, and for every unit that cannot be read. */
  readonly problems: readonly UnitProblem[];
  /** Templates that globs match; they are not selected, because a glob means only units that can run. */
  readonly templates: readonly string[];
};

/**
 * The units of the registry that arguments name, as names, paths or globs, each once. `web@*` also matches `web@*.service`.
 * Globs do not select templates.
 */
export function selectUnits(arguments_: readonly string[], registry: Known): Selection {
  const units = new Map<string, DesiredUnit>();
  const templates = new Set<string>();
  const problems: UnitProblem[] = [];
  for (const argument of arguments_) {
    const matched = namesOf(argument, registry);
    const found = matched.names.flatMap((name) => registry.units.get(name) ?? []);
    const unreadable = matched.names.flatMap((unit) => {
      const error = registry.unreadable?.get(unit) ?? registry.lost?.(unit);
      return error === undefined ? [] : [{ unit, error }];
    });
    for (const unit of found) units.set(unit.name, unit);
    for (const name of matched.templates) templates.add(name);
    problems.push(...unreadable);
    if (found.length + unreadable.length === 0) problems.push(noSuchUnit(argument, matched.templates));
  }
  return {
    units: [...units.values()],
    problems,
    templates: [...templates].filter((name) => !units.has(name)),
  };
}

/** The used part of a registry view. */
type Known = Pick<RegistryView, 'units'> & Partial<Pick<RegistryView, 'unreadable' | 'lost'>>;

type Match = { readonly names: readonly string[]; readonly templates: readonly string[] };

/** The names that an argument matches. Throws FleetError `unit-name` for an invalid name. */
function namesOf(argument: string, { units, unreadable }: Known): Match {
  const named = namedUnitOf(argument);
  if (named !== undefined) return { names: [named.text], templates: [] };
  const all = [...units.keys(), ...(unreadable?.keys() ?? [])].filter(unitMatcher(argument));
  return { names: all.filter((name) => !isTemplateName(name)), templates: all.filter(isTemplateName) };
}

/** The problem of an argument that names no unit; `templates` are those that a glob matches. */
export function noSuchUnit(argument: string, templates: readonly string[] = []): UnitProblem {
  const named = namedUnitOf(argument);
  const unit = named?.text ?? argument;
  const [template] = templates;
  const message = named === undefined ? `No unit matches "${unit}"` : `No such unit: "${unit}"`;
  const error =
    template === undefined
      ? new FleetError('unit-not-found', message, { hint: 'Units in the registry: fleetctl list-unit-files' })
      : new FleetError('unit-not-found', `${message}, only template "${template}"`, {
          hint: `A glob matches only units that can run; name the template itself: ${template}`,
        });
  return { unit, error };
}
