import { type Dependency, EFFECTS } from '../unit/dependencies.ts';
import { readInstall } from '../unit/install.ts';
import { parseUnitFile } from '../unit/unit-file.ts';
import { parseUnitName } from '../unit/unit-name.ts';
import type { Tie } from './reason.ts';
import type { DependentUnit, DesiredUnit } from './snapshot.ts';

/** Unit name → its ties. */
export type Ties = ReadonlyMap<string, readonly Tie[]>;

/** Unit → the units that stop when it stops. */
export function stopTies(units: readonly DependentUnit[]): Ties {
  return tiesTo('follower', units);
}

/** Unit → the units that start it whenever it is down while they are up (`Upholds=`). */
export function upholdTies(units: readonly DependentUnit[]): Ties {
  return tiesTo('upholder', units);
}

/** Unit → the units that its start starts or requires. */
export function needTies(units: readonly DependentUnit[]): Ties {
  return tiesTo('needed', units);
}

/** Unit → the units that systemd never lets run beside it (`Conflicts=` of `[Unit]`). */
export function conflictTies(units: readonly DependentUnit[]): Ties {
  return tiesTo('excluded', units);
}

/** The units that are tied to `units` directly or through others, without `units` themselves. */
export function allTiedTo(units: Iterable<string>, ties: Ties): ReadonlySet<string> {
  const first = new Set(units);
  const found = new Set<string>();
  const waiting = [...first];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    for (const { unit } of ties.get(name) ?? []) {
      if (first.has(unit) || found.has(unit)) continue;
      found.add(unit);
      waiting.push(unit);
    }
  }
  return found;
}

/** Unit → the units that have this role towards it. */
function tiesTo(
  role: 'follower' | 'upholder' | 'excluded' | 'needed',
  units: readonly DependentUnit[],
): Ties {
  const declarers = units.filter(({ dependencies }) => dependencies.some(({ kind }) => EFFECTS[kind][role]));
  if (declarers.length === 0) return new Map();
  const known = new Set(units.map(({ name }) => name));
  const ties = new Map<string, Map<string, Tie>>();
  const add = (from: string, unit: string, declaredBy: string, dependency: Dependency): void => {
    if (from === unit) return;
    const found = ties.get(from) ?? new Map<string, Tie>();
    if (!found.has(unit)) found.set(unit, { unit, declaredBy, dependency });
    ties.set(from, found);
  };
  for (const { name, dependencies } of declarers) {
    for (const dependency of dependencies) {
      const other = dependency.unit;
      if (!known.has(other)) continue;
      const end = EFFECTS[dependency.kind][role];
      if (end === 'declarer' || end === 'both') add(other, name, name, dependency);
      if (end === 'named' || end === 'both') add(name, other, name, dependency);
    }
  }
  return new Map([...ties].map(([from, found]) => [from, [...found.values()]]));
}

/** Alias (`Alias=`) → the units that have it: several may, on different machines. */
export type Aliases = ReadonlyMap<string, readonly string[]>;

/** The aliases of `units`. An alias that is also the name of a unit, as `isUnit` says, is left out. */
export function aliasesOf(units: Iterable<DesiredUnit>, isUnit: (name: string) => boolean): Aliases {
  const found = new Map<string, readonly string[]>();
  for (const { name, text } of units) {
    if (!text.includes('Alias')) continue;
    for (const alias of readInstall(parseUnitFile(text), parseUnitName(name)).aliases)
      if (!isUnit(alias)) found.set(alias, [...(found.get(alias) ?? []), name]);
  }
  return found;
}

/** Dependencies with aliases replaced by the names of units. */
export function withUnitNames(dependencies: readonly Dependency[], aliases: Aliases): readonly Dependency[] {
  return dependencies.flatMap((dependency) =>
    (aliases.get(dependency.unit) ?? [dependency.unit]).map((unit) => ({ ...dependency, unit })),
  );
}

/** Whether a unit names others, so that aliases matter to it. */
export function namesUnits({ dependencies, placement }: DesiredUnit): boolean {
  const { machineOf, conflicts, replaces } = placement;
  return [dependencies, machineOf, conflicts, replaces].some(({ length }) => length > 0);
}

/** The unit with the aliases in its dependencies and `[X-Fleet]` options replaced by unit names. Globs do not match aliases. */
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
