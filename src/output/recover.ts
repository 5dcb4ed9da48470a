import type { RecoverResult } from '../operations/recover.ts';
import type { Discrepancy, RecoveredUnit } from '../operations/recovered-units.ts';
import { machineLabel, machineTitle } from './machine.ts';
import { type ReportLines, unreachableLines } from './report.ts';

/** What was found on the machines, or would be taken from there, and what did not fit together. */
export function recoverReport(result: RecoverResult, dryRun: boolean): ReportLines {
  if (result.kind === 'silent') {
    return { out: [], err: [...unreachableLines(result.unreachable), ...ALL_MUST_ANSWER] };
  }
  const { units, discrepancies, clusterId } = result;
  const verb = dryRun ? 'Would recover' : 'Recovered';
  return {
    out: [...units.map((unit) => unitLine(verb, unit)), `${verb} cluster ${clusterId}`],
    err: [...discrepancies.map(discrepancyLine), ...(dryRun ? [] : AFTERWARDS)],
  };
}

const ALL_MUST_ANSWER = [
  'Error: Cannot recover the registry: all machines have to answer, for units that are not found would count as unwanted',
  'hint: Try again when they answer; a machine that is gone for good is first removed from fleet.conf',
];

const AFTERWARDS = [
  'hint: Templates, and units that were on no machine, have to be submitted again; what differs now: fleetctl reconcile --dry-run',
];

function unitLine(verb: string, { stored, target, machines }: RecoveredUnit): string {
  const [machine] = machines;
  const where =
    stored.machine === undefined || machine === undefined
      ? `${machines.length} ${machines.length === 1 ? 'machine' : 'machines'}`
      : machineLabel(machine);
  return `${verb} unit ${stored.name}: ${target} on ${where}`;
}

function discrepancyLine({ kind, unit, machine }: Discrepancy): string {
  const where = `machine ${machineTitle(machine)}`;
  switch (kind) {
    case 'elsewhere':
      return `Warning: unit "${unit}" is also on ${where}, by an older decision`;
    case 'other-text':
      return `Warning: unit "${unit}" has another text on ${where}, by an older decision`;
    case 'edited':
      return `Warning: the file of unit "${unit}" was edited or removed on ${where}`;
    case 'no-file':
      return `Error: Cannot recover unit "${unit}": its file is gone from ${where}`;
  }
}
