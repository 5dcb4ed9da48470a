import { type Command, type CommandOption, OUTPUT } from '../command.ts';
import { DRY_RUN, NOW, REPLACE, runUnitVerb, submitRequest, VERBOSE } from '../unit-command.ts';
import { LIMITS, NO_BLOCK } from '../wait-options.ts';

const VERIFY: CommandOption = {
  flags: '--verify',
  description: 'check the units with systemd first, and change nothing if a machine reports an error',
};

export const startCommand: Command = {
  name: 'start',
  arguments: '<unit...>',
  summary: 'Start units in the cluster and keep them running',
  description:
    'Submits units that are not in the registry, selects a machine for each, starts it there and waits until it is active. Unit files are searched for in the registry, on disk, then as templates.',
  options: [REPLACE, NOW, VERIFY, VERBOSE, NO_BLOCK, ...LIMITS, DRY_RUN, OUTPUT],
  examples: [
    ['fleetctl start hello.service', 'start ./hello.service on one machine'],
    ['fleetctl start web@{1..3}', 'three instances of web@.service'],
    ['fleetctl start app.service app.timer', 'start two units'],
    ['fleetctl start --no-block app.service', 'do not wait until it is active'],
    ['fleetctl start --timeout 5m app.service', 'wait at most five minutes'],
    ['fleetctl start --verify app.service', 'only if systemd reports no error'],
  ],
  async run(call) {
    if (call.options.verify === true) {
      const { verifiedStart } = await import('../verified-start.ts');
      return runUnitVerb('start', call, (ports) => verifiedStart(ports, call));
    }
    const { start } = await import('../../operations/set-target-state.ts');
    return runUnitVerb('start', call, (ports) => start(ports, submitRequest(call)));
  },
};
