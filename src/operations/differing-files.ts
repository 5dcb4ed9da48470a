import type { Registry } from '../registry/registry.ts';
import { expandGlobs } from './expand-globs.ts';
import { findUnit } from './find-unit.ts';
import { readLocalUnits } from './local-file.ts';
import type { SubmitRequest } from './submit.ts';
import type { DifferingFile } from './unit-result.ts';

/** The local files of a request that differ from the registry, before it is carried out. Throws as the request would. */
export async function differingFiles(
  registry: Pick<Registry, 'load'>,
  request: SubmitRequest,
): Promise<readonly DifferingFile[]> {
  const { units, cwd } = (await expandGlobs(registry, request, 'with templates')).request;
  const [locals, view] = await Promise.all([readLocalUnits(units, cwd), registry.load()]);
  return locals.flatMap((local) => {
    const found = findUnit(local, view);
    return found.kind === 'known' && found.differing !== undefined ? [found.differing] : [];
  });
}
