import { type Command, OUTPUT } from '../command.ts';
import { DRY_RUN, NOW, REPLACE, runUnitVerb, submitRequest, VERBOSE } from '../unit-command.ts';

export const submitCommand: Command = {
  name: 'submit',
  arguments: '<unit...>',
  summary: 'Put unit files into the registry without placing them',
  description:
    'Checks unit files and stores them. A unit that the registry has already stays as it is, and a local file that differs from it is reported. Machines are contacted only where --replace changes a unit that is on them.',
  options: [REPLACE, NOW, VERBOSE, DRY_RUN, OUTPUT],
  examples: [
    ['fleetctl submit hello.service', 'store ./hello.service'],
    ['fleetctl submit units/web@.service', 'store a template, to start instances of it from anywhere'],
    ['fleetctl submit --replace web@.service', 'a new text for the template and all its instances'],
  ],
  async run(call) {
    const { submitUnits } = await import('../../operations/set-target-state.ts');
    return runUnitVerb('submit', call, (edges) => submitUnits(edges, submitRequest(call)));
  },
};
