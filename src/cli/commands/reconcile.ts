import type { Command } from '../command.ts';
import { passStatus } from '../exit-status.ts';
import { DRY_RUN, OUTPUT } from '../options.ts';
import { runChange } from '../unit-command.ts';

export const reconcileCommand: Command = {
  name: 'reconcile',
  arguments: '',
  summary: 'Apply the target states to all units once',
  topic: 'states',
  description:
    'Runs one pass over all units and machines, for cron or after repairs. Units move away from machines that have been unreachable for longer than agent_ttl. Units that were stopped, or whose files were edited on a machine, are restored. Copies on wrong machines, or of units that are not in the registry, are removed. Missing global units are added. Voters of the registry are replaced if necessary; --dry-run does not show this. The exit status is 5 only if a unit cannot leave an unreachable machine.',
  options: [DRY_RUN, OUTPUT],
  examples: [
    ['fleetctl reconcile', 'run one pass'],
    ['fleetctl reconcile --dry-run', 'show differences and change nothing'],
    ['fleetctl reconcile -o json', 'moves, changes, failures and unreachable machines as JSON'],
  ],
  async run(call) {
    const { reconcileEverything } = await import('../../operations/reconcile-everything.ts');
    const { passJson, passReport } = await import('../../output/pass.ts');
    return runChange(call, reconcileEverything, (pass, dryRun) => ({
      report: passReport(pass, dryRun),
      json: () => passJson(pass),
      status: passStatus(pass),
    }));
  },
};
