import { type Command, OUTPUT } from '../command.ts';
import { DRY_RUN, runUnitVerb } from '../unit-command.ts';
import { LIMITS } from '../wait-options.ts';

export const unloadCommand: Command = {
  name: 'unload',
  arguments: '<unit...>',
  summary: 'Stop units and remove them from their machines',
  description:
    'Stops units, waits until they have stopped and removes their unit files from the machines. The units stay in the registry.',
  options: [...LIMITS, DRY_RUN, OUTPUT],
  examples: [['fleetctl unload hello.service', 'remove it from its machine']],
  async run(call) {
    const { unload } = await import('../../operations/set-target-state.ts');
    return runUnitVerb('unload', call, (ports) => unload(ports, call.arguments));
  },
};
