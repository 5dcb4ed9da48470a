import { formatDuration } from '../base/duration.ts';
import { FleetError } from '../base/errors.ts';
import type { Viewpoint } from '../operations/look.ts';
import type { Listing } from '../operations/unreachable.ts';
import type { ListingView } from '../output/listings.ts';
import type { Call, CommandOption } from './command.ts';
import { EXIT } from './exit-status.ts';
import { writeLines } from './streams.ts';

/** The options of everything that prints a table. */
export function listOptions(fields: string): readonly CommandOption[] {
  return [
    { flags: '-l, --full', description: 'print ids and hashes in full' },
    { flags: '--no-legend', description: 'omit the header line' },
    {
      flags: '--fields <fields>',
      description: `comma-separated columns: ${fields}`,
      // `tmachine (or target)` is one field with a remark.
      list: fields.split(', ').map((field) => field.replace(/ .*/, '')),
    },
    { flags: '-o, --output <format>', description: 'output format', choices: ['table', 'json'] },
  ];
}

/** The options of lists that can be looked at again and again. */
export const WATCH: readonly CommandOption[] = [
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

/** What every listing does around its operation: check the options, ask, print, tell who did not answer. */
export async function runListing<Row>(
  call: Call,
  view: ListingView<Row>,
  list: (from: Viewpoint) => Promise<Listing<Row>>,
  toJson: (listing: Listing<Row>) => object,
): Promise<number> {
  const { options, flags, streams } = call;
  const table = await import('../output/table.ts');
  const columns = table.selectColumns(view.columns, fieldsOf(options.fields) ?? view.fields);
  const shape = { legend: options.legend !== false, full: options.full === true };
  const render = ({ rows }: Listing<Row>): string => table.renderTable(columns, rows, shape);
  if (options.watch === true || options.interval !== undefined) return watch(call, list, render, toJson);
  const { withViewpoint } = await import('./viewpoint.ts');
  const listing = await withViewpoint(flags, streams, list);
  const { jsonText } = await import('../output/json.ts');
  streams.out(options.output === 'json' ? jsonText(toJson(listing)) : render(listing));
  const { missingLines } = await import('../output/report.ts');
  writeLines(streams.err, missingLines(listing));
  return EXIT.done;
}

async function watch<Row>(
  call: Call,
  list: (from: Viewpoint) => Promise<Listing<Row>>,
  render: (listing: Listing<Row>) => string,
  toJson: (listing: Listing<Row>) => object,
): Promise<number> {
  const [{ watchInterval, watchListing }, { screenView, streamView }, { jsonLine }, { withoutMeasures }] =
    await Promise.all([
      import('./watch.ts'),
      import('../output/watch.ts'),
      import('../output/json.ts'),
      import('../cluster/unit-state.ts'),
    ]);
  const intervalMs = watchInterval(call);
  const { out, err, screen } = call.streams;
  const interval = formatDuration(intervalMs);
  const viewer =
    call.options.output === 'json'
      ? streamView<Row>(
          {
            out,
            err,
            render: (listing) => jsonLine(toJson(listing)),
            signature: (listing) => withoutMeasures(toJson(listing)),
          },
          '',
        )
      : screen === undefined
        ? streamView<Row>({ out, err, render })
        : screenView<Row>({ out, err, render }, { ...screen, now: Date.now, interval });
  // What is drawn in place leaves no room for progress.
  const streams = { ...call.streams, live: undefined, quiet: true };
  return watchListing({ ...call, streams }, list, viewer, intervalMs);
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
