import { fieldSentences } from '../../output/field.ts';
import { MACHINES, UNIT_FILES, UNITS } from '../../output/listings.ts';
import type { Command } from '../command.ts';
import { listOptions, runListing, WATCH } from '../list-command.ts';

export const listUnitsCommand: Command = {
  name: 'list-units',
  arguments: '',
  summary: 'List units with their states on all machines',
  topic: 'lists',
  isReadOnly: true,
  description: `Shows one row per unit and machine. Units of an unreachable machine are "unknown unreachable". ${fieldSentences(UNITS)}`,
  options: [...listOptions(UNITS), ...WATCH],
  examples: [
    ['fleetctl list-units', 'all units'],
    ['fleetctl list-units --fields unit,active --no-legend', 'for scripts'],
    ['fleetctl list-units --watch', 'live, until Ctrl-C'],
    ['fleetctl list-units -o json', 'every field, as JSON'],
  ],
  run: async (call) => runListing(call, UNITS, (await import('../../operations/list-units.ts')).listUnits),
};

export const listUnitFilesCommand: Command = {
  name: 'list-unit-files',
  arguments: '',
  summary: 'List the units of the registry',
  topic: 'states',
  isReadOnly: true,
  description: fieldSentences(UNIT_FILES),
  options: [...listOptions(UNIT_FILES), ...WATCH],
  examples: [
    ['fleetctl list-unit-files', 'all units of the registry'],
    ['fleetctl list-unit-files --full', 'with full hashes and machine ids'],
  ],
  run: async (call) =>
    runListing(call, UNIT_FILES, (await import('../../operations/list-unit-files.ts')).listUnitFiles),
};

export const listMachinesCommand: Command = {
  name: 'list-machines',
  arguments: '',
  summary: 'List the machines of the cluster',
  topic: 'lists',
  isReadOnly: true,
  description: fieldSentences(MACHINES),
  options: [...listOptions(MACHINES), ...WATCH],
  examples: [
    ['fleetctl list-machines', 'all machines'],
    ['fleetctl list-machines --fields name,ip,state', 'names as in fleet.conf'],
    ['fleetctl list-machines --watch --fields name,units,load,memory', 'live resource usage'],
  ],
  run: async (call) =>
    runListing(call, MACHINES, (await import('../../operations/list-machines.ts')).listMachines),
};
