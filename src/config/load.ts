import type { Config, ConfigRequest } from './config.ts';
import { findConfig } from './locate.ts';

/**
 * Finds, reads and checks the configuration. Throws FleetError `config` that names file, line, section, key, the
 * value and what was expected, or the flag or variable.
 */
export async function loadConfig(request: ConfigRequest): Promise<Config> {
  const { flags, env, cwd, home } = request;
  const file = await findConfig({ flag: flags.config, env, cwd, home });
  // Only commands that need a configuration pay for loading ini and zod.
  const [{ parseSections }, { readConfig }] = await Promise.all([import('./parse.ts'), import('./read.ts')]);
  return readConfig(file.path, parseSections(file.path, file.text), request);
}
