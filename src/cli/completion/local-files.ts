import { readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';

type Word = { readonly word: string };

/** Files below `cwd` whose path may begin with `typed`, as far as the next folder; folders end in `/`. */
export async function localFiles(
  typed: string,
  cwd: string,
  wanted: (name: string) => boolean,
): Promise<readonly Word[]> {
  const folder = typed.slice(0, typed.lastIndexOf('/') + 1);
  const start = typed.slice(folder.length);
  const place = resolve(cwd, folder);
  const entries = await readdir(place, { withFileTypes: true }).catch(() => []);
  const near = entries.filter(
    ({ name }) => name.startsWith(start) && !(start === '' && name.startsWith('.')),
  );
  const found = await Promise.all(
    near.map(async (entry): Promise<readonly Word[]> => {
      const isFolder =
        entry.isDirectory() || (entry.isSymbolicLink() && (await isFolderAt(join(place, entry.name))));
      if (isFolder) return [{ word: `${folder}${entry.name}/` }];
      return wanted(entry.name) ? [{ word: `${folder}${entry.name}` }] : [];
    }),
  );
  return found.flat();
}

function isFolderAt(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
