import { type Command, OUTPUT } from '../command.ts';
import { DRY_RUN, runUnitVerb } from '../unit-command.ts';
import { LIMITS } from '../wait-options.ts';

export const destroyCommand: Command = {
  name: 'destroy',
  arguments: '<unit...>',
  summary: 'Stop units and forget them',
  description: 'Stops units, waits for it, removes them from the machines and then from the registry.',
  options: [...LIMITS, DRY_RUN, OUTPUT],
  examples: [
    ['fleetctl destroy hello.service', 'stop and forget it'],
    ['fleetctl destroy web@.service', 'forget a template; its instances stay'],
  ],
  async run(call) {
    const { destroy } = await import('../../operations/destroy.ts');
    return runUnitVerb('destroy', call, (edges) => destroy(edges, call.arguments));
  },
};
