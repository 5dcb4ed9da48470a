import { createTwoFilesPatch, FILE_HEADERS_ONLY } from 'diff';
import type { DifferingFile } from '../operations/unit-result.ts';

/** The limit of differing lines, because the time for the shortest difference is quadratic in them. */
const MAX_EDITS = 2000;

/** The difference between the registry's text and a local file, as a unified diff for patch(1). */
export function differenceLines({ unit, path, registryText, fileText }: DifferingFile): readonly string[] {
  const patch = createTwoFilesPatch(`registry:${unit}`, path, registryText, fileText, undefined, undefined, {
    context: 3,
    headerOptions: FILE_HEADERS_ONLY,
    maxEditLength: MAX_EDITS,
  });
  if (patch === undefined) return [`More than ${MAX_EDITS} lines differ between "${path}" and the registry`];
  return patch.replace(/\n$/, '').split('\n');
}
