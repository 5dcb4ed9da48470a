import { getSystemErrorMap } from 'node:util';

/** What a system call that failed says, in the words of strerror(3); undefined for any other error. */
export function systemErrorText(error: unknown): string | undefined {
  const { errno } = error as NodeJS.ErrnoException;
  return typeof errno === 'number' ? getSystemErrorMap().get(errno)?.[1] : undefined;
}

/** What went wrong: the words of the system, else those of the error. */
export function causeText(error: unknown): string {
  return systemErrorText(error) ?? (error instanceof Error ? error.message : String(error));
}

/** What to do on this computer about a system call that failed; undefined where that depends on what was done. */
export function remedyOf(error: unknown): string | undefined {
  const { code } = error as NodeJS.ErrnoException;
  return code === undefined ? undefined : REMEDIES[code];
}

/** By the code of the error. */
const REMEDIES: Readonly<Record<string, string>> = {
  EMFILE: 'Raise the limit of open files: ulimit -n 1024',
  ENFILE: 'This computer has as many open files as its kernel allows: sysctl fs.file-nr',
  ENOMEM: 'This computer has too little memory left: free -h; ulimit -v',
  EAGAIN: 'Raise the limit of processes: ulimit -u',
  ENOSPC: 'Make room there: df -h; inodes: df -i',
  EDQUOT: 'Make room there: quota',
  EROFS: 'Its file system is read-only: findmnt',
  EACCES: 'Check the permissions of it, and of the folders above it',
  EPERM: 'Check the permissions of it, and of the folders above it',
};
