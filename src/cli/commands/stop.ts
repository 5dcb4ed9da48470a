import { type Command, OUTPUT } from '../command.ts';
import { DRY_RUN, runUnitVerb } from '../unit-command.ts';
import { LIMITS, NO_BLOCK } from '../wait-options.ts';

export const stopCommand: Command = {
  name: 'stop',
  arguments: '<unit...>',
  summary: 'Stop units but keep them on their machines',
  description:
    'Stops units on all machines and waits until they have stopped. They stay loaded: `fleetctl start` starts them again on the same machine.',
  options: [NO_BLOCK, ...LIMITS, DRY_RUN, OUTPUT],
  examples: [
    ['fleetctl stop hello.service', 'stop it and keep it loaded'],
    ['fleetctl stop web@1 web@2', 'stop two instances'],
    ['fleetctl stop --no-block hello.service', 'do not wait until it has stopped'],
  ],
  async run(call) {
    const { stop } = await import('../../operations/set-target-state.ts');
    return runUnitVerb('stop', call, (ports) => stop(ports, call.arguments));
  },
};
