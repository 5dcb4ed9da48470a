import { execFileSync } from 'node:child_process';
import { cpSync } from 'node:fs';
import { basename, join } from 'node:path';
import { rolldown } from 'rolldown';

const ROOT = new URL('../..', import.meta.url).pathname;

/** Bundles a TypeScript file as a program, to run it in another process; returns its path in `folder`. */
export async function bundle(source: URL, folder: string, format: 'esm' | 'cjs' = 'esm'): Promise<string> {
  const file = join(folder, `${basename(source.pathname, '.ts')}.${format === 'esm' ? 'mjs' : 'cjs'}`);
  const built = await rolldown({ input: source.pathname, platform: 'node' });
  await built.write({ file, format, codeSplitting: false });
  await built.close();
  return file;
}

/** Builds both programs in `folder`, because `npm run build` empties `dist` even while a program from there runs. */
export function buildProgram(folder: string): void {
  const command = join(ROOT, 'node_modules/.bin/rolldown');
  execFileSync(command, ['--config', 'src/rolldown.config.js', '--dir', join(folder, 'dist')], {
    cwd: ROOT,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  cpSync(join(ROOT, 'bin'), join(folder, 'bin'), { recursive: true });
}
