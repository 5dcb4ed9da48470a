import { FLEET_OPTIONS } from './placement.ts';
import { parseUnitFile } from './unit-file.ts';

/** The options of [X-Fleet] that say which units a folder wants. They do not change how a unit runs. */
const FOLDER_OPTIONS = new Set<string>(
  FLEET_OPTIONS.filter(({ effect }) => effect === 'folder').map(({ name }) => name),
);

/**
 * Whether two different unit files differ only in `Target=` and `Instances=`. Such a difference does not restart a unit:
 * the instances of a template stay up when it gets another one.
 * @throws FleetError `unit-file`
 */
export function differOnlyInFolderOptions(one: string, other: string): boolean {
  const [first, second] = [linesWithout(one), linesWithout(other)];
  if (first === undefined && second === undefined) return false;
  return (first ?? one).trimEnd() === (second ?? other).trimEnd();
}

/** The text without these options, and without the sections that had only them; undefined if it has none of them. */
function linesWithout(text: string): string | undefined {
  const { options } = parseUnitFile(text);
  const isDropped = ({ section, name, value }: (typeof options)[number]): boolean =>
    section === 'X-Fleet' && FOLDER_OPTIONS.has(name) && !value.includes('\n');
  const dropped = new Set(options.filter(isDropped).map(({ line }) => line - 1));
  if (dropped.size === 0) return undefined;
  const lines = text.split('\n');
  const headers = [...lines.keys()].filter((index) => lines[index]?.trim().startsWith('['));
  const emptied = headers.filter((header) => {
    const end = headers.find((next) => next > header) ?? lines.length;
    const inside = lines.slice(header + 1, end).map((line, at) => ({ line, index: header + 1 + at }));
    const kept = inside.filter(({ line, index }) => !dropped.has(index) && line.trim() !== '');
    return kept.length === 0 && inside.some(({ index }) => dropped.has(index));
  });
  return lines.filter((_, index) => !dropped.has(index) && !emptied.includes(index)).join('\n');
}
