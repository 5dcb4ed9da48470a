import { FleetError } from '../../base/errors.ts';
import type { Command } from '../command.ts';
import { DRY_RUN, OUTPUT, textOption } from '../options.ts';
import { runUnitVerb } from '../unit-command.ts';

export const adoptCommand: Command = {
  name: 'adopt',
  arguments: '<unit>',
  summary: 'Take over a unit that already runs on a machine',
  topic: 'migration',
  description:
    'Stores the file of a unit that was installed on a machine without fleet, and assigns the unit to that machine. The unit keeps running, and is not restarted. It becomes launched if it runs, and loaded otherwise. Its file, or that of its template, must be in /etc/systemd/system.',
  options: [
    {
      flags: '--machine <machine>',
      description: 'the machine: its name, its address or the beginning of its id',
    },
    DRY_RUN,
    OUTPUT,
  ],
  examples: [
    ['fleetctl adopt web.service --machine web-1', 'manage it with fleet from now on'],
    ['fleetctl adopt web.service --machine web-1 --dry-run', 'show the planned steps'],
  ],
  async run(call) {
    const machine = textOption(call.options.machine);
    if (machine === undefined)
      throw new FleetError('usage', 'Name the machine that has the unit', { hint: 'Add --machine NAME' });
    const { adopt } = await import('../../operations/adopt.ts');
    const [unit = ''] = call.arguments;
    return runUnitVerb('adopt', call, (ports) => adopt(ports, { unit, machine }));
  },
};
