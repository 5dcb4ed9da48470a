import type { Drift } from '../cluster/drift.ts';
import { isUnknown, NO_STATE, type SystemdState } from '../cluster/unit-state.ts';
import type { StatusResult, UnitStatus } from '../operations/status.ts';
import { holdHint } from './failure.ts';
import { confirmationsJson, machineJson, problemsJson, unreachableJson, usageJson } from './json.ts';
import { errorLines, hintLines, missingLines, type ReportLines } from './report.ts';

/** The output of `systemctl status` for every unit and machine, with a heading if there are several. */
export function statusReport({ statuses, problems, ...missing }: StatusResult): ReportLines {
  const blocks = statuses.map(({ unit, machine, text }) => {
    const heading = `[${machine.name} ${unit}]`;
    return [...(statuses.length > 1 ? [heading] : []), ...text.split('\n')];
  });
  return {
    out: blocks.flatMap((block, index) => (index === 0 ? block : ['', ...block])),
    err: [
      ...statuses.flatMap(driftLines),
      ...problems.flatMap(({ error }) => errorLines(error)),
      ...missingLines({ ...missing, unreadable: [] }),
      ...missing.held.flatMap(({ unit, isFirst }) => hintLines(holdHint(isFirst, { unit }))),
    ],
  };
}

function driftLines({ unit, machine, drift }: UnitStatus): readonly string[] {
  if (drift === undefined) return [];
  return [
    `Warning: unit "${unit}" on machine "${machine.name}": ${DRIFTS[drift]}`,
    drift === 'drop-in'
      ? 'hint: "systemctl cat" there shows it; put it into the text of the unit, and remove it there'
      : 'hint: To see the changes of a pass: fleetctl reconcile --dry-run',
  ];
}

const DRIFTS: Readonly<Record<Drift, string>> = {
  missing: 'its record in /var/lib/fleet/units is missing there',
  damaged: 'its record in /var/lib/fleet/units is damaged there',
  outdated: 'its text there differs from the registry',
  altered: 'its file was changed or removed there',
  'drop-in': 'a drop-in of the machine changes it',
};

/** `{ "statuses": […], "problems": […], "unreachable": […] }`, see src/manual/json.md for every field. */
export function statusJson({ statuses, problems, unreachable, ...found }: StatusResult): object {
  const rows = statuses.map(({ unit, machine, state = ABSENT, drift }) => {
    const read = isUnknown(state) ? undefined : state;
    return {
      unit,
      machine: machineJson(machine),
      load: state.load,
      active: state.active,
      sub: state.sub,
      result: read?.result ?? null,
      type: read?.type ?? null,
      exitStatus: read?.exitStatus ?? null,
      exitCode: read?.exitCode ?? null,
      restarts: read?.restarts ?? null,
      ...usageJson(state),
      invocation: orNull(state.invocation),
      fragment: orNull(state.fragment),
      loadError: orNull(state.loadError),
      drift: drift ?? null,
    };
  });
  return {
    statuses: rows,
    problems: problemsJson(problems),
    unreachable: unreachableJson(unreachable),
    ...confirmationsJson(found),
  };
}

const ABSENT: SystemdState = { ...NO_STATE, load: 'not-found', active: 'inactive', sub: 'dead' };

function orNull(text: string): string | null {
  return text === '' ? null : text;
}
