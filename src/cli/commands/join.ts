import type { Command } from '../command.ts';
import { DRY_RUN } from '../options.ts';

export const joinCommand: Command = {
  name: 'join',
  arguments: '<address>',
  summary: 'Write a fleet.conf for the cluster of a machine',
  topic: 'operators',
  description:
    'Contacts one machine, as HOST, USER@HOST or USER@HOST:PORT, verifies its host key, and reads the registry of its cluster from the voters. Then it writes a fleet.conf with all machines and the given options for SSH. An existing fleet.conf is never replaced. The cluster must have "registry = machines". Name any machine that fleet has changed at least once. A machine that is no voter names the voters, whose host keys are verified too. Nothing is changed on machines.',
  options: [{ ...DRY_RUN, description: 'print the fleet.conf and write nothing' }],
  examples: [
    ['fleetctl join core@10.10.1.1', 'write fleet.conf in this folder'],
    ['fleetctl join --config ~/.config/fleet/fleet.conf core@10.10.1.1', 'write another file'],
    ['fleetctl join --dry-run core@10.10.1.1:2222', 'print it'],
  ],
  async run(call) {
    const [address = ''] = call.arguments;
    const { join } = await import('../machines/join.ts');
    return join(call, address);
  },
};
