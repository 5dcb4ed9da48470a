import { type Command, OUTPUT, printAnswer } from '../command.ts';
import { statusStatus } from '../exit-status.ts';
import { numberOf } from '../number-option.ts';

/** As many lines of the journal as systemctl shows by itself. */
const LINES = 10;

export const statusCommand: Command = {
  name: 'status',
  arguments: '<unit...>',
  summary: 'Show how units are, on every machine they are on',
  description:
    'Prints what systemctl status says of each unit, a global one on all of its machines. The exit status is 0 when all are active, 3 when one is not, 4 for a unit that does not exist and 5 when a machine of theirs does not answer; the others are shown all the same.',
  options: [
    {
      flags: '--machine <machine>',
      description: 'only there: its name, its address or the beginning of its id',
    },
    { flags: '-n, --lines <number>', description: `lines of the journal to show, ${LINES} unless given` },
    OUTPUT,
  ],
  examples: [
    ['fleetctl status hello.service', 'wherever it is'],
    ['fleetctl status everywhere --machine web-1', 'a global unit on one of its machines'],
    ["fleetctl status 'web@*' -n 0", 'all instances, without their journals'],
    ['fleetctl status hello -o json', 'what systemd knows, as JSON'],
  ],
  async run({ arguments: units, options, flags, streams }) {
    const json = options.output === 'json';
    const lines = numberOf('--lines', options.lines) ?? LINES;
    const [{ withEdges }, { unitStatus }, { statusJson, statusReport }] = await Promise.all([
      import('../context.ts'),
      import('../../operations/status.ts'),
      import('../../output/status.ts'),
    ]);
    const machine = typeof options.machine === 'string' ? options.machine : undefined;
    const request = { verb: 'status', units, machine, lines: json ? undefined : lines };
    const result = await withEdges(flags, streams, (edges) => unitStatus(edges, request));
    await printAnswer({ options, streams }, statusReport(result), () => statusJson(result));
    return statusStatus(result);
  },
};
