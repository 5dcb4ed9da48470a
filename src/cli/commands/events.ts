import type { Command } from '../command.ts';
import { EXIT } from '../exit-status.ts';
import { numberOf } from '../number-option.ts';
import { writeLines } from '../streams.ts';
import { untilInterrupted } from '../until-interrupted.ts';

export const eventsCommand: Command = {
  name: 'events',
  arguments: '[unit-or-machine...]',
  summary: 'Show what was decided, when, why and by whom',
  description:
    'Who wanted what of a unit, where units were put and why they moved, machines that fell silent and came back; oldest first. The registry keeps the last 500 changes. No machine is contacted. Globs are understood.',
  options: [
    { flags: '-f, --follow', description: 'go on with what is decided from now on, until Ctrl-C' },
    { flags: '-n, --lines <n>', description: 'only the last so many' },
    {
      flags: '-o, --output <format>',
      description: 'text, or json: one object a line',
      choices: ['text', 'json'],
    },
  ],
  examples: [
    ['fleetctl events', 'everything that is remembered'],
    ['fleetctl events web.service', 'why did it move at 3 am?'],
    ["fleetctl events -f -o json 'web@*' m1", 'some units and a machine, as it happens, for a program'],
  ],
  async run({ arguments: about, options, flags, streams }) {
    const lines = numberOf('--lines', options.lines);
    const [{ withRegistry }, { followEvents, listEvents }, { eventJson, eventLine }] = await Promise.all([
      import('../context.ts'),
      import('../../operations/list-events.ts'),
      import('../../output/events.ts'),
    ]);
    const toLine = (row: Parameters<typeof eventLine>[0]): string =>
      options.output === 'json' ? JSON.stringify(eventJson(row)) : eventLine(row);
    const request = { about, lines };
    if (options.follow !== true) {
      const rows = await withRegistry(flags, streams, (registry) => listEvents(registry, request));
      writeLines(streams.out, rows.map(toLine));
      return EXIT.done;
    }
    return untilInterrupted((signal) =>
      withRegistry(flags, streams, async (registry) => {
        for await (const rows of followEvents(registry, request, signal)) {
          writeLines(streams.out, rows.map(toLine));
        }
        return EXIT.done;
      }),
    );
  },
};
