import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './fleet.js';
import { describe } from './report.js';

const PAGE = join(ROOT, 'src/manual/performance.md');
/** What follows it, up to the next heading of its level, is written by the bench. */
const HEADING = '## Measurements\n';

/** Replaces the measurements in the manual with those of this run. */
export function writeManual(box, outcomes) {
  const page = readFileSync(PAGE, 'utf8');
  const begin = page.indexOf(HEADING);
  if (begin < 0) throw new Error(`${PAGE} has no line ${HEADING}`);
  const end = page.indexOf('\n## ', begin + HEADING.length);
  const tables = outcomes.map((outcome) => describe(outcome, true)).join('\n\n');
  const rest = end < 0 ? '' : page.slice(end);
  writeFileSync(PAGE, `${page.slice(0, begin)}${HEADING}\n${box}.\n\n${tables}\n${rest}`);
}
