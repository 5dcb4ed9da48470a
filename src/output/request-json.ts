import type { RestartResult } from '../operations/restart.ts';
import type { Rollback } from '../operations/rollback.ts';
import type { RequestResult, UnitResult } from '../operations/unit-result.ts';
import { isUnschedulable } from '../operations/unschedulable.ts';
import type { MachinePlan } from '../plan/step.ts';
import { entryText } from './failure.ts';
import { confirmationsJson, machineJson, problemsJson, unreachableJson } from './json.ts';
import { resultOf } from './listings.ts';
import { reasonText, rejectedJson } from './reason.ts';

/**
 * The result of a command on units, or with `dryRun` its preview:
 * `{ "dryRun": …, "results": […], "changes": […], "created": […], "alone": […], "kept": […], "foreign": […], "differing": […], "templates": […], "restored": […], "problems": […], "unreachable": […] }`.
 */
export function requestJson(request: RequestResult, dryRun: boolean): object {
  return {
    dryRun,
    results: request.results.map((result) => resultJson(result, request.folder)),
    changes: changesJson(request.plans),
    created: [...(request.created ?? [])],
    alone: [...(request.alone ?? [])],
    kept: [...(request.kept ?? [])],
    foreign: (request.foreign ?? []).map(({ unit, machine, path, masked }) => ({
      unit,
      machine: machineJson(machine),
      path: path === '' ? null : path,
      masked,
    })),
    differing: request.differing.map(({ unit, path }) => ({ unit, path })),
    templates: [...(request.templates ?? [])],
    restored: (request.restored ?? []).flatMap(({ unit, hash, isBack }) => (isBack ? { unit, hash } : [])),
    problems: problemsJson(request.problems),
    unreachable: unreachableJson(request.unreachable),
  };
}

/** The same with the batches of a restart, and the copies that were not restarted after a failure. */
export function restartJson(result: RestartResult, dryRun: boolean): object {
  const batches = result.waves.map((plans) =>
    plans.flatMap(({ machine, changes }) => changes.map(({ unit }) => ({ unit, machine }))),
  );
  return {
    ...requestJson(result, dryRun),
    ...confirmationsJson(result),
    batches,
    left: result.left.map(({ unit, machine }) => ({ unit, machine: machineJson(machine) })),
  };
}

/** The same with the new text of the unit. */
export function rollbackJson(result: Rollback, dryRun: boolean): object {
  const { unit, entry } = result;
  const { hash, digest } = entry;
  return { unit, hash, digest, result: resultOf(entry), ...requestJson(result, dryRun) };
}

/** Steps by unit and machine: an array `changes`. */
export function changesJson(plans: readonly MachinePlan[]): readonly object[] {
  return plans.flatMap(({ machine, changes }) =>
    changes.map(({ unit, steps }) => ({ unit, machine, steps: steps.map(({ kind }) => kind) })),
  );
}

function resultJson(result: UnitResult, folder: string | undefined): object {
  const { unit, target, global, machines, triggers, ran, outdated, failures, rejected, violation } = result;
  return {
    unit,
    desiredState: target,
    holds: failures.length === 0 && !isUnschedulable(result),
    global,
    machines: machines.map(machineJson),
    triggers,
    ran: ran.map(({ machine, isOver }) => ({ machine: machineJson(machine), isOver })),
    outdated: outdated.map(machineJson),
    failures: failures.map((entry) => {
      const { summary, lines, hint } = entryText(entry, { unit, folder });
      return { machine: machineJson(entry.machine), reason: summary, lines, hint: hint ?? null };
    }),
    rejected: rejectedJson(rejected),
    despite: violation === undefined ? null : reasonText(violation),
  };
}
