import { type Command, type CommandOption, OUTPUT } from '../command.ts';
import { DRY_RUN, NOW, REPLACE, runUnitVerb, submitRequest, VERBOSE } from '../unit-command.ts';
import { LIMITS, NO_BLOCK } from '../wait-options.ts';

const VERIFY: CommandOption = {
  flags: '--verify',
  description: 'have systemd check the units first, and write nothing unless every machine lets them pass',
};

export const startCommand: Command = {
  name: 'start',
  arguments: '<unit...>',
  summary: 'Start units somewhere in the cluster and keep them there',
  description:
    'Submits units that the registry does not have yet, picks a machine for each, starts it there and watches until it is really up. Unit files are searched in the registry, on disk, then as templates.',
  options: [REPLACE, NOW, VERIFY, VERBOSE, NO_BLOCK, ...LIMITS, DRY_RUN, OUTPUT],
  examples: [
    ['fleetctl start hello.service', 'start ./hello.service on some machine'],
    ['fleetctl start web@{1..3}', 'three instances of web@.service'],
    ['fleetctl start app.service app.timer', 'several units at once'],
    ['fleetctl start --no-block app.service', 'do not wait until it is up'],
    ['fleetctl start --timeout 5m app.service', 'wait for five minutes at most'],
    ['fleetctl start --verify app.service', 'only if systemd on the machines has nothing against it'],
  ],
  async run(call) {
    if (call.options.verify === true) {
      const { verifiedStart } = await import('../verified-start.ts');
      return runUnitVerb('start', call, (edges) => verifiedStart(edges, call));
    }
    const { start } = await import('../../operations/set-target-state.ts');
    return runUnitVerb('start', call, (edges) => start(edges, submitRequest(call)));
  },
};
