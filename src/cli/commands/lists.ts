import { FleetError } from '../../base/errors.ts';
import type { Listing } from '../../operations/listing.ts';
import type { SnapshotSource } from '../../operations/observe-cluster.ts';
import { fieldSentences, type ListingView, listingJson } from '../../output/field.ts';
import { MACHINES, UNIT_FILES, UNITS } from '../../output/listings.ts';
import { type Call, type Command, type CommandOption, printJson } from '../command.ts';
import { EXIT } from '../exit-status.ts';
import { TABLE_OUTPUT } from '../options.ts';
import { writeLines } from '../streams.ts';

/** The options of everything that prints a table. */
export function listOptions({ fields }: ListingView<never>): readonly CommandOption[] {
  const names = fields.map(({ field }) => field);
  return [
    { flags: '-l, --full', description: 'print ids and hashes in full' },
    { flags: '--no-legend', description: 'omit the header line' },
    {
      flags: '--fields <fields>',
      description: `comma-separated columns: ${names.join(', ')}`,
      list: names,
    },
    TABLE_OUTPUT,
  ];
}

/** The options of lists that can be repeated. */
const WATCH: readonly CommandOption[] = [
  {
    flags: '-w, --watch',
    description:
      'update until Ctrl-C; in a pipe, print the list again after every change, with -o json as one object per line',
  },
  {
    flags: '--interval <duration>',
    description: 'interval between updates of --watch (default 2s)',
  },
];

/** Lists once, or repeatedly with `--watch`. The options are checked before anything is read. */
async function runListing<Row>(
  call: Call,
  view: ListingView<Row>,
  list: (source: SnapshotSource) => Promise<Listing<Row>>,
): Promise<number> {
  const { options, streams } = call;
  const render = await tableOf(view, options);
  if (options.watch === true || options.interval !== undefined) {
    const { watchListing } = await import('../watch.ts');
    return watchListing(call, view, list, render);
  }
  const { withSnapshotSource } = await import('../snapshot-source.ts');
  const listing = await withSnapshotSource(call, list);
  if (options.output === 'json') await printJson(streams, listingJson(view, listing));
  else streams.out(await render(listing.rows));
  const { missingLines } = await import('../../output/report.ts');
  writeLines(streams.err, missingLines(listing));
  return EXIT.done;
}

/** The table that the options ask for, as a function of its rows. Throws FleetError `usage`. */
export async function tableOf<Row>(
  { fields, defaults }: ListingView<Row>,
  options: Call['options'],
): Promise<(rows: readonly Row[]) => Promise<string>> {
  const { renderTable, selectColumns } = await import('../../output/table.ts');
  const columns = selectColumns(fields, fieldsOf(options.fields) ?? defaults);
  const shape = { legend: options.legend !== false, full: options.full === true };
  return (rows) => renderTable(columns, rows, shape);
}

/** The names given to --fields; undefined without it. */
function fieldsOf(option: string | boolean | undefined): readonly string[] | undefined {
  if (typeof option !== 'string') return undefined;
  const fields = option.split(',').map((field) => field.trim());
  if (fields.every((field) => field !== '')) return fields;
  throw new FleetError('usage', `Cannot read --fields: "${option}" has an empty name`, {
    hint: 'Separate names with commas: --fields unit,machine',
  });
}

export const listUnitsCommand: Command = {
  name: 'list-units',
  arguments: '',
  summary: 'List units with their states on all machines',
  topic: 'lists',
  isReadOnly: true,
  description: `Shows one row per unit and machine. Units of an unreachable machine are "unknown unreachable". ${fieldSentences(UNITS)}`,
  options: [...listOptions(UNITS), ...WATCH],
  examples: [
    ['fleetctl list-units', 'all units'],
    ['fleetctl list-units --fields unit,active --no-legend', 'for scripts'],
    ['fleetctl list-units --watch', 'live, until Ctrl-C'],
    ['fleetctl list-units -o json', 'every field, as JSON'],
  ],
  run: async (call) => runListing(call, UNITS, (await import('../../operations/list-units.ts')).listUnits),
};

export const listUnitFilesCommand: Command = {
  name: 'list-unit-files',
  arguments: '',
  summary: 'List the units of the registry',
  topic: 'states',
  isReadOnly: true,
  description: fieldSentences(UNIT_FILES),
  options: [...listOptions(UNIT_FILES), ...WATCH],
  examples: [
    ['fleetctl list-unit-files', 'all units of the registry'],
    ['fleetctl list-unit-files --full', 'with full hashes and machine ids'],
  ],
  run: async (call) =>
    runListing(call, UNIT_FILES, (await import('../../operations/list-unit-files.ts')).listUnitFiles),
};

export const listMachinesCommand: Command = {
  name: 'list-machines',
  arguments: '',
  summary: 'List the machines of the cluster',
  topic: 'lists',
  isReadOnly: true,
  description: fieldSentences(MACHINES),
  options: [...listOptions(MACHINES), ...WATCH],
  examples: [
    ['fleetctl list-machines', 'all machines'],
    ['fleetctl list-machines --fields name,ip,state', 'names as in fleet.conf'],
    ['fleetctl list-machines --watch --fields name,units,load,memory', 'live resource usage'],
  ],
  run: async (call) =>
    runListing(call, MACHINES, (await import('../../operations/list-machines.ts')).listMachines),
};
