import { type Command, OUTPUT } from '../command.ts';
import { DRY_RUN, NOW, REPLACE, runUnitVerb, submitRequest, VERBOSE } from '../unit-command.ts';

export const submitCommand: Command = {
  name: 'submit',
  arguments: '<unit...>',
  summary: 'Store unit files in the registry',
  description:
    'Checks unit files and stores them. Units that are already in the registry stay unchanged, and local files that differ are reported. Machines are contacted only where --replace changes a unit that is on them.',
  options: [REPLACE, NOW, VERBOSE, DRY_RUN, OUTPUT],
  examples: [
    ['fleetctl submit hello.service', 'store ./hello.service'],
    ['fleetctl submit units/web@.service', 'store a template'],
    ['fleetctl submit --replace web@.service', 'replace a template and its instances'],
  ],
  async run(call) {
    const { submitUnits } = await import('../../operations/set-target-state.ts');
    return runUnitVerb('submit', call, (ports) => submitUnits(ports, submitRequest(call)));
  },
};
