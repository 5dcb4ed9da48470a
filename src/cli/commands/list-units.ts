import type { Command } from '../command.ts';
import { listOptions, runListing, WATCH } from '../list-command.ts';

export const listUnitsCommand: Command = {
  name: 'list-units',
  arguments: '',
  summary: 'List units with their states on all machines',
  description:
    'Shows one row per unit and machine. Units of an unreachable machine are "unknown unreachable". SINCE is the time of the last change of state, RESTARTS the number of automatic restarts ("-" if systemd does not count them), RESULT the result of the last run, LAST the time of its beginning or end, NEXT the next time that its timer elapses.',
  options: [
    ...listOptions(
      'unit, machine, load, active, sub, hash, since, restarts, memory, cpu, result, last, next',
    ),
    ...WATCH,
  ],
  examples: [
    ['fleetctl list-units', 'all units'],
    ['fleetctl list-units --fields unit,active --no-legend', 'for scripts'],
    ['fleetctl list-units --watch', 'live, until Ctrl-C'],
    ['fleetctl list-units -o json', 'every field, as JSON'],
  ],
  async run(call) {
    const [{ listUnits }, { UNITS }, { unitsJson }] = await Promise.all([
      import('../../operations/list-units.ts'),
      import('../../output/listings.ts'),
      import('../../output/json.ts'),
    ]);
    return runListing(call, UNITS, listUnits, unitsJson);
  },
};
