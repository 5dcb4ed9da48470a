import { expandSpecifiers } from './specifiers.ts';
import { joinedValue, type UnitFile } from './unit-file.ts';
import { parseUnitName, type UnitName, unitNameProblem } from './unit-name.ts';

/** An option of a unit file that makes systemd stop, start or exclude one unit because of another one. */
export type DependencyKind = (typeof OPTIONS)[number][1];

/** One unit that a unit file names in such an option. `line` counts from 1. */
export type Dependency = { readonly kind: DependencyKind; readonly unit: string; readonly line: number };

/** The options that count here, by section (systemd.unit(5), systemd.resource-control(5)). */
const OPTIONS = [
  ['Unit', 'Requires'],
  ['Unit', 'Requisite'],
  ['Unit', 'BindsTo'],
  ['Unit', 'PartOf'],
  ['Unit', 'Upholds'],
  ['Unit', 'Wants'],
  ['Unit', 'Conflicts'],
  ['Unit', 'PropagatesStopTo'],
  ['Unit', 'StopPropagatedFrom'],
  ['Install', 'RequiredBy'],
  ['Install', 'UpheldBy'],
  ['Install', 'WantedBy'],
  ['Service', 'Slice'],
  ['Service', 'Sockets'],
] as const;

/**
 * What a unit's text says about other units, in the order of the file. An empty assignment to `Conflicts=` or another
 * dependency changes nothing (systemd.unit(5)); words that are no unit names, which systemd ignores, are left out.
 */
export function readDependencies(file: UnitFile, name: UnitName): readonly Dependency[] {
  return file.options.flatMap((option) => {
    const kind = OPTIONS.find((each) => each[0] === option.section && each[1] === option.name)?.[1];
    if (kind === undefined) return [];
    return joinedValue(option)
      .split(/\s+/)
      .map((word) => expandSpecifiers(word, name))
      .filter((word) => word !== '' && unitNameProblem(word) === undefined)
      .map((word) => ({ kind, unit: parseUnitName(word).text, line: option.line }));
  });
}
