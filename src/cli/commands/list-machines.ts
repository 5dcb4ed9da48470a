import type { Command } from '../command.ts';
import { listOptions, runListing, WATCH } from '../list-command.ts';

export const listMachinesCommand: Command = {
  name: 'list-machines',
  arguments: '',
  summary: 'Show every machine of fleet.conf',
  description:
    'A machine that never answered has no known id: "-". UNITS counts what fleet put there, LOAD is that of the last 1, 5 and 15 minutes, MEMORY used of all. LASTSEEN is now, or for a machine that does not answer, when it was first missed.',
  options: [
    ...listOptions(
      'machine, name, ip, metadata, state, cordon, units, systemd, load, memory, uptime, lastseen',
    ),
    ...WATCH,
  ],
  examples: [
    ['fleetctl list-machines', 'all machines'],
    ['fleetctl list-machines --fields name,ip,state', 'with the names of fleet.conf'],
    ['fleetctl list-machines --watch --fields name,units,load,memory', 'how busy they are, live'],
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
