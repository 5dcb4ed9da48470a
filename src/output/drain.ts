import type { CordonResult } from '../operations/cordon.ts';
import type { DrainResult } from '../operations/drain.ts';
import { machineJson } from './json.ts';
import { machineTitle } from './machine.ts';
import { failedJson } from './pass.ts';
import { planLines } from './plan.ts';
import { type ReportLines, requestFailures } from './report.ts';

/** One line a machine: `Machine m1 cordoned`, or `Machine m1 would be cordoned`. */
export function cordonReport(
  cordoned: boolean,
  results: readonly CordonResult[],
  dryRun: boolean,
): ReportLines {
  const word = `${dryRun ? 'would be ' : ''}${cordoned ? 'cordoned' : 'uncordoned'}`;
  const already = `was already ${cordoned ? 'cordoned' : 'uncordoned'}`;
  return {
    out: results.map(({ machine, changed }) => `Machine ${machine} ${changed ? word : already}`),
    err: [],
  };
}

/** `{ "machines": [{ "machine": "m1", "cordoned": true, "changed": true }] }` */
export function cordonJson(cordoned: boolean, results: readonly CordonResult[]): object {
  const machines = results.map(({ machine, changed }) => ({ machine, cordoned, changed }));
  return { machines };
}

/** What left the machine, and what did not. */
export function drainReport(result: DrainResult): ReportLines {
  const { machine, moves, left } = result;
  const failures = requestFailures('drain', result);
  return {
    out: [
      ...moves.map(({ unit, to }) => `Unit ${unit} moved to ${machineTitle(to)}`),
      ...(left.length === 0 && failures.length === 0 ? [`Machine ${machine.name} drained`] : []),
    ],
    err: [
      ...failures,
      ...left.map((unit) => `Warning: unit "${unit}" is still on machine ${machineTitle(machine)}`),
      ...(left.length === 0 ? [] : [hint(machine.name)]),
    ],
  };
}

/** The steps of a drain, in their order. */
export function drainPreview(result: DrainResult): ReportLines {
  const moves = result.moves.map(
    ({ unit, from, to }) => `${unit} moves from ${machineTitle(from)} to ${machineTitle(to)}`,
  );
  const steps = result.plans.flatMap(planLines);
  return {
    out: [`registry: cordon ${result.machine.name}`, ...moves, ...steps],
    err: requestFailures('drain', result, true),
  };
}

/** `{ "machine": …, "moves": […], "left": […], "failures": […] }`, see src/manual/json.md. */
export function drainJson(result: DrainResult): object {
  return {
    machine: machineJson(result.machine),
    moves: result.moves.map(({ unit, from, to }) => ({ unit, from: machineJson(from), to: machineJson(to) })),
    left: result.left,
    failures: failedJson(result.results),
  };
}

function hint(machine: string): string {
  return `hint: It takes no new units; go on with "fleetctl drain ${machine}", or let it have units again: fleetctl uncordon ${machine}`;
}
