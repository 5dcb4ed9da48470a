import type { RegistryView } from '../../registry/view.ts';
import { parseUnitName, templateOf } from '../../unit/unit-name.ts';
import type { DifferingFile, UnitProblem } from '../unit-result.ts';
import { editsOf } from './edits.ts';
import type { WantedSet } from './wanted.ts';

/** The texts that applying a folder would store, beside those of the registry. */
export type TextDifferences = {
  readonly files: readonly DifferingFile[];
  readonly problems: readonly UnitProblem[];
};

/** The differences between the files of a folder and the registry; an instance with the file of its template has none. */
export function textDifferences(wanted: WantedSet, view: RegistryView): TextDifferences {
  const { units, problems } = editsOf(wanted, view, {
    adopt: true,
    prune: false,
    pruneLimit: undefined,
    retry: true,
  });
  const files = units.flatMap(({ name, text, digest }): readonly DifferingFile[] => {
    const known = view.units.get(name);
    const found = wanted.units.get(name);
    if (known?.digest === digest || found === undefined) return [];
    if (found.local.own === undefined && templateOf(parseUnitName(name)) !== undefined) return [];
    return [{ unit: name, path: found.path, registryText: known?.text ?? '', fileText: text }];
  });
  return { files, problems };
}
