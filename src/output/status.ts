import type { StatusResult } from '../operations/status.ts';
import { machineJson, problemsJson, unreachableJson, usageJson } from './json.ts';
import { errorLines, type ReportLines, unreachableLines } from './report.ts';

/** systemctl's own text of every unit and machine, under a heading where there are several. */
export function statusReport({ statuses, problems, unreachable }: StatusResult): ReportLines {
  const blocks = statuses.map(({ unit, machine, text }) => {
    const heading = `[${machine.name} ${unit}]`;
    return [...(statuses.length > 1 ? [heading] : []), ...text.split('\n')];
  });
  return {
    out: blocks.flatMap((block, index) => (index === 0 ? block : ['', ...block])),
    err: [...problems.flatMap(({ error }) => errorLines(error)), ...unreachableLines(unreachable)],
  };
}

/** `{ "statuses": […], "problems": […], "unreachable": […] }`, see the README for every field. */
export function statusJson({ statuses, problems, unreachable }: StatusResult): object {
  const rows = statuses.map(({ unit, machine, state }) => ({
    unit,
    machine: machineJson(machine),
    load: state?.load ?? 'not-found',
    active: state?.active ?? 'inactive',
    sub: state?.sub ?? 'dead',
    result: state?.result ?? '',
    type: state?.type ?? '',
    exitStatus: state?.exitStatus ?? 0,
    exitCode: state?.exitCode ?? 0,
    restarts: state?.restarts ?? 0,
    ...usageJson(state ?? {}),
    invocation: orNull(state?.invocation),
    fragment: orNull(state?.fragment),
    loadError: orNull(state?.loadError),
  }));
  return { statuses: rows, problems: problemsJson(problems), unreachable: unreachableJson(unreachable) };
}

function orNull(text: string | undefined): string | null {
  return text === undefined || text === '' ? null : text;
}
