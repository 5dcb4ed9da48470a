import type { Command } from '../command.ts';
import { EXIT } from '../exit-status.ts';
import { numberOption, OUTPUT } from '../options.ts';
import { untilInterrupted } from '../signals.ts';
import { writeLines } from '../streams.ts';

export const eventsCommand: Command = {
  name: 'events',
  arguments: '[unit-or-machine...]',
  summary: 'Show decisions with their times, reasons and authors',
  isReadOnly: true,
  description:
    'Shows changes of target states, placements and moves with their reasons, and machines that became unreachable or reachable; oldest first. Only the registry is read; it keeps the last 500 changes. Globs are accepted.',
  options: [
    { flags: '-f, --follow', description: 'follow new events until Ctrl-C' },
    { flags: '-n, --lines <n>', description: 'only the last n events' },
    { ...OUTPUT, description: 'output format; json is one object per line' },
  ],
  examples: [
    ['fleetctl events', 'all events'],
    ['fleetctl events web.service', 'events of one unit'],
    ["fleetctl events -f -o json 'web@*' m1", 'follow units and a machine as JSON'],
  ],
  async run({ arguments: about, options, flags, streams }) {
    const lines = numberOption('--lines', options.lines);
    const { withRegistry } = await import('../registry.ts');
    const { followEvents, listEvents } = await import('../../operations/list-events.ts');
    const { eventJson, eventLine } = await import('../../output/events.ts');
    const toLine = (row: Parameters<typeof eventLine>[0]): string =>
      options.output === 'json' ? JSON.stringify(eventJson(row)) : eventLine(row);
    const request = { about, lines };
    if (options.follow !== true) {
      const rows = await withRegistry({ flags, streams }, (registry) => listEvents(registry, request));
      writeLines(streams.out, rows.map(toLine));
      return EXIT.done;
    }
    return untilInterrupted((signal) =>
      withRegistry({ flags, streams }, async (registry) => {
        for await (const rows of followEvents(registry, request, signal)) {
          writeLines(streams.out, rows.map(toLine));
        }
        return EXIT.done;
      }),
    );
  },
};
