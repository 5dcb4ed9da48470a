import type { Cordon } from '../../cluster/snapshot.ts';
import { type Call, type Command, OUTPUT, printAnswer } from '../command.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { DRY_RUN } from '../unit-command.ts';

export const cordonCommand: Command = {
  name: 'cordon',
  arguments: '<machine...>',
  summary: 'Let machines have no new units',
  description:
    'What is on them stays and is looked after as before. No machine is contacted. A cordon is kept in the registry until "uncordon".',
  options: [{ flags: '--globals', description: 'global units leave them too' }, DRY_RUN, OUTPUT],
  examples: [
    ['fleetctl cordon web-1', 'before a repair that is to come'],
    ['fleetctl cordon --globals web-1 web-2', 'global units leave them with the next pass'],
  ],
  run: (call) => setCordon(call, call.options.globals === true ? 'all' : 'standard'),
};

export const uncordonCommand: Command = {
  name: 'uncordon',
  arguments: '<machine...>',
  summary: 'Let machines have new units again',
  description:
    'Nothing comes back by itself: units are on the machines they moved to. Global units come with the next pass.',
  options: [DRY_RUN, OUTPUT],
  examples: [['fleetctl uncordon web-1', 'the repair is done']],
  run: (call) => setCordon(call, undefined),
};

async function setCordon(call: Call, cordon: Cordon | undefined): Promise<ExitStatus> {
  const { arguments: machines, options, flags, streams } = call;
  const [{ withEdges }, operation, { cordonJson, cordonReport }] = await Promise.all([
    import('../context.ts'),
    import('../../operations/cordon.ts'),
    import('../../output/drain.ts'),
  ]);
  const dryRun = options.dryRun === true;
  const results = await withEdges(flags, streams, (edges) => operation.setCordon(edges, machines, cordon), {
    dryRun,
  });
  const isCordoned = cordon !== undefined;
  const report = cordonReport(isCordoned, results, dryRun);
  await printAnswer(call, report, () => cordonJson(isCordoned, results), !dryRun);
  return EXIT.done;
}
