import type { Command } from '../command.ts';
import { applyCommand, planCommand } from './apply.ts';
import { joinCommand, reconcileCommand, recoverCommand, registryCommand } from './cluster.ts';
import { controllerCommand } from './controller.ts';
import { cordonCommand, drainCommand, uncordonCommand } from './cordon.ts';
import { doctorCommand } from './doctor.ts';
import { diffCommand, exportCommand } from './folders.ts';
import { eventsCommand, explainCommand, statusCommand, verifyCommand } from './inspection.ts';
import { journalCommand } from './journal.ts';
import { listMachinesCommand, listUnitFilesCommand, listUnitsCommand } from './lists.ts';
import { machinesCommand } from './machines.ts';
import { completionCommand, helpCommand, versionCommand } from './other.ts';
import { sshCommand } from './ssh.ts';
import { catCommand, historyCommand, rollbackCommand } from './unit-texts.ts';
import {
  adoptCommand,
  destroyCommand,
  loadCommand,
  restartCommand,
  startCommand,
  stopCommand,
  submitCommand,
  unloadCommand,
} from './units.ts';

/** The verbs by group, both in the order of help. */
export const GROUPS: readonly (readonly [heading: string, commands: readonly Command[]])[] = [
  [
    'Unit commands:',
    [
      ...[submitCommand, loadCommand, startCommand, restartCommand, stopCommand, unloadCommand],
      ...[destroyCommand, rollbackCommand],
    ],
  ],
  ['Folder commands:', [planCommand, applyCommand, diffCommand, exportCommand, adoptCommand]],
  [
    'Inspection commands:',
    [
      ...[listUnitsCommand, listUnitFilesCommand, listMachinesCommand, statusCommand, journalCommand],
      ...[eventsCommand, explainCommand, catCommand, historyCommand, verifyCommand],
    ],
  ],
  [
    'Machine commands:',
    [machinesCommand, doctorCommand, sshCommand, cordonCommand, uncordonCommand, drainCommand],
  ],
  ['Cluster commands:', [joinCommand, reconcileCommand, recoverCommand, registryCommand, controllerCommand]],
  ['Other commands:', [completionCommand, versionCommand, helpCommand]],
];

/** Every verb, in the order of help. */
export const COMMANDS: readonly Command[] = GROUPS.flatMap(([, commands]) => commands);

/** Whether the command of that name changes nothing. */
export function isReadOnly(name: string): boolean {
  return COMMANDS.some((command) => command.name === name && command.isReadOnly === true);
}
