import type { Command } from '../command.ts';
import { listOptions, runListing, WATCH } from '../list-command.ts';

export const listUnitFilesCommand: Command = {
  name: 'list-unit-files',
  arguments: '',
  summary: 'Show every unit of the registry, wanted state beside actual state',
  description:
    'DSTATE is what is wanted, STATE how far it has come; TMACHINE is where, or for a global unit on how many of the machines it fits.',
  options: [...listOptions('unit, hash, dstate, state, tmachine (or target), global, desc'), ...WATCH],
  examples: [
    ['fleetctl list-unit-files', 'all units of the registry'],
    ['fleetctl list-unit-files --full', 'with whole hashes and machine ids'],
  ],
  async run(call) {
    const [{ listUnitFiles }, { UNIT_FILES }, { unitFilesJson }] = await Promise.all([
      import('../../operations/list-unit-files.ts'),
      import('../../output/listings.ts'),
      import('../../output/json.ts'),
    ]);
    return runListing(call, UNIT_FILES, listUnitFiles, unitFilesJson);
  },
};
