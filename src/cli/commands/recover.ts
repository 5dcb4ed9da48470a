import { type Command, OUTPUT, printAnswer } from '../command.ts';
import { recoverStatus } from '../exit-status.ts';
import { DRY_RUN } from '../unit-command.ts';

export const recoverCommand: Command = {
  name: 'recover',
  arguments: '',
  summary: 'Rebuild a lost registry from the machines',
  description:
    'Reads unit files, target states and the cluster id from all machines of fleet.conf and stores them in the registry, which must be empty. Machines are not changed, and units keep running. Where machines differ, the latest decision applies and the others are reported. A unit that no second machine confirms is stored as inactive and unconfirmed, and is left unchanged until it is accepted, in this call or later. Templates, and units that were on no machine, cannot be recovered.',
  options: [
    {
      flags: '--accept <units>',
      description: 'accept these units although no second machine confirms them; names or globs',
      repeatable: true,
    },
    {
      flags: '--reject <units>',
      description: 'discard these recovered units: the next pass removes them from their machines',
      repeatable: true,
    },
    {
      flags: '--trust <machines>',
      description: 'accept the units of these machines without a second machine',
      repeatable: true,
    },
    { ...DRY_RUN, description: 'show the recoverable units and store nothing' },
    OUTPUT,
  ],
  examples: [
    ['fleetctl recover --dry-run', 'show the recoverable units'],
    ['fleetctl recover', 'store them; then check: fleetctl reconcile --dry-run'],
    ['fleetctl recover --trust web-1,web-2', 'accept the units of two machines'],
    ["fleetctl recover --accept 'web@*' --reject evil", 'accept and discard single units'],
  ],
  async run({ options, flags, streams }) {
    const [{ withPorts }, { recover }, { recoverJson, recoverReport }] = await Promise.all([
      import('../context.ts'),
      import('../../operations/recover.ts'),
      import('../../output/recover.ts'),
    ]);
    const dryRun = options.dryRun === true;
    const request = {
      accept: listOf(options.accept),
      reject: listOf(options.reject),
      trust: listOf(options.trust),
    };
    const result = await withPorts(flags, streams, (ports) => recover(ports, request), { dryRun });
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
