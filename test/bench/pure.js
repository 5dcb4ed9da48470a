import { limit, ratio } from './report.js';
import { run } from './run.js';

/** Rendering of tables, in CPU time. */
export async function tables({ fleet }, rounds) {
  const results = await measured(fleet, 'tables', rounds);
  return {
    title: 'Rendering a table of list-units, CPU time',
    results,
    checks: [limit(results, '5000 rows', 40), limit(results, '20000 rows', 160)],
  };
}

const BUDGETS = {
  '10000 units on 1000 machines, steady': 100,
  '10000 units on 1000 machines, one new': 5,
  '10000 units on 1000 machines, all new': 300,
  '10000 units on 1000 machines, all there but unassigned': 300,
  '8000 units on 3 machines, steady': 100,
  '8000 units on 3 machines, one new': 5,
  '4000 units with Conflicts= on 3 machines': 200,
};

/** Decisions about all units, in CPU time. */
export async function scheduling({ fleet }, rounds) {
  const results = await measured(fleet, 'schedule', rounds);
  const doubled = ['steady', 'all new', 'all there but unassigned'].map((what) =>
    ratio(results, `20000 units on 2000 machines, ${what}`, `10000 units on 1000 machines, ${what}`, 2.3),
  );
  return {
    title: 'Scheduling, CPU time',
    results,
    checks: [...Object.entries(BUDGETS).map(([name, budget]) => limit(results, name, budget)), ...doubled],
  };
}

/** The results that decide.ts prints. */
async function measured(fleet, what, rounds) {
  const { stdout } = await run(['node', '--expose-gc', await fleet.buildDecide(), what, `${rounds}`]);
  return JSON.parse(stdout);
}
