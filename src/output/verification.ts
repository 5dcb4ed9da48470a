import type { Verification } from '../operations/verify.ts';
import { machineJson, problemsJson, unreachableJson } from './json.ts';
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
export function verificationJson({ passed, problems, machines, unreachable }: Verification): object {
  return {
    passed,
    problems: problemsJson(problems),
    machines: machines.map(({ machine, units, problems: found }) => ({
      ...machineJson(machine),
      units,
      passed: found.length === 0,
      problems: found,
    })),
    unreachable: unreachableJson(unreachable),
  };
}
