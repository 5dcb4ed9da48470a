import type { Command } from '../command.ts';
import { EXIT } from '../exit-status.ts';

export const catCommand: Command = {
  name: 'cat',
  arguments: '<unit>',
  summary: 'Print the text of a unit, as it was submitted',
  description: 'Prints the unit file from the registry to the byte. No machine is contacted.',
  options: [],
  examples: [
    ['fleetctl cat hello.service', 'print it'],
    ['fleetctl cat hello > hello.service', 'get a lost file back'],
  ],
  async run({ arguments: [unit = ''], flags, streams }) {
    const [{ withRegistry }, { cat }] = await Promise.all([
      import('../context.ts'),
      import('../../operations/cat.ts'),
    ]);
    streams.out(await withRegistry(flags, streams, (registry) => cat(registry, unit)));
    return EXIT.done;
  },
};
