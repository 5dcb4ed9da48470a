import { formatMachineId } from '../machine/machine.ts';
import type { CordonResult, DrainResult } from '../operations/drain.ts';
import type { Accepted } from '../operations/machine-membership.ts';
import { quote } from '../ssh/shell.ts';
import { machineTitle } from './format.ts';
import { confirmationsJson, machineJson } from './json.ts';
import { failedJson } from './pass.ts';
import { heldLines, planLines, type ReportLines } from './report.ts';
import { requestFailures } from './request-failures.ts';

/**
 * The files and units that stay on a machine that was removed from fleet.conf, and the command that removes them. It removes the
 * folder of a registry only if the machines of the cluster store that one, because another one may be in use.
 */
export function leftBehindLines(
  name: string,
  units: readonly string[],
  wasStored: boolean,
): readonly string[] {
  const forget = `(cd /var/lib/fleet && rm -rf cluster units removed reload tmp${wasStored ? ' registry voters' : ''})`;
  if (units.length === 0)
    return [
      `hint: The state of fleet on machine "${name}" stays in /var/lib/fleet there; to remove it, run there as root: ${forget}`,
    ];
  const names = units.map(quote);
  const files = names.map((unit) => `${unit} fleet.target.wants/${unit}`).join(' ');
  return [
    `Warning: global units stay on machine "${name}" and keep running: ${units.join(' ')}`,
    `hint: To remove them, run there as root: systemctl stop ${names.join(' ')}; cd /etc/systemd/system && rm -f ${files} && ${forget} && systemctl daemon-reload`,
  ];
}

/** The units that were assigned to a machine when it was removed. */
export function movingLines(units: readonly string[]): readonly string[] {
  if (units.length === 0) return [];
  return [
    `hint: Units that were assigned to it move with the next pass (fleetctl reconcile): ${units.join(' ')}`,
  ];
}

export function acceptedLine(name: string, { id, before, renamedFrom, isNews }: Accepted): string {
  if (!isNews) return `Nothing to accept: machine ${name} has id ${formatMachineId(id)}, as before`;
  const was = before === undefined ? '' : `, and had ${formatMachineId(before)}`;
  const renamed = renamedFrom.length === 0 ? '' : `, and was called ${renamedFrom.join(', ')}`;
  return `Machine ${name} accepted: it has id ${formatMachineId(id)}${was}${renamed}`;
}

/** An exclusion, and the units that are assigned to the machine. */
export function distrustedLines(name: string, units: readonly string[]): ReportLines {
  const out = [`Machine ${name} excluded; to use it again: fleetctl machines accept ${name}`];
  if (units.length === 0) return { out, err: [] };
  return {
    out,
    err: [
      `Warning: these units stay assigned to it: ${units.join(' ')}`,
      `hint: To move them, switch the machine off, and run: fleetctl machines remove ${name} --lost`,
    ],
  };
}

/** One line per machine: `Machine m1 cordoned`, or `Machine m1 would be cordoned`. */
export function cordonReport(
  cordoned: boolean,
  results: readonly CordonResult[],
  dryRun: boolean,
): ReportLines {
  const word = `${dryRun ? 'would be ' : ''}${cordoned ? 'cordoned' : 'uncordoned'}`;
  const already = `was already ${cordoned ? 'cordoned' : 'uncordoned'}`;
  return {
    out: results.map(({ machine, changed }) => `Machine ${machine} ${changed ? word : already}`),
    err: results.flatMap(({ machine, excluded }) =>
      cordoned || !excluded
        ? []
        : [
            `Warning: machine ${machine} is still excluded and takes no units`,
            `hint: To use it again: fleetctl machines accept ${machine}`,
          ],
    ),
  };
}

/** `{ "machines": [{ "machine": "m1", "cordoned": true, "changed": true }] }` */
export function cordonJson(cordoned: boolean, results: readonly CordonResult[]): object {
  const machines = results.map(({ machine, changed }) => ({ machine, cordoned, changed }));
  return { machines };
}

/** The units that left the machine, and those that did not. */
export function drainReport(result: DrainResult): ReportLines {
  const { machine, moves, left } = result;
  const failures = requestFailures('drain', result);
  return {
    out: [
      ...moves.map(({ unit, to }) => `Unit ${unit} moved to ${machineTitle(to)}`),
      ...(left.length === 0 && failures.length === 0 ? [`Machine ${machine.name} drained`] : []),
    ],
    err: [
      ...heldLines(result.held),
      ...failures,
      ...left.map((unit) => `Warning: unit "${unit}" is still on machine ${machineTitle(machine)}`),
      ...(left.length === 0
        ? []
        : [
            `hint: It accepts no new units; to continue: fleetctl drain ${machine.name}; to allow new units again: fleetctl uncordon ${machine.name}`,
          ]),
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
    err: [...heldLines(result.held), ...requestFailures('drain', result, true)],
  };
}

/** `{ "machine": …, "moves": […], "left": […], "failures": […], "held": […] }`, see src/manual/json.md. */
export function drainJson(result: DrainResult): object {
  return {
    machine: machineJson(result.machine),
    moves: result.moves.map(({ unit, from, to }) => ({ unit, from: machineJson(from), to: machineJson(to) })),
    left: result.left,
    failures: failedJson(result.results),
    ...confirmationsJson(result),
  };
}
