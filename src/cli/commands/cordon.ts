import type { Cordon } from '../../cluster/snapshot.ts';
import { type Call, type Command, OUTPUT, printAnswer } from '../command.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { DRY_RUN } from '../unit-command.ts';

export const cordonCommand: Command = {
  name: 'cordon',
  arguments: '<machine...>',
  summary: 'Exclude machines from new placements',
  description:
    'Units on the machines stay there and are managed as before. No machine is contacted. The registry keeps the cordon until "uncordon".',
  options: [
    { flags: '--globals', description: 'also remove global units from the machines' },
    DRY_RUN,
    OUTPUT,
  ],
  examples: [
    ['fleetctl cordon web-1', 'before a repair'],
    ['fleetctl cordon --globals web-1 web-2', 'the next pass also removes global units'],
  ],
  run: (call) => setCordon(call, call.options.globals === true ? 'all' : 'standard'),
};

export const uncordonCommand: Command = {
  name: 'uncordon',
  arguments: '<machine...>',
  summary: 'Allow new placements on machines again',
  description: 'Units that were moved do not move back. The next pass adds global units again.',
  options: [DRY_RUN, OUTPUT],
  examples: [['fleetctl uncordon web-1', 'after a repair']],
  run: (call) => setCordon(call, undefined),
};

async function setCordon(call: Call, cordon: Cordon | undefined): Promise<ExitStatus> {
  const { arguments: machines, options, flags, streams } = call;
  const [{ withPorts }, operation, { cordonJson, cordonReport }] = await Promise.all([
    import('../context.ts'),
    import('../../operations/cordon.ts'),
    import('../../output/machines.ts'),
  ]);
  const dryRun = options.dryRun === true;
  const results = await withPorts(flags, streams, (ports) => operation.setCordon(ports, machines, cordon), {
    dryRun,
  });
  const isCordoned = cordon !== undefined;
  const report = cordonReport(isCordoned, results, dryRun);
  await printAnswer(call, report, () => cordonJson(isCordoned, results), !dryRun);
  return EXIT.done;
}
