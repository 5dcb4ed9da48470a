import { type Command, OUTPUT } from '../command.ts';
import { EXIT } from '../exit-status.ts';

export const catCommand: Command = {
  name: 'cat',
  arguments: '<unit>',
  summary: 'Print the unit file from the registry',
  description:
    'Prints the unit file exactly as it was submitted; on a terminal, control characters are escaped. No machine is contacted.',
  options: [OUTPUT],
  examples: [
    ['fleetctl cat hello.service', 'print it'],
    ['fleetctl cat hello > hello.service', 'restore a lost file'],
  ],
  async run({ arguments: [unit = ''], options, flags, streams }) {
    const [{ withRegistry }, { cat, textOf }, { jsonText, textsJson }] = await Promise.all([
      import('../context.ts'),
      import('../../operations/cat.ts'),
      import('../../output/json.ts'),
    ]);
    const units = await withRegistry(flags, streams, (registry) => cat(registry, unit));
    if (options.output === 'json') streams.out(jsonText(textsJson(units)));
    else streams.exact(textOf(units));
    return EXIT.done;
  },
};
