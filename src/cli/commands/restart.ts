import type { Command } from '../command.ts';
import { requestStatus } from '../exit-status.ts';
import { DRY_RUN, LIMITS, maxParallelOf, OUTPUT } from '../options.ts';
import { runChange } from '../unit-command.ts';

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
  async run(call) {
    const maxParallel = maxParallelOf(call.options);
    const { restart } = await import('../../operations/restart.ts');
    const { restartPreview, restartReport } = await import('../../output/request-report.ts');
    const { restartJson } = await import('../../output/request-json.ts');
    return runChange(
      call,
      (ports) => restart(ports, call.arguments, maxParallel),
      (result, dryRun) => ({
        report: dryRun ? restartPreview(result) : restartReport(result),
        json: () => restartJson(result, dryRun),
        status: requestStatus(result),
      }),
      true,
    );
  },
};
