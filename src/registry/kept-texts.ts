import { isFleetError } from '../base/errors.ts';
import type { DesiredUnit, Held, KeptText } from '../cluster/snapshot.ts';
import { differOnlyInFolderOptions } from '../unit/folder-options.ts';
import { parseUnitFile } from '../unit/unit-file.ts';
import { parseUnitName } from '../unit/unit-name.ts';
import type { StoredUnit } from './edit.ts';
import { readable, readText } from './read-text.ts';
import type { HistoryEntry, RegistryView } from './view.ts';

/**
 * The older texts of a unit whose text is held: those in `digests`, which machines have, and the last one since the unit
 * was created that is not known to have failed. A text that is missing or invalid is left out.
 */
export function keptTexts(
  view: RegistryView,
  unit: DesiredUnit,
  digests: ReadonlySet<string>,
): readonly KeptText[] {
  const entries = view.history(unit.name).filter(({ digest }) => digest !== unit.digest);
  const verdicts = view.verdicts(unit.name);
  const base = sinceDestroy(view, unit.name).findLast(
    ({ digest }) => digest !== unit.digest && verdicts[digest]?.kind !== 'failed',
  )?.digest;
  const name = parseUnitName(unit.name);
  const hashes = new Map(entries.map(({ digest, hash }) => [digest, hash]));
  return [...hashes].flatMap(([digest, hash]): readonly KeptText[] => {
    if (digest !== base && !digests.has(digest)) return [];
    const older = readable(() => {
      const text = view.text(digest);
      return {
        ...unit,
        text,
        hash,
        digest,
        ...readText(name, () => parseUnitFile(text, unit.name), undefined),
      };
    });
    return isFleetError(older) ? [] : [{ unit: older, isBase: digest === base }];
  });
}

/** The unit with its last text since it was created that is not known to have failed, except for the present one. */
export function lastSoundText(view: RegistryView, unit: DesiredUnit): DesiredUnit | undefined {
  return keptTexts(view, unit, new Set()).find(({ isBase }) => isBase)?.unit;
}

/** The unit with the older text of that digest. */
export function olderText(view: RegistryView, unit: DesiredUnit, digest: string): DesiredUnit | undefined {
  return keptTexts(view, unit, new Set([digest])).find((each) => each.unit.digest === digest)?.unit;
}

/** The texts of a unit since its name was last destroyed, oldest first. */
export function sinceDestroy(view: RegistryView, name: string): readonly HistoryEntry[] {
  const entries = view.history(name);
  const first = entries.findLastIndex(({ afterDestroy }) => afterDestroy === true);
  return first < 0 ? entries : entries.slice(first);
}

/** The hold of a text of a unit, or else of a text that has failed and differs from it only in `Target=` and `Instances=`. */
export function heldText(
  view: RegistryView,
  { name, text, digest }: Pick<StoredUnit, 'name' | 'text' | 'digest'>,
): Held | undefined {
  const verdicts = view.verdicts(name);
  const same = Object.keys(verdicts).find((failed) => {
    if (digest in verdicts || text === undefined || verdicts[failed]?.held === undefined)
      return failed === digest;
    return readable(() => differOnlyInFolderOptions(view.text(failed), text)) === true;
  });
  return verdicts[same ?? digest]?.held as Held | undefined;
}
