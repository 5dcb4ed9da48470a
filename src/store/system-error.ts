import { statfsSync } from 'node:fs';
import { FleetError } from '../base/errors.ts';

/** True for an error of the operating system with this name, such as `ENOENT`. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** The result of `action`, or undefined when it throws: for actions whose failure does not matter. */
export function attempt<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}

/** Converts an error of the operating system to `registry-unavailable`; returns any other error unchanged. */
export function unavailable(verb: 'read' | 'write', folder: string, error: unknown): unknown {
  if (!(error instanceof Error && 'syscall' in error && 'code' in error)) return error;
  return new FleetError(
    'registry-unavailable',
    `could not ${verb} the registry "${folder}": ${error.message}`,
    {
      hint: hintFor(`${error.code}`, folder) ?? 'check the disk that holds it',
      cause: error,
    },
  );
}

/** ENOSPC means either no free space or no free inodes. */
function hintFor(code: string, folder: string): string | undefined {
  const disk = code === 'ENOSPC' ? attempt(() => statfsSync(folder)) : undefined;
  return disk !== undefined && disk.files > 0 && disk.ffree === 0 ? NO_INODES : HINTS[code];
}

const NOT_PERMITTED = 'run as a user who may use that folder, or name another one in the configuration';
const NOT_A_FOLDER = 'name a folder in the configuration: something else is there';
const NO_SPACE = 'make room on that file system and try again';
const NO_INODES = 'remove files from that file system, which has no inodes left (df -i), and try again';
const READ_ONLY = 'name a folder in the configuration that can be written to';
const NO_LINKS = 'name a folder in the configuration on a file system with hard links';

const HINTS: Readonly<Record<string, string>> = {
  EACCES: NOT_PERMITTED,
  EPERM: NOT_PERMITTED,
  EROFS: READ_ONLY,
  ENOTDIR: NOT_A_FOLDER,
  EEXIST: NOT_A_FOLDER,
  EISDIR: NOT_A_FOLDER,
  ENOSPC: NO_SPACE,
  EDQUOT: NO_SPACE,
  ENOTSUP: NO_LINKS,
  EOPNOTSUPP: NO_LINKS,
};
