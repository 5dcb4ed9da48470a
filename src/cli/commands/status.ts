import { type Command, printAnswer } from '../command.ts';
import { statusStatus } from '../exit-status.ts';
import { MACHINE, numberOption, OUTPUT, textOption } from '../options.ts';

/** The same number of journal lines as systemctl. */
const LINES = 10;

export const statusCommand: Command = {
  name: 'status',
  arguments: '<unit...>',
  summary: 'Show the status of units on all their machines',
  isReadOnly: true,
  description:
    'Prints the output of systemctl status for each unit, for global units on all their machines. The exit status is 0 if all units are active, 3 if one is not, 4 if one does not exist and 5 if one of the machines is unreachable; the other units are shown in any case.',
  options: [
    MACHINE,
    { flags: '-n, --lines <number>', description: `number of journal lines (default ${LINES})` },
    OUTPUT,
  ],
  examples: [
    ['fleetctl status hello.service', 'one unit'],
    ['fleetctl status everywhere --machine web-1', 'a global unit on one of its machines'],
    ["fleetctl status 'web@*' -n 0", 'all instances, without their journals'],
    ['fleetctl status hello -o json', 'properties of systemd as JSON'],
  ],
  async run({ arguments: units, options, flags, streams }) {
    const json = options.output === 'json';
    const lines = numberOption('--lines', options.lines) ?? LINES;
    const { withPorts } = await import('../context.ts');
    const { unitStatus } = await import('../../operations/status.ts');
    const { statusJson, statusReport } = await import('../../output/status.ts');
    const machine = textOption(options.machine);
    const request = { verb: 'status', units, machine, lines: json ? undefined : lines };
    const result = await withPorts({ flags, streams }, (ports) => unitStatus(ports, request));
    await printAnswer({ options, streams }, statusReport(result), () => statusJson(result));
    return statusStatus(result);
  },
};
