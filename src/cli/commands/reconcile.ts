import { type Command, OUTPUT, printAnswer } from '../command.ts';
import { passStatus } from '../exit-status.ts';
import { DRY_RUN } from '../unit-command.ts';

export const reconcileCommand: Command = {
  name: 'reconcile',
  arguments: '',
  summary: 'Put everything right that differs from what is wanted, once',
  description:
    'One pass over all units and machines, for cron or after repairs. Units leave machines that have been silent for longer than agent_ttl; units that were stopped or whose files were edited on a machine are put right; copies that belong elsewhere or that the registry does not know are removed; machines get the global units they lack. Exit status 5 only when a unit is stuck on a machine that does not answer.',
  options: [DRY_RUN, OUTPUT],
  examples: [
    ['fleetctl reconcile', 'put everything right'],
    ['fleetctl reconcile --dry-run', 'show what differs, and change nothing'],
    ['fleetctl reconcile -o json', 'moves, changes, failures and silent machines for a program'],
  ],
  async run({ options, flags, streams }) {
    const [{ withEdges }, { reconcileEverything }, { passJson, passReport }] = await Promise.all([
      import('../context.ts'),
      import('../../operations/reconcile-everything.ts'),
      import('../../output/pass.ts'),
    ]);
    const dryRun = options.dryRun === true;
    const pass = await withEdges(flags, streams, reconcileEverything, { dryRun });
    await printAnswer({ options, streams }, passReport(pass, dryRun), () => passJson(pass), !dryRun);
    return passStatus(pass);
  },
};
