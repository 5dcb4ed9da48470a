import { access, constants } from 'node:fs/promises';
import { dirname } from 'node:path';
import { recordsPath } from './folder.ts';
import { hasCode, unavailable } from './system-error.ts';

/**
 * Rejects with `registry-unavailable` where a store in this folder could not be written; makes and changes nothing. A
 * folder that does not exist is made by the first commit, in the one above it.
 */
export async function probeFolder(folder: string): Promise<void> {
  try {
    await access(await nearestFolder(folder), constants.W_OK | constants.X_OK);
    await access(recordsPath(folder), constants.R_OK).catch((error) => {
      if (!hasCode(error, 'ENOENT')) throw error;
    });
  } catch (error) {
    throw unavailable('write', folder, error);
  }
}

async function nearestFolder(folder: string): Promise<string> {
  try {
    await access(folder, constants.F_OK);
    return folder;
  } catch (error) {
    if (!hasCode(error, 'ENOENT') || dirname(folder) === folder) throw error;
    return nearestFolder(dirname(folder));
  }
}
