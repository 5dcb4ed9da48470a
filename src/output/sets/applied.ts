import type { SetPlan } from '../../operations/sets/plan.ts';
import type { RequestResult, UnitResult } from '../../operations/unit-result.ts';
import { isTemplate, parseUnitName } from '../../unit/unit-name.ts';
import type { ReportLines } from '../report.ts';
import { requestReport } from '../request-report.ts';

/** The results of an applied plan: a line for each unit that it changed, and the failures of all units of the set. */
export function appliedReport({ changes, edits }: SetPlan, result: RequestResult): ReportLines {
  const isPruned = ({ unit }: UnitResult): boolean => edits.pruned.includes(unit);
  const [ended, kept] = [result.results.filter(isPruned), result.results.filter((each) => !isPruned(each))];
  const templates = changes.filter(({ unit }) => isTemplate(parseUnitName(unit))).map(({ unit }) => unit);
  // A template is on no machine, unless a socket needs it.
  const isNews = ({ unit, target }: UnitResult): boolean =>
    changes.some((change) => change.unit === unit) && !(templates.includes(unit) && target === 'inactive');
  const ends = requestReport('destroy', { ...result, results: ended, problems: [] });
  return {
    out: [
      ...templates.filter((unit) => !edits.pruned.includes(unit)).map((unit) => `Template ${unit} stored`),
      ...requestReport('apply', { ...result, results: kept.filter(isNews) }).out,
      ...ends.out,
    ],
    err: [...new Set([...requestReport('apply', { ...result, results: kept }).err, ...ends.err])],
  };
}
