import { spawnSync } from 'node:child_process';

/**
 * The POSIX shells that a machine may have as `/bin/sh` and that are installed here; `/bin/sh` always is. A bash that
 * is called sh reads no ~/.bashrc.
 */
export const SHELLS: readonly string[] = ['/bin/sh', 'bash --posix --norc', 'busybox sh'].filter(
  (shell) => spawnSync('/bin/sh', ['-c', `${shell} -c :`], { stdio: 'ignore' }).status === 0,
);
