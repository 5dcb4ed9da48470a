import type { Command } from '../command.ts';
import { EXIT } from '../exit-status.ts';
import { fieldsOf, listOptions } from '../list-command.ts';

export const historyCommand: Command = {
  name: 'history',
  arguments: '<unit>',
  summary: 'List all versions of a unit file',
  description:
    'Shows the newest version first, with its hash, time (UTC), author and the result of its last start (good, failed or untried). Destroyed units have a history too. No machine is contacted.',
  options: listOptions('hash, time, who, current, result, digest (SHA-256 of the file)'),
  examples: [
    ['fleetctl history web.service', 'times and authors of changes'],
    ['fleetctl history web.service -o json', 'the same, as JSON'],
  ],
  async run({ arguments: [unit = ''], options, flags, streams }) {
    const [{ withRegistry }, { history }, { HISTORY, historyJson }, table, { jsonText }] = await Promise.all([
      import('../context.ts'),
      import('../../operations/history.ts'),
      import('../../output/history.ts'),
      import('../../output/table.ts'),
      import('../../output/json.ts'),
    ]);
    const columns = table.selectColumns(HISTORY.columns, fieldsOf(options.fields) ?? HISTORY.fields);
    const found = await withRegistry(flags, streams, (registry) => history(registry, unit));
    const shape = { legend: options.legend !== false, full: options.full === true };
    streams.out(
      options.output === 'json'
        ? jsonText(historyJson(found))
        : table.renderTable(columns, found.rows, shape),
    );
    return EXIT.done;
  },
};
