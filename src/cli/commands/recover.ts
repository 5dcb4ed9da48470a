import { type Command, OUTPUT, printAnswer } from '../command.ts';
import { recoverStatus } from '../exit-status.ts';
import { DRY_RUN } from '../unit-command.ts';

export const recoverCommand: Command = {
  name: 'recover',
  arguments: '',
  summary: 'Rebuild a lost registry from the machines',
  description:
    'Reads unit files, target states and the cluster id back from all machines of fleet.conf and stores them in the registry, which has to be empty. Machines are only read, and units run on. Where machines differ, the latest decision counts and the others are reported. A unit that no second machine confirms is stored as inactive and unconfirmed, and left as it is until it is accepted, then or later. Templates, and units that were on no machine, cannot be recovered.',
  options: [
    {
      flags: '--accept <units>',
      description: 'units that are right although no second machine confirms them; names or globs',
      repeatable: true,
    },
    {
      flags: '--reject <units>',
      description: 'recovered units to give up: the next pass takes them from their machines',
      repeatable: true,
    },
    {
      flags: '--trust <machines>',
      description: 'machines whose word is enough for the units that they have',
      repeatable: true,
    },
    { ...DRY_RUN, description: 'show what would be recovered, and store nothing' },
    OUTPUT,
  ],
  examples: [
    ['fleetctl recover --dry-run', 'show what the machines remember'],
    ['fleetctl recover', 'store it; then look at: fleetctl reconcile --dry-run'],
    ['fleetctl recover --trust web-1,web-2', 'accept the units of these machines, then or later'],
    ["fleetctl recover --accept 'web@*' --reject evil", 'decide about single units'],
  ],
  async run({ options, flags, streams }) {
    const [{ withEdges }, { recover }, { recoverReport }, { recoverJson }] = await Promise.all([
      import('../context.ts'),
      import('../../operations/recover.ts'),
      import('../../output/recover.ts'),
      import('../../output/request.ts'),
    ]);
    const dryRun = options.dryRun === true;
    const request = {
      accept: listOf(options.accept),
      reject: listOf(options.reject),
      trust: listOf(options.trust),
    };
    const result = await withEdges(flags, streams, (edges) => recover(edges, request), { dryRun });
    await printAnswer(
      { options, streams },
      recoverReport(result, dryRun),
      () => recoverJson(result, dryRun),
      !dryRun,
    );
    return recoverStatus(result);
  },
};

function listOf(value: string | boolean | undefined): readonly string[] {
  return typeof value === 'string' ? value.split(',').filter((word) => word !== '') : [];
}
