import type { Command } from '../command.ts';
import { listOptions, runListing, WATCH } from '../list-command.ts';

export const listUnitFilesCommand: Command = {
  name: 'list-unit-files',
  arguments: '',
  summary: 'List the units of the registry',
  description:
    'DSTATE is the target state, STATE the actual state, TMACHINE the assigned machine. For global units, TMACHINE counts the feasible machines that have the unit.',
  options: [...listOptions('unit, hash, dstate, state, tmachine (or target), global, desc'), ...WATCH],
  examples: [
    ['fleetctl list-unit-files', 'all units of the registry'],
    ['fleetctl list-unit-files --full', 'with full hashes and machine ids'],
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
