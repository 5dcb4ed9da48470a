import type { Ports } from '../../reconcile/reconcile.ts';
import { type Command, OUTPUT, printAnswer } from '../command.ts';
import { drainStatus } from '../exit-status.ts';
import { countOption } from '../number-option.ts';
import { DRY_RUN } from '../unit-command.ts';

export const drainCommand: Command = {
  name: 'drain',
  arguments: '<machine>',
  summary: 'Move the units of a machine to other machines',
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
    const { options, flags, streams } = call;
    const [machine = ''] = call.arguments;
    const request = {
      machine,
      maxParallel: countOption('--max-parallel', options.maxParallel, 1),
      globals: options.globals === true,
    };
    const [{ withPorts }, { drain }, { drainJson, drainPreview, drainReport }] = await Promise.all([
      import('../context.ts'),
      import('../../operations/drain.ts'),
      import('../../output/machines.ts'),
    ]);
    const dryRun = options.dryRun === true;
    const result = await withPorts(flags, streams, (ports: Ports) => drain(ports, request), { dryRun });
    const report = dryRun ? drainPreview(result) : drainReport(result);
    await printAnswer(call, report, () => drainJson(result), !dryRun);
    return drainStatus(result);
  },
};
