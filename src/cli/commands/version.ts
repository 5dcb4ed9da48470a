import type { Command } from '../command.ts';
import { EXIT } from '../exit-status.ts';
import { VERSION_LINE } from '../version.ts';

export const versionCommand: Command = {
  name: 'version',
  arguments: '',
  summary: 'Print the version',
  description: 'The same as fleetctl --version.',
  options: [],
  examples: [['fleetctl version', 'print it']],
  async run({ streams }) {
    streams.out(`${VERSION_LINE}\n`);
    return EXIT.done;
  },
};
