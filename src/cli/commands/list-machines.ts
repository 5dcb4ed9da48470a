import type { Command } from '../command.ts';
import { listOptions, runListing } from '../list-command.ts';

export const listMachinesCommand: Command = {
  name: 'list-machines',
  arguments: '',
  summary: 'Show every machine of fleet.conf',
  description: 'A machine that never answered has no known id: "-".',
  options: listOptions('machine, name, ip, metadata, state'),
  examples: [
    ['fleetctl list-machines', 'all machines'],
    ['fleetctl list-machines --fields name,ip,state', 'with the names of fleet.conf'],
  ],
  async run(call) {
    const [{ listMachines }, { MACHINES }, { machinesJson }] = await Promise.all([
      import('../../operations/list-machines.ts'),
      import('../../output/listings.ts'),
      import('../../output/json.ts'),
    ]);
    return runListing(call, MACHINES, listMachines, machinesJson);
  },
};
