import bash from './bash.sh';
import fish from './fish.sh';
import zsh from './zsh.sh';

/** The completion script of each shell. */
export const SCRIPTS: ReadonlyMap<string, string> = new Map(Object.entries({ bash, zsh, fish }));
