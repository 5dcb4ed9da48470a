import type { Command } from '../command.ts';
import { listOptions, runListing, WATCH } from '../list-command.ts';

export const listMachinesCommand: Command = {
  name: 'list-machines',
  arguments: '',
  summary: 'List the machines of fleet.conf',
  description:
    'MACHINE is "-" for a machine that has never answered. UNITS counts units of fleet, LOAD covers the last 1, 5 and 15 minutes, MEMORY is used and total memory. LASTSEEN is now, or the time at which the machine became unreachable.',
  options: [
    ...listOptions(
      'machine, name, ip, metadata, state, cordon, units, systemd, load, memory, uptime, lastseen',
    ),
    ...WATCH,
  ],
  examples: [
    ['fleetctl list-machines', 'all machines'],
    ['fleetctl list-machines --fields name,ip,state', 'names as in fleet.conf'],
    ['fleetctl list-machines --watch --fields name,units,load,memory', 'live resource usage'],
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
