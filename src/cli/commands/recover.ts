import { type Command, OUTPUT, printAnswer } from '../command.ts';
import { recoverStatus } from '../exit-status.ts';
import { DRY_RUN } from '../unit-command.ts';

export const recoverCommand: Command = {
  name: 'recover',
  arguments: '',
  summary: 'Rebuild a lost registry from the machines',
  description:
    'Reads unit files, target states and the cluster id back from all machines of fleet.conf and stores them in the registry, which has to be empty. Machines are only read, and units run on. Where machines differ, the latest decision counts and the others are reported. Templates, and units that were on no machine, cannot be recovered.',
  options: [{ ...DRY_RUN, description: 'show what would be recovered, and store nothing' }, OUTPUT],
  examples: [
    ['fleetctl recover --dry-run', 'show what the machines remember'],
    ['fleetctl recover', 'store it; then look at: fleetctl reconcile --dry-run'],
  ],
  async run({ options, flags, streams }) {
    const [{ withEdges }, { recover }, { recoverReport }, { recoverJson }] = await Promise.all([
      import('../context.ts'),
      import('../../operations/recover.ts'),
      import('../../output/recover.ts'),
      import('../../output/request.ts'),
    ]);
    const dryRun = options.dryRun === true;
    const result = await withEdges(flags, streams, recover, { dryRun });
    await printAnswer(
      { options, streams },
      recoverReport(result, dryRun),
      () => recoverJson(result, dryRun),
      !dryRun,
    );
    return recoverStatus(result);
  },
};
