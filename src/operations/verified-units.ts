import { isTemplate, parseUnitName } from '../unit/unit-name.ts';

/**
 * The units among `units` that the lines of systemd-analyze(1) are about: each line is about the first one that it
 * names. A line that names none may be about any of them.
 */
export function unitsBlamed(units: readonly string[], lines: readonly string[]): readonly string[] {
  const patterns = units.map((unit) => [unit, patternOf(unit)] as const);
  const blamed = new Set<string>();
  for (const line of lines) {
    const named = patterns
      .map(([unit, pattern]) => ({ unit, at: line.search(pattern) }))
      .filter(({ at }) => at >= 0)
      // An instance is named before its template, which matches it as well.
      .toSorted((a, b) => a.at - b.at || Number(isPattern(a.unit)) - Number(isPattern(b.unit)));
    if (named[0] === undefined) return units;
    blamed.add(named[0].unit);
  }
  return units.filter((unit) => blamed.has(unit));
}

/** The name where it stands alone; of a template also with the instance that systemd checks it with. */
function patternOf(unit: string): RegExp {
  const name = unit.replaceAll(/[.\\]/g, String.raw`\$&`);
  const any = isPattern(unit) ? name.replace('@', String.raw`@[\w:.\\-]*`) : name;
  return new RegExp(String.raw`(?<![\w:.\\@-])${any}(?![\w\\@-])`);
}

function isPattern(unit: string): boolean {
  return isTemplate(parseUnitName(unit));
}
