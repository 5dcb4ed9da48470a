import type { Cordon } from '../../cluster/snapshot.ts';
import type { Call, Command } from '../command.ts';
import { drainStatus, EXIT, type ExitStatus } from '../exit-status.ts';
import { DRY_RUN, maxParallelOf, OUTPUT } from '../options.ts';
import { runChange } from '../unit-command.ts';

export const cordonCommand: Command = {
  name: 'cordon',
  arguments: '<machine...>',
  summary: 'Exclude machines from new placements',
  topic: 'placement',
  description:
    'Units on the machines stay there and are managed as before. Nothing is changed on machines. The registry keeps the cordon until "uncordon".',
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
  topic: 'placement',
  description: 'Units that were moved do not move back. The next pass adds global units again.',
  options: [DRY_RUN, OUTPUT],
  examples: [['fleetctl uncordon web-1', 'after a repair']],
  run: (call) => setCordon(call, undefined),
};

async function setCordon(call: Call, cordon: Cordon | undefined): Promise<ExitStatus> {
  const operation = await import('../../operations/drain.ts');
  const { cordonJson, cordonReport } = await import('../../output/machines.ts');
  const isCordoned = cordon !== undefined;
  return runChange(
    call,
    (ports) => operation.setCordon(ports, call.arguments, cordon),
    (results, dryRun) => ({
      report: cordonReport(isCordoned, results, dryRun),
      json: () => cordonJson(isCordoned, results),
      status: EXIT.done,
    }),
  );
}

export const drainCommand: Command = {
  name: 'drain',
  arguments: '<machine>',
  summary: 'Move the units of a machine to other machines',
  topic: 'placement',
  description:
    'Cordons the machine first. Each unit is started on another machine before its old copy stops, unless its Conflicts= names the unit itself. A unit that fails to start elsewhere, or that no other machine can run, stays; the first failure ends the drain. Global units stay unless --globals is given.',
  options: [
    {
      flags: '--max-parallel <n>',
      description: 'how many units may move at the same time (default 1)',
    },
    { flags: '--globals', description: 'also remove global units from the machine' },
    DRY_RUN,
    OUTPUT,
  ],
  examples: [
    ['fleetctl drain web-1', 'before the machine is switched off'],
    ['fleetctl drain --dry-run web-1', 'show the planned moves'],
    ['fleetctl drain --max-parallel 10 web-1', 'ten units at a time'],
  ],
  async run(call) {
    const { options } = call;
    const [machine = ''] = call.arguments;
    const request = {
      machine,
      maxParallel: maxParallelOf(options),
      globals: options.globals === true,
    };
    const { drain } = await import('../../operations/drain.ts');
    const { drainJson, drainPreview, drainReport } = await import('../../output/machines.ts');
    return runChange(
      call,
      (ports) => drain(ports, request),
      (result, dryRun) => ({
        report: dryRun ? drainPreview(result) : drainReport(result),
        json: () => drainJson(result),
        status: drainStatus(result),
      }),
    );
  },
};
