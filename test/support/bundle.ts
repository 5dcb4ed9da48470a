import { basename, join } from 'node:path';
import { rolldown } from 'rolldown';

/** Makes a program of a TypeScript file, for a process of its own; returns its path in `folder`. */
export async function bundle(source: URL, folder: string): Promise<string> {
  const file = join(folder, `${basename(source.pathname, '.ts')}.mjs`);
  const built = await rolldown({ input: source.pathname, platform: 'node' });
  await built.write({ file, format: 'esm', codeSplitting: false });
  await built.close();
  return file;
}
