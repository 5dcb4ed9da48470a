import { spawnSync } from 'node:child_process';

/** The POSIX shells that a machine may have as `/bin/sh` and that are installed here; `/bin/sh` always is. */
export const SHELLS: readonly string[] = ['/bin/sh', 'bash --posix', 'busybox sh'].filter(
  (shell) => spawnSync('/bin/sh', ['-c', `${shell} -c :`], { stdio: 'ignore' }).status === 0,
);
