import { fieldSentences } from '../../output/field.ts';
import { HISTORY, historyJson } from '../../output/listings.ts';
import type { Command } from '../command.ts';
import { EXIT } from '../exit-status.ts';
import { listOptions, tableOf } from '../list-command.ts';

export const historyCommand: Command = {
  name: 'history',
  arguments: '<unit>',
  summary: 'List all versions of a unit file',
  description: `Shows the newest version first. Destroyed units have a history too. No machine is contacted. ${fieldSentences(HISTORY)}`,
  options: listOptions(HISTORY),
  examples: [
    ['fleetctl history web.service', 'times and authors of changes'],
    ['fleetctl history web.service -o json', 'the same, as JSON'],
  ],
  async run({ arguments: [unit = ''], options, flags, streams }) {
    const [{ withRegistry }, { history }, { jsonText }] = await Promise.all([
      import('../context.ts'),
      import('../../operations/history.ts'),
      import('../../output/json.ts'),
    ]);
    const render = await tableOf(HISTORY, options);
    const found = await withRegistry(flags, streams, (registry) => history(registry, unit));
    streams.out(options.output === 'json' ? jsonText(historyJson(found)) : render(found.rows));
    return EXIT.done;
  },
};
