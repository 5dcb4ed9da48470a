import type { Command } from '../command.ts';
import { DRY_RUN, REPLACE, runUnitVerb, submitRequest, VERBOSE } from '../unit-command.ts';

export const startCommand: Command = {
  name: 'start',
  arguments: '<unit...>',
  summary: 'Start units somewhere in the cluster and keep them there',
  description:
    'Submits units that the registry does not have yet, picks a machine for each, starts it there and watches until it is really up. Unit files are searched in the registry, on disk, then as templates.',
  options: [REPLACE, VERBOSE, DRY_RUN],
  examples: [
    ['fleetctl start hello.service', 'start ./hello.service on some machine'],
    ['fleetctl start web@{1..3}', 'three instances of web@.service'],
    ['fleetctl start app.service app.timer', 'several units at once'],
  ],
  async run(call) {
    const { start } = await import('../../operations/set-target-state.ts');
    return runUnitVerb('start', call, (edges) => start(edges, submitRequest(call)));
  },
};
