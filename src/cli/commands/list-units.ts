import type { Command } from '../command.ts';
import { listOptions, runListing, WATCH } from '../list-command.ts';

export const listUnitsCommand: Command = {
  name: 'list-units',
  arguments: '',
  summary: 'Show every unit on every machine, as systemd there sees it',
  description:
    'One row for each unit and machine. A machine that does not answer leaves its units as "unknown unreachable". SINCE is when it came to be as it is, RESTARTS how often systemd has restarted it by itself; "-" where systemd does not count. RESULT is how its last run went, LAST when that began or ended, NEXT when a timer is due to start it.',
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
