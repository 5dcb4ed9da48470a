import { createTwoFilesPatch, FILE_HEADERS_ONLY } from 'diff';
import type { DifferingFile } from '../operations/unit-result.ts';

/** So many lines may differ: finding the shortest way from one text to another is quadratic in them. */
const MAX_EDITS = 2000;

/** How a local file differs from the registry's text, as a unified diff that `patch` reads. */
export function differenceLines({ unit, path, registryText, fileText }: DifferingFile): readonly string[] {
  const patch = createTwoFilesPatch(`registry:${unit}`, path, registryText, fileText, undefined, undefined, {
    context: 3,
    headerOptions: FILE_HEADERS_ONLY,
    maxEditLength: MAX_EDITS,
  });
  if (patch === undefined) return [`More than ${MAX_EDITS} lines differ between "${path}" and the registry`];
  return patch.replace(/\n$/, '').split('\n');
}
