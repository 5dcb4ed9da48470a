import { type Command, OUTPUT } from '../command.ts';
import { DRY_RUN, NOW, REPLACE, runUnitVerb, submitRequest, VERBOSE } from '../unit-command.ts';
import { LIMITS, NO_BLOCK } from '../wait-options.ts';

export const loadCommand: Command = {
  name: 'load',
  arguments: '<unit...>',
  summary: 'Put units on machines without starting them',
  description:
    'Submits units that the registry does not have yet, picks a machine for each and puts its unit file there. A unit that is launched stays launched. Unit files are searched in the registry, on disk, then as templates.',
  options: [REPLACE, NOW, VERBOSE, NO_BLOCK, ...LIMITS, DRY_RUN, OUTPUT],
  examples: [
    ['fleetctl load hello.service', 'put it on a machine, not started'],
    ['fleetctl load web@1 web@2', 'two instances of web@.service'],
  ],
  async run(call) {
    const { load } = await import('../../operations/set-target-state.ts');
    return runUnitVerb('load', call, (edges) => load(edges, submitRequest(call)));
  },
};
