import type { PlannedUnit } from '../../operations/sets/changes.ts';
import type { SetPlan } from '../../operations/sets/plan.ts';
import { problemsJson, unreachableJson } from '../json.ts';
import { failedJson } from '../pass.ts';
import { reasonText } from '../reason.ts';

/** `{ "plan": …, "set": …, "changes": […], … }`, see src/manual/json.md. */
export function planJson(plan: SetPlan): object {
  const { set, id, changes, unchanged, edits, skipped, problems, expected } = plan;
  return {
    plan: id,
    set,
    changes: changes.map(changeJson),
    unchanged,
    left: edits.left,
    joined: edits.joined,
    skipped,
    held: problemsJson(edits.held),
    failures: failedJson(expected.results),
    problems: problemsJson(problems),
    unreachable: unreachableJson(expected.unreachable),
  };
}

function changeJson(change: PlannedUnit): object {
  const { unit, kind, path, text, target, machines, from, because, rejected, steps, global, confirmMs } =
    change;
  return {
    unit,
    change: kind,
    path: path ?? null,
    global,
    desiredState: target.after,
    before: target.before === undefined ? null : { desiredState: target.before },
    text: text === undefined ? null : { before: text.before ?? null, after: text.after },
    machines,
    confirmMs: confirmMs ?? null,
    from: from ?? null,
    because: because === undefined ? null : reasonText(because),
    rejected: rejected.map(({ machine, reason }) => ({ machine, reason: reasonText(reason) })),
    steps: steps.map(({ machine, steps: kinds, obstacle }) => ({
      machine,
      steps: kinds,
      obstacle: obstacle ?? null,
    })),
  };
}
