import type { RestartResult, UnitOnMachine } from '../operations/restart.ts';
import { machineLabel, machineTitle } from './machine.ts';
import { planLines } from './plan.ts';
import { type ReportLines, requestFailures, workLines } from './report.ts';

/** What was restarted, what was not, and why. */
export function restartReport(result: RestartResult): ReportLines {
  return {
    out: result.restarted.map(({ unit, machine }) => `Unit ${unit} restarted on ${machineLabel(machine)}`),
    err: [...requestFailures('restart', result), ...leftLines(result.left)],
  };
}

/** The batches a restart would go through. */
export function restartPreview(result: RestartResult): ReportLines {
  const batches = result.waves.flatMap((plans, index) => [
    `Batch ${index + 1} of ${result.waves.length}`,
    ...plans.flatMap(planLines),
  ]);
  const err = requestFailures('restart', result, true);
  return { out: workLines(batches, err.length > 0), err };
}

function leftLines(left: readonly UnitOnMachine[]): readonly string[] {
  if (left.length === 0) return [];
  const units = [...new Set(left.map(({ unit }) => unit))];
  return [
    ...left.map(
      ({ unit, machine }) => `Warning: unit "${unit}" on machine ${machineTitle(machine)} was not restarted`,
    ),
    `hint: When the failure is repaired, go on: fleetctl restart ${units.join(' ')}`,
  ];
}
