import type { Ports } from '../../reconcile/reconcile.ts';
import { type Command, OUTPUT, printAnswer } from '../command.ts';
import { requestStatus } from '../exit-status.ts';
import { countOption } from '../number-option.ts';
import { DRY_RUN } from '../unit-command.ts';
import { LIMITS, waitPolicyOf } from '../wait-options.ts';

export const restartCommand: Command = {
  name: 'restart',
  arguments: '<unit...>',
  summary: 'Restart units on their machines, one after the other',
  description:
    'Restarts every copy of launched units on its machine. A copy is restarted only when the previous one is active; the first failure ends the command, which lists the copies that were not restarted. Globs match units of the registry.',
  options: [
    { flags: '--max-parallel <n>', description: 'how many copies may be down at the same time (default 1)' },
    ...LIMITS,
    DRY_RUN,
    OUTPUT,
  ],
  examples: [
    ['fleetctl restart hello.service', 'restart it on its machine'],
    ["fleetctl restart 'web@*'", 'all instances, one at a time'],
    ['fleetctl restart --max-parallel 5 agent.service', 'a global unit, five machines at a time'],
    ["fleetctl restart --dry-run 'web@*'", 'show the batches'],
  ],
  async run({ arguments: units, options, flags, streams }) {
    const maxParallel = countOption('--max-parallel', options.maxParallel, 1);
    const [{ withPorts }, { restart }, { restartPreview, restartReport }, { restartJson }] =
      await Promise.all([
        import('../context.ts'),
        import('../../operations/restart.ts'),
        import('../../output/request-report.ts'),
        import('../../output/request-json.ts'),
      ]);
    const dryRun = options.dryRun === true;
    const wait = waitPolicyOf(options);
    const work = (ports: Ports) => restart(ports, units, maxParallel);
    const result = await withPorts(flags, streams, work, { dryRun, wait });
    const report = dryRun ? restartPreview(result) : restartReport(result);
    await printAnswer({ options, streams }, report, () => restartJson(result, dryRun), !dryRun);
    return requestStatus(result);
  },
};
