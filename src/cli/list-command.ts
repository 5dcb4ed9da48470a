import { FleetError } from '../base/errors.ts';
import type { Listing } from '../operations/unreachable.ts';
import type { ListingView } from '../output/listings.ts';
import type { Edges } from '../reconcile/reconcile.ts';
import { type Call, type CommandOption, writeLines } from './command.ts';
import { EXIT, type ExitStatus } from './exit-status.ts';

/** The options that every listing has. */
export function listOptions(fields: string): readonly CommandOption[] {
  return [
    { flags: '-l, --full', description: 'print ids and hashes whole' },
    { flags: '--no-legend', description: 'leave out the line of titles' },
    {
      flags: '--fields <fields>',
      description: `comma-separated columns: ${fields}`,
      // `tmachine (or target)` is one field with a remark.
      list: fields.split(', ').map((field) => field.replace(/ .*/, '')),
    },
    { flags: '-o, --output <format>', description: 'table or json', choices: ['table', 'json'] },
  ];
}

/** What every listing does around its operation: check the fields, ask, print, tell who did not answer. */
export async function runListing<Row>(
  call: Call,
  view: ListingView<Row>,
  list: (edges: Edges) => Promise<Listing<Row>>,
  toJson: (listing: Listing<Row>) => string,
): Promise<ExitStatus> {
  const { options, flags, streams } = call;
  const table = await import('../output/table.ts');
  const columns = table.selectColumns(view.columns, fieldsOf(options.fields) ?? view.fields);
  const { withEdges } = await import('./context.ts');
  const listing = await withEdges(flags, streams, list);
  const text =
    options.output === 'json'
      ? toJson(listing)
      : table.renderTable(columns, listing.rows, {
          legend: options.legend !== false,
          full: options.full === true,
        });
  streams.out(text);
  const { unreachableLines } = await import('../output/report.ts');
  writeLines(streams.err, unreachableLines(listing.unreachable));
  return EXIT.done;
}

/** The names given to --fields; undefined without it. Throws FleetError `usage`. */
export function fieldsOf(option: string | boolean | undefined): readonly string[] | undefined {
  if (typeof option !== 'string') return undefined;
  const fields = option.split(',').map((field) => field.trim());
  if (fields.every((field) => field !== '')) return fields;
  throw new FleetError('usage', `Cannot read --fields: "${option}" has an empty name`, {
    hint: 'Separate names with commas: --fields unit,machine',
  });
}
