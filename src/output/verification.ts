import type { Verification } from '../operations/verify.ts';
import { machineTitle } from './format.ts';
import { machineJson, problemsJson, unreachableJson } from './json.ts';
import { errorLines, type ReportLines, unreachableLines } from './report.ts';

/** The units that passed and failed on every machine, with the messages of systemd; errors of fleet are separate. */
export function verificationReport({ problems, machines, unreachable }: Verification): ReportLines {
  return {
    out: machines.flatMap(({ machine, units, failed, problems: found }) => {
      const passed = units.filter((unit) => !failed.includes(unit));
      const line = (what: string, names: readonly string[]): readonly string[] =>
        names.length === 0 ? [] : [`${what} on ${machineTitle(machine)}: ${names.join(' ')}`];
      return [...line('Passed', passed), ...line('Failed', failed), ...found.map((each) => `  ${each}`)];
    }),
    err: [...problems.flatMap(({ error }) => errorLines(error)), ...unreachableLines(unreachable)],
  };
}

/** `{ "passed": …, "problems": […], "machines": […], "unreachable": […] }` */
export function verificationJson({ passed, problems, machines, unreachable }: Verification): object {
  return {
    passed,
    problems: problemsJson(problems),
    machines: machines.map(({ machine, units, failed, problems: found }) => ({
      ...machineJson(machine),
      units,
      failed,
      passed: found.length === 0,
      problems: found,
    })),
    unreachable: unreachableJson(unreachable),
  };
}
