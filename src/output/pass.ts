import type { Extended, PassResult, Stranded } from '../operations/reconcile-everything.ts';
import type { UnitResult } from '../operations/unit-result.ts';
import { failureText } from './failure.ts';
import { machineTitle } from './format.ts';
import { machineJson, unreachableJson, unreadableJson } from './json.ts';
import { reasonText } from './reason.ts';
import { missingLines, planLines, type ReportLines, workLines } from './report.ts';
import { requestFailures, stayHints } from './request-failures.ts';
import { changesJson } from './request-json.ts';

/** The moves of a pass with their reasons, then its steps, machine by machine. */
export function passReport(pass: PassResult, dryRun = false): ReportLines {
  const moves = pass.moves.map(
    ({ unit, from, to, because }) =>
      `${unit} moves from ${machineTitle(from)} to ${machineTitle(to)}: ${reasonText(because)}`,
  );
  const steps = pass.plans.flatMap(planLines);
  const failures = [
    ...(pass.otherCluster ? [OTHER_CLUSTER] : []),
    ...(pass.isLost ? [LOST_REGISTRY] : []),
    ...pass.stranded.flatMap(strandedLines),
    ...requestFailures('reconcile', pass, dryRun),
  ];
  return {
    out: workLines([...moves, ...steps], failures.length > 0 || pass.newVoters.length > 0),
    err: [
      ...missingLines(pass),
      ...pass.extended.map(extendedLine),
      ...(pass.cutOff ? [CUT_OFF] : []),
      ...failures,
    ],
  };
}

/** `{ "moves": […], "changes": […], "failures": […], "voters": […], "unreachable": […], "unreadable": […] }`, see src/manual/json.md for every field. */
export function passJson(pass: PassResult): object {
  const moves = pass.moves.map(({ unit, from, to, because }) => ({
    unit,
    from: machineJson(from),
    to: machineJson(to),
    reason: reasonText(because),
  }));
  return {
    moves,
    changes: changesJson(pass.plans),
    failures: failuresJson(pass),
    voters: pass.newVoters.map(({ gone, come }) => ({ gone, come })),
    unreachable: unreachableJson(pass.unreachable),
    unreadable: unreadableJson(pass.unreadable),
  };
}

function failuresJson({ results, stranded }: PassResult): readonly object[] {
  const unreachable = stranded.flatMap((each) =>
    each.units.map((unit) => ({
      unit,
      machine: each.machine.name,
      reason: `the machine ${obstacleText(each)}`,
    })),
  );
  return [...unreachable, ...failedJson(results)];
}

/** `[{ "unit": …, "machine": …, "reason": … }]`; `machine` is null for an unschedulable unit. */
export function failedJson(results: readonly UnitResult[]): readonly object[] {
  return results.flatMap(({ unit, failures, unschedulable }) => [
    ...(unschedulable ? [{ unit, machine: null, reason: 'no machine fits' }] : []),
    ...failures.map(({ machine, failure }) => ({
      unit,
      machine: machine.name,
      reason: failureText(failure).summary,
    })),
  ]);
}

function extendedLine({ unit, machine, dropIns }: Extended): string {
  return `Warning: unit "${unit}" on machine ${machineTitle(machine)} has drop-ins that fleet did not write: ${dropIns.join(', ')}`;
}

const CUT_OFF =
  'Warning: more than half of the machines do not answer, so no unit leaves its machine: the network here may be down';

const OTHER_CLUSTER = 'Error: Cannot reconcile a machine of another cluster';
const LOST_REGISTRY =
  'hint: If the registry was lost and created again, move it away and restore the old one: fleetctl recover';

function obstacleText({ isUp }: Stranded): string {
  return isUp ? 'cannot be used' : 'does not answer';
}

function strandedLines(stranded: Stranded): readonly string[] {
  const { machine, units, wait } = stranded;
  const what = units.length === 1 ? 'unit' : 'units';
  return [
    `Error: Cannot reconcile ${what} ${units.map((unit) => `"${unit}"`).join(', ')}: machine ${machineTitle(machine)} ${obstacleText(stranded)}`,
    // There is a warning about all machines already.
    ...(wait === undefined || wait.stays.code === 'cut-off'
      ? []
      : stayHints(wait.stays, wait.silentMs, units)),
  ];
}
