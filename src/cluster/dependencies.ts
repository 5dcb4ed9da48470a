import type { Dependency, DependencyKind } from '../unit/dependencies.ts';
import type { DesiredUnit } from './snapshot.ts';

/** A unit with what one of its texts says about others. */
export type DependentUnit = Pick<DesiredUnit, 'name' | 'dependencies'>;

/** Two units that one line of a unit file ties together: `declaredBy` has it, in `dependency.line`. */
export type Tie = { readonly unit: string; readonly declaredBy: string; readonly dependency: Dependency };

/** Unit name → its ties. */
export type Ties = ReadonlyMap<string, readonly Tie[]>;

/**
 * With these in a unit's text, a stop of the unit that it names takes it down as well (systemd.unit(5); `Slice=` implies
 * `Requires=`, systemd.resource-control(5)).
 */
const STOPPED_WITH: ReadonlySet<DependencyKind> = new Set([
  'Requires',
  'Requisite',
  'BindsTo',
  'PartOf',
  'StopPropagatedFrom',
  'Slice',
]);

/** With these, its own stop takes down the unit that it names. */
const STOPS: ReadonlySet<DependencyKind> = new Set(['PropagatesStopTo', 'RequiredBy']);

/** With these, a unit that is started, or is up, starts the unit that it names; the second list is the other way round. */
const STARTS: ReadonlySet<DependencyKind> = new Set(['Requires', 'BindsTo', 'Upholds', 'Slice']);
const STARTED_BY: ReadonlySet<DependencyKind> = new Set(['RequiredBy', 'UpheldBy']);

/** Unit → the units that its stop takes down, each with the line that says so. */
export function stopTies(units: readonly DependentUnit[]): Ties {
  return tiesOf(units, STOPPED_WITH, STOPS);
}

/** Unit → the units that start it again when they are started, or as long as they are up: a stop of it alone is in vain. */
export function startTies(units: readonly DependentUnit[]): Ties {
  return tiesOf(units, STARTS, STARTED_BY);
}

/** Unit → the units that start it whenever it is down, as long as they are up (`Upholds=`): they have to be stopped first. */
export function upholdTies(units: readonly DependentUnit[]): Ties {
  return tiesOf(units, new Set(['Upholds']), new Set());
}

/** Unit → the units that systemd never lets run beside it (`Conflicts=` of `[Unit]`). */
export function conflictTies(units: readonly DependentUnit[]): Ties {
  const conflicts: ReadonlySet<DependencyKind> = new Set(['Conflicts']);
  return tiesOf(units, conflicts, conflicts);
}

/**
 * Everything that goes down when `stopped` are stopped, themselves left out: the units that the ties lead to, over any
 * number of steps.
 */
export function takenDown(stopped: Iterable<string>, ties: Ties): ReadonlySet<string> {
  const first = new Set(stopped);
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

/** `toDeclarer` leads from the unit that is named to the one whose text names it, `fromDeclarer` the other way. */
function tiesOf(
  units: readonly DependentUnit[],
  toDeclarer: ReadonlySet<DependencyKind>,
  fromDeclarer: ReadonlySet<DependencyKind>,
): Ties {
  const known = new Set(units.map(({ name }) => name));
  const ties = new Map<string, Tie[]>();
  const add = (from: string, unit: string, declaredBy: string, dependency: Dependency): void => {
    if (from === unit) return;
    const found = ties.get(from) ?? [];
    if (!found.some((tie) => tie.unit === unit)) found.push({ unit, declaredBy, dependency });
    ties.set(from, found);
  };
  for (const { name, dependencies } of units) {
    for (const dependency of dependencies) {
      const other = dependency.unit;
      if (!known.has(other)) continue;
      if (toDeclarer.has(dependency.kind)) add(other, name, name, dependency);
      if (fromDeclarer.has(dependency.kind)) add(name, other, name, dependency);
    }
  }
  return ties;
}
