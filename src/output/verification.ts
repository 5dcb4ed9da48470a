import type { Verification } from '../operations/verify.ts';
import { machineJson, unreachableJson } from './json.ts';
import { machineTitle } from './machine.ts';
import { errorLines, type ReportLines, unreachableLines } from './report.ts';

/** A line for every machine, with what systemd there has to say below it; fleet's own complaints apart. */
export function verificationReport({ problems, machines, unreachable }: Verification): ReportLines {
  return {
    out: machines.flatMap(({ machine, units, problems: found }) => [
      `${found.length === 0 ? 'Passed' : 'Failed'} on ${machineTitle(machine)}: ${units.join(' ')}`,
      ...found.map((line) => `  ${line}`),
    ]),
    err: [...problems.flatMap(({ error }) => errorLines(error)), ...unreachableLines(unreachable)],
  };
}

/** `{ "passed": …, "problems": […], "machines": […], "unreachable": […] }` */
export function verificationJson({ passed, problems, machines, unreachable }: Verification): string {
  const value = {
    passed,
    problems: problems.map(({ unit, error }) => ({ unit, message: error.message, hint: error.hint ?? null })),
    machines: machines.map(({ machine, units, problems: found }) => ({
      ...machineJson(machine),
      units,
      passed: found.length === 0,
      problems: found,
    })),
    unreachable: unreachableJson(unreachable),
  };
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
