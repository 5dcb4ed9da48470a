import { type Command, OUTPUT } from '../command.ts';
import { DRY_RUN, NOW, REPLACE, runUnitVerb, submitRequest, VERBOSE } from '../unit-command.ts';
import { LIMITS, NO_BLOCK } from '../wait-options.ts';

export const loadCommand: Command = {
  name: 'load',
  arguments: '<unit...>',
  summary: 'Install units on machines without starting them',
  description:
    'Submits units that are not in the registry, selects a machine for each and installs its unit file there. Launched units stay launched. Unit files are searched for in the registry, on disk, then as templates.',
  options: [REPLACE, NOW, VERBOSE, NO_BLOCK, ...LIMITS, DRY_RUN, OUTPUT],
  examples: [
    ['fleetctl load hello.service', 'install it on a machine'],
    ['fleetctl load web@1 web@2', 'two instances of web@.service'],
  ],
  async run(call) {
    const { load } = await import('../../operations/set-target-state.ts');
    return runUnitVerb('load', call, (ports) => load(ports, submitRequest(call)));
  },
};
