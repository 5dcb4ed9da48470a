import { readdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { globMatcher } from '../base/glob.ts';
import { compareText } from '../base/text.ts';
import type { Registry } from '../registry/registry.ts';
import { isTemplate, parseUnitName, unitNameProblem } from '../unit/unit-name.ts';
import { globOf } from './local-file.ts';
import { noSuchUnit } from './select-units.ts';
import type { SubmitRequest } from './submit.ts';
import type { UnitProblem } from './unit-result.ts';

/**
 * The request with every glob replaced by the units it matches: unit files of its folder and, where it names no
 * folder, units of the registry. `web@*` stands for `web@*.service` too. Templates are matched where asked for. A
 * glob that matches none is a problem.
 */
export async function expandGlobs<Request extends SubmitRequest>(
  registry: Pick<Registry, 'load'>,
  request: Request,
  templates: 'with templates' | 'without templates',
): Promise<{ readonly request: Request; readonly unmatched: readonly UnitProblem[] }> {
  if (request.units.every((argument) => globOf(argument) === undefined)) return { request, unmatched: [] };
  const { unitNames } = await registry.load();
  const unmatched: UnitProblem[] = [];
  const units: string[] = [];
  for (const argument of request.units) {
    if (globOf(argument) === undefined) {
      units.push(argument);
      continue;
    }
    const all = await expand(argument, request.cwd, unitNames);
    const isPattern = (path: string): boolean => isTemplate(parseUnitName(basename(path)));
    const found = templates === 'with templates' ? all : all.filter((path) => !isPattern(path));
    if (found.length === 0)
      unmatched.push(
        noSuchUnit(
          argument,
          all.map((path) => basename(path)),
        ),
      );
    units.push(...found);
  }
  return { request: { ...request, units: [...new Set(units)] }, unmatched };
}

async function expand(argument: string, cwd: string, known: readonly string[]): Promise<readonly string[]> {
  const folder = dirname(argument);
  const patterns = [basename(argument), `${basename(argument)}.service`].map((glob) => globMatcher(glob));
  const files = (await unitFiles(resolve(cwd, folder))).map((name) => join(folder, name));
  return [...new Set([...files, ...(argument.includes('/') ? [] : known)])]
    .filter((path) => patterns.some((matches) => matches(basename(path))))
    .toSorted(compareText);
}

/** The names of files there that are unit names with their suffix; a folder that cannot be read has none. */
async function unitFiles(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch(() => []);
  return names.filter((name) => unitNameProblem(name) === undefined && parseUnitName(name).text === name);
}
