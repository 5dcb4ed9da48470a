import type { DesiredUnit } from '../cluster/snapshot.ts';
import { readInstall } from '../unit/install.ts';
import { parseUnitFile } from '../unit/unit-file.ts';
import { parseUnitName } from '../unit/unit-name.ts';

/** A unit that is launched, with those of its `Also=` that are not. */
export type StartedAlone = { readonly unit: string; readonly also: readonly string[] };

/**
 * Those of `names` that were started without all of their `Also=`. systemd would enable these units with them; here a
 * unit is enabled because it is launched itself, and one that is not of fleet is left alone.
 */
export function startedAlone(
  names: ReadonlySet<string>,
  units: readonly DesiredUnit[],
): readonly StartedAlone[] {
  const launched = new Map(
    units.filter(({ target }) => target === 'launched').map((unit) => [unit.name, unit]),
  );
  return [...names].flatMap((name) => {
    const text = launched.get(name)?.text ?? '';
    if (!text.includes('Also')) return [];
    const { also } = readInstall(parseUnitFile(text), parseUnitName(name));
    const missing = also.filter((other) => !launched.has(other));
    return missing.length === 0 ? [] : [{ unit: name, also: missing }];
  });
}
