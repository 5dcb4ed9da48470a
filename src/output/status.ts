import type { StatusResult } from '../operations/status.ts';
import { machineJson, unreachableJson } from './json.ts';
import { errorLines, type ReportLines, unreachableLines } from './report.ts';

/** systemctl's own text of every unit and machine, under a heading where there are several. */
export function statusReport({ statuses, problems, unreachable }: StatusResult): ReportLines {
  const blocks = statuses.map(({ unit, machine, text }) => {
    const heading = `[${machine.name} ${unit}]`;
    return statuses.length > 1 ? [heading, text] : [text];
  });
  return {
    out: blocks.flatMap((block, index) => (index === 0 ? block : ['', ...block])),
    err: [...problems.flatMap(({ error }) => errorLines(error)), ...unreachableLines(unreachable)],
  };
}

/** `{ "statuses": […], "unreachable": […] }`, see the README for every field. */
export function statusJson({ statuses, unreachable }: StatusResult): string {
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
    invocation: orNull(state?.invocation),
    fragment: orNull(state?.fragment),
    loadError: orNull(state?.loadError),
  }));
  return `${JSON.stringify({ statuses: rows, unreachable: unreachableJson(unreachable) }, undefined, 2)}\n`;
}

function orNull(text: string | undefined): string | null {
  return text === undefined || text === '' ? null : text;
}
