import { type Command, OUTPUT, printAnswer } from '../command.ts';
import { EXIT } from '../exit-status.ts';
import { VERSION, VERSION_LINE } from '../version.ts';

export const versionCommand: Command = {
  name: 'version',
  arguments: '',
  summary: 'Print the version',
  description: 'Same as fleetctl --version.',
  options: [OUTPUT],
  examples: [['fleetctl version', 'print it']],
  async run({ options, streams }) {
    await printAnswer({ options, streams }, { out: [VERSION_LINE], err: [] }, () => ({ version: VERSION }));
    return EXIT.done;
  },
};
