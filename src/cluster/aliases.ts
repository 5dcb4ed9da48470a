import type { Dependency } from '../unit/dependencies.ts';
import { readInstall } from '../unit/install.ts';
import { parseUnitFile } from '../unit/unit-file.ts';
import { parseUnitName } from '../unit/unit-name.ts';
import type { DesiredUnit } from './snapshot.ts';

/** Another name of units (`Alias=`) → the units that have it: there may be one on each machine. */
export type Aliases = ReadonlyMap<string, readonly string[]>;

/** The other names of all units. A name that is that of a unit is no other name. */
export function aliasesOf(units: ReadonlyMap<string, DesiredUnit>): Aliases {
  const found = new Map<string, readonly string[]>();
  for (const { name, text } of units.values()) {
    if (!text.includes('Alias')) continue;
    for (const alias of readInstall(parseUnitFile(text), parseUnitName(name)).aliases)
      if (!units.has(alias)) found.set(alias, [...(found.get(alias) ?? []), name]);
  }
  return found;
}

/** Dependencies on units, where the text may have other names of them. */
export function withUnitNames(dependencies: readonly Dependency[], aliases: Aliases): readonly Dependency[] {
  return dependencies.flatMap((dependency) =>
    (aliases.get(dependency.unit) ?? [dependency.unit]).map((unit) => ({ ...dependency, unit })),
  );
}

/** A unit whose dependencies and whose options of `[X-Fleet]` name units. Globs match no other names. */
export function withoutAliases(unit: DesiredUnit, aliases: Aliases): DesiredUnit {
  if (aliases.size === 0) return unit;
  const named = (names: readonly string[]): readonly string[] =>
    names.flatMap((name) => aliases.get(name) ?? [name]);
  const others = (names: readonly string[]): readonly string[] =>
    named(names).filter((name) => name !== unit.name);
  const { machineOf, conflicts, replaces } = unit.placement;
  return {
    ...unit,
    dependencies: withUnitNames(unit.dependencies, aliases),
    placement: {
      ...unit.placement,
      machineOf: others(machineOf),
      conflicts: named(conflicts),
      replaces: others(replaces),
    },
  };
}
