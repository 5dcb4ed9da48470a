import { type Command, OUTPUT } from '../command.ts';
import { DRY_RUN, runUnitVerb } from '../unit-command.ts';
import { LIMITS } from '../wait-options.ts';

export const destroyCommand: Command = {
  name: 'destroy',
  arguments: '<unit...>',
  summary: 'Stop units and remove them from the registry',
  description:
    'Stops units, waits until they have stopped, removes them from the machines and then from the registry.',
  options: [...LIMITS, DRY_RUN, OUTPUT],
  examples: [
    ['fleetctl destroy hello.service', 'stop and remove it'],
    ['fleetctl destroy web@.service', 'remove a template; its instances stay'],
  ],
  async run(call) {
    const { destroy } = await import('../../operations/destroy.ts');
    return runUnitVerb('destroy', call, (ports) => destroy(ports, call.arguments));
  },
};
